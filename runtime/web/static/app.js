// The live page: what happens when, and how often.
import { earlierAlarms, filterAlarms, refreshAlarms } from "./alarms.js";
import { watchArming } from "./arming_card.js";
import { frame } from "./camera_panel.js";
import { summarise } from "./cameras.js";
import { connect, watch } from "./connection.js";
import { readColours } from "./drawing.js";
import { refreshHealth } from "./health.js";
import { showPrecision } from "./labels.js";
import { watchReplay } from "./replay.js";
import { page, views } from "./state.js";
import { $ } from "./text.js";
import { watchWall } from "./wall.js";
import { watchEditor } from "./zone_editor.js";
import { watchZones } from "./zones_card.js";

$("filter").addEventListener("change", filterAlarms);
$("more").addEventListener("click", earlierAlarms);
window.addEventListener("resize", () => { page.dirty = true; });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
new IntersectionObserver(([entry]) => { if (entry.isIntersecting && !$("more").hidden) earlierAlarms(); },
  { root: $("alarms"), rootMargin: "80px" }).observe($("more"));

readColours();
watchWall();
watchArming();
watchZones();
watchEditor();
watchReplay();
connect();
refreshHealth();
showPrecision();
setInterval(refreshHealth, 2000);
setInterval(refreshAlarms, 15000);
setInterval(showPrecision, 60000);
setInterval(watch, 1000);
setInterval(() => views.forEach(summarise), 5000);
requestAnimationFrame(frame);

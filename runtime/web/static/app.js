// The live page: what happens when, and how often.
import { earlierAlarms, filterAlarms, refreshAlarms } from "./alarms.js";
import { watchArming } from "./arming_card.js";
import { frame } from "./camera_panel.js";
import { summarise } from "./cameras.js";
import { connect, watch } from "./connection.js";
import { readColours } from "./drawing.js";
import { refreshHealth } from "./health.js";
import { showPrecision } from "./labels.js";
import { drawReplay, play, refreshReplay, replay } from "./replay.js";
import { page, views } from "./state.js";
import { $ } from "./text.js";
import { watchWall } from "./wall.js";
import { watchEditor } from "./zone_editor.js";
import { watchZones } from "./zones_card.js";

$("filter").addEventListener("change", filterAlarms);
$("more").addEventListener("click", earlierAlarms);
$("play").addEventListener("click", () => play(!replay.playing && replay.poses.length > 1));
$("scrub").addEventListener("input", () => { play(false); replay.at = Number($("scrub").value); drawReplay(); });
$("replay-close").addEventListener("click", () => $("replay").close());
$("replay").addEventListener("close", () => play(false));
window.addEventListener("resize", () => { page.dirty = true; if ($("replay").open) drawReplay(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
new IntersectionObserver(([entry]) => { if (entry.isIntersecting && !$("more").hidden) earlierAlarms(); },
  { root: $("alarms"), rootMargin: "80px" }).observe($("more"));

readColours();
watchWall();
watchArming();
watchZones();
watchEditor();
connect();
refreshHealth();
showPrecision();
setInterval(refreshHealth, 2000);
setInterval(refreshAlarms, 15000);
setInterval(showPrecision, 60000);
setInterval(refreshReplay, 1000);
setInterval(watch, 1000);
setInterval(() => views.forEach(summarise), 5000);
requestAnimationFrame(frame);

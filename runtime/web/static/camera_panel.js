// The camera that is shown large, the others, and the headline.
import { showArming } from "./arming_card.js";
import { showCalibration } from "./calibration_card.js";
import { drawChart } from "./chart.js";
import { drawPeople } from "./scene.js";
import { alarming, away, condition, disarmed, level, page, views } from "./state.js";
import { $, clock, element, local, rarity, setText } from "./text.js";
import { verdict } from "./verdict.js";
import { onWall } from "./wall.js";
import { showZones } from "./zones_card.js";

function showBig(known) {
  if (known.live) $("big-canvas").style.aspectRatio = known.live.size.join(" / ");
  const [kind, word, more] = verdict(known);
  $("big").classList.toggle("alarm", kind === "alarm");
  $("verdict").className = "word " + kind;
  setText($("verdict"), word);
  const count = known.live && !away(known) ? known.live.people.length : 0;
  const people = count ? (count === 1 ? "1 person" : count + " people") : "";
  setText($("verdict-more"), [more, people, kind === "alarm" ? known.live?.why : ""].filter(Boolean).join(" · "));
  setText($("big-state"), (known.live ? clock(known.live.utc) : "") + (disarmed(known) ? " · disarmed" : ""));
  const gone = ["lost", "stalled", "failed", "connecting", "ended"].includes(condition(known));
  $("big-cover").hidden = !gone;
  if (gone) {
    const error = page.health?.cameras?.[known.name]?.error;
    const text = word + (more ? "\n" + more : "") + (error ?? "");
    if ($("big-cover").dataset.text !== text) {
      $("big-cover").dataset.text = text;
      $("big-cover").replaceChildren(element("span", word), ...(more ? [element("small", more)] : []),
        ...(error ? [element("small", local(error))] : []));
    }
  }
  const shown = known.live && !away(known) ? [...known.live.people] : [];
  shown.sort((a, b) => (b[1] ?? -1e9) - (a[1] ?? -1e9));
  const list = $("people");
  while (list.children.length > Math.min(8, shown.length)) list.lastChild.remove();
  shown.slice(0, 8).forEach(([id, score, p], index) => {
    let item = list.children[index];
    if (!item) {
      item = element("li");
      item.append(element("i"), element("b"), element("span"), element("span", "", "muted"));
      list.append(item);
    }
    item.className = "is-" + level(known, score);
    setText(item.children[1], "#" + id);
    setText(item.children[2], score !== null ? score.toFixed(2)
      : known.live.ignored?.includes(id) ? "not watched here" : "not scored yet");
    const words = rarity(p, known.live.beyond_normal?.includes(id));
    setText(item.children[3], words);
    item.children[3].hidden = !words;
  });
  const score = away(known) ? null : known.live?.score ?? null, threshold = known.live?.threshold ?? null;
  setText($("chart-now"), (score === null ? "" : "now " + score.toFixed(2) + ", ")
    + (threshold === null ? "" : "alarm above " + threshold.toFixed(2) + (known.live.provisional ? ", provisional" : "")
      + (page.health?.cameras?.[known.name]?.misfit ? ", the calibration no longer fits the zones" : ""))
    + (known.live?.unit ? ` (${known.live.unit === "bits" ? "bits" : "bits per dimension"})` : ""));
  $("chart").setAttribute("aria-label", "Score over the last five minutes. " + $("chart-now").textContent);
  $("big-canvas").setAttribute("aria-label", `${known.name}: ${word}. ${people}`);
}

function showThumb(known) {
  const [kind, word] = verdict(known);
  known.button.classList.toggle("alarm", kind === "alarm");
  known.button.classList.toggle("lost", kind === "lost");
  const count = known.live?.people.length ?? 0;
  setText(known.word, kind === "alarm" ? "Alarm" : kind === "lost" ? word.replace("Camera lost", "Lost").replace("The picture is ", "")
    : (kind === "none" ? word : count === 1 ? "1 person" : count + " people") + (disarmed(known) ? ", disarmed" : ""));
}

function showHeadline() {
  const all = [...views.values()];
  const there = all.filter((each) => alarming(each) && condition(each) !== "lost").map((each) => each.name);
  const lost = all.filter((each) => ["lost", "stalled", "failed", "frozen", "black"].includes(condition(each))).map((each) => each.name);
  let text = "No alarm";
  if (!page.health && !page.heard) text = "Connecting";
  else if (page.cutSince) text = "No connection";
  else if (there.length === 1) text = "Alarm at " + there[0];
  else if (there.length) text = `${there.length} alarms: ${there.slice(0, 4).join(", ")}`;
  else if (lost.length) text = lost.length === 1 ? `Camera ${lost[0]} has a problem` : `${lost.length} cameras have problems`;
  document.body.classList.toggle("alarming", there.length > 0 && !page.cutSince);
  setText($("headline"), text);
  const title = (there.length && !page.cutSince ? "\u26a0 " : "") + text + " · daflow-edge";
  if (document.title !== title) document.title = title;
  const people = all.filter((each) => !away(each)).reduce((sum, each) => sum + (each.live?.people.length ?? 0), 0);
  setText($("subline"), all.length ? `${all.length} camera${all.length > 1 ? "s" : ""} · ${people === 1 ? "1 person" : people + " people"}` : "");
}

export function frame() {
  requestAnimationFrame(frame);
  if (!page.dirty || document.hidden) return;
  page.dirty = false;
  showHeadline();
  for (const known of views.values()) {
    showThumb(known);
    if (views.size > 1) drawPeople(known, known.canvas, false);
  }
  const known = views.get(page.chosen);
  if (!known || onWall()) return;
  showBig(known);
  showArming(known.name);
  showCalibration(known.name);
  showZones(known.name);
  drawPeople(known, $("big-canvas"), true);
  drawChart(known);
}

// Replay of the skeletons at the peak.
import { colours, prepared, skeleton } from "./drawing.js";
import { get } from "./service.js";
import { $, element, lasting, moment, rarityOf, seconds, setText } from "./text.js";

export const replay = { id: null, running: false, peak: null, poses: [], size: [1, 1], at: 0, playing: false, last: 0, box: null };

export async function openReplay(id) {
  let alarm;
  try { alarm = await get("api/alarms/" + encodeURIComponent(id)); } catch { return; }
  replay.id = id;
  replay.at = 0;
  showReplay(alarm);
  if (!$("replay").open) $("replay").showModal();
  play(replay.poses.length > 1 && !matchMedia("(prefers-reduced-motion: reduce)").matches);
  drawReplay();
}

export async function refreshReplay() {
  // While an alarm is on, its peak may still change.
  const id = replay.id;
  if (!$("replay").open || !replay.running || document.hidden) return;
  try {
    const alarm = await get("api/alarms/" + encodeURIComponent(id));
    if (id === replay.id && $("replay").open) showReplay(alarm);
  } catch { /* the stream shows when the service is unreachable */ }
}

function showReplay(alarm) {
  const peak = alarm.peak ?? {}, changed = replay.peak !== alarm.id + peak.utc;
  replay.running = alarm.event !== "end";
  replay.peak = alarm.id + peak.utc;
  replay.poses = peak.skeletons ?? [];
  replay.size = peak.frame_size ?? [1, 1];
  replay.at = Math.min(replay.at, Math.max(0, replay.poses.length - 1));
  const all = replay.poses.flat();
  const xs = all.map((each) => each[0]), ys = all.map((each) => each[1]);
  replay.box = all.length ? [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)] : null;
  setText($("replay-title"), `${alarm.camera}, ${moment(seconds(alarm.began_utc))}`);
  $("scrub").max = Math.max(0, replay.poses.length - 1);
  const facts = [
    ["Duration", lasting(alarm.seconds ?? 0) + (alarm.event === "end" ? "" : " so far")],
    ["Peak", `score ${Number(peak.score).toFixed(2)}, alarm above ${Number(alarm.threshold).toFixed(2)}`],
    ["Rarity", rarityOf(peak) || "not calibrated"],
    ...(peak.why ? [["Because of", peak.why]] : []),
    ["Person", "#" + peak.person],
    ["Peak at", peak.utc ? moment(seconds(peak.utc)) : ""],
    ["Model", String(alarm.model?.bundle ?? "").slice(0, 12)],
    ["Event", String(alarm.id).slice(0, 12)],
  ];
  $("replay-facts").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  if (changed && $("replay").open) drawReplay();
}

export function play(on) {
  replay.playing = on;
  replay.last = performance.now();
  setText($("play"), on ? "Pause" : "Play");
  if (on) requestAnimationFrame(advance);
}

function advance(time) {
  if (!replay.playing || !$("replay").open) return;
  if (time - replay.last > 80) {
    replay.last = time;
    replay.at = (replay.at + 1) % replay.poses.length;
    drawReplay();
  }
  requestAnimationFrame(advance);
}

export function drawReplay() {
  const canvas = $("replay-canvas"), context = prepared(canvas), width = canvas.clientWidth, height = canvas.clientHeight;
  $("scrub").value = replay.at;
  $("scrub").setAttribute("aria-valuetext", `pose ${replay.at + 1} of ${replay.poses.length}`);
  setText($("pose"), replay.poses.length ? `${replay.at + 1} / ${replay.poses.length}` : "");
  if (!replay.box) return;
  const [x0, y0, x1, y1] = replay.box, pad = 46;
  const scale = Math.min((width - 2 * pad) / Math.max(1, x1 - x0), (height - 2 * pad) / Math.max(1, y1 - y0));
  const left = width / 2 - (x0 + x1) / 2 * scale, top = height / 2 - (y0 + y1) / 2 * scale;
  const at = (pose) => (index) => [left + pose[index][0] * scale, top + pose[index][1] * scale];
  const thick = Math.max(3, Math.min(6, (y1 - y0) * scale / 55));
  for (let back = 12; back >= 3; back -= 3) {
    if (replay.at < back) continue;
    context.globalAlpha = 0.26 - back * 0.016;
    skeleton(context, at(replay.poses[replay.at - back]), colours.muted, thick * 0.7, false);
  }
  context.globalAlpha = 1;
  skeleton(context, at(replay.poses[replay.at]), colours.alarm, thick, false);
  // The place in the camera's view.
  const [w, h] = replay.size, small = 96 / Math.max(w, h);
  const cornerX = width - w * small - 12, cornerY = 12;
  context.strokeStyle = colours.muted;
  context.lineWidth = 1;
  context.strokeRect(cornerX + .5, cornerY + .5, w * small, h * small);
  context.fillStyle = colours.alarm;
  context.fillRect(cornerX + x0 * small, cornerY + y0 * small, Math.max(2, (x1 - x0) * small), Math.max(2, (y1 - y0) * small));
}

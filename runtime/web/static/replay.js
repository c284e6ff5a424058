// The replay of an alarm: everybody's skeletons, from before it began until after it ended.
import { SEEN, colours, prepared, skeleton } from "./drawing.js";
import { ground, label, zones } from "./scene.js";
import { get } from "./service.js";
import { $, element, lasting, moment, rarityOf, seconds, setText } from "./text.js";

const TRAIL = [1, 0.75, 0.5, 0.25];  // seconds before, at which who raised the alarm is drawn faintly
const SKIPPED = 1;                   // a longer gap without frames is not waited for, seconds

export const replay = { id: null, alarm: null, frames: [], size: [1, 1], threshold: null, peak: null, seconds: null,
  complete: true, outline: null, time: 0, playing: false, last: 0, zoom: false, box: null, fetched: 0 };

export async function openReplay(id) {
  let alarm;
  try { alarm = await get("api/alarms/" + encodeURIComponent(id)); } catch { return; }
  Object.assign(replay, { id, frames: [], peak: null, complete: true, outline: null, fetched: 0 });
  await loadFrames(alarm);
  if (replay.id !== id) return;
  showReplay(alarm);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  replay.time = still ? replay.peak ?? firstTime() : firstTime();
  const tallest = Math.max(0, ...raisedJoints().map((each) => each.height));
  zoom(tallest > 0 && tallest < 0.3);
  if (!$("replay").open) $("replay").showModal();
  play(replay.frames.length > 1 && !still);
  drawReplay();
}

async function refreshReplay() {
  // While an alarm is on, and shortly after, more is recorded, and its peak may still change.
  const id = replay.id;
  if (!$("replay").open || document.hidden || (replay.complete && replay.alarm?.event === "end")) return;
  try {
    const alarm = await get("api/alarms/" + encodeURIComponent(id));
    if (!alarm.replay?.includes("skeletons") || performance.now() - replay.fetched > 3000) await loadFrames(alarm);
    if (id === replay.id && $("replay").open) showReplay(alarm);
    if (!replay.playing) drawReplay();
  } catch { /* the stream shows when the service is unreachable */ }
}

// An alarm of which nothing was recorded has the poses at its peak in its message.
async function loadFrames(alarm) {
  replay.fetched = performance.now();
  if (alarm.replay?.includes("skeletons")) {
    const stored = await get(`api/alarms/${encodeURIComponent(alarm.id)}/skeletons`);
    if (replay.id !== alarm.id) return;
    Object.assign(replay, { frames: stored.frames, size: stored.frame_size, threshold: stored.threshold,
      peak: stored.peak, seconds: stored.seconds, complete: stored.complete });
    if (stored.outline && !replay.outline) {
      const bytes = Uint8Array.from(atob(stored.outline), (letter) => letter.charCodeAt(0));
      replay.outline = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    }
    return;
  }
  const peak = alarm.peak ?? {}, poses = peak.skeletons ?? [], [w, h] = peak.frame_size ?? [1, 1];
  const at = Number(peak.time) - Number(alarm.began) || 0;
  const frames = poses.map((pose, index) => ({ time: at + (index + 1 - poses.length) / 12.5, people: [
    { person: peak.person, score: peak.score, raised: true, joints: pose.flatMap(([x, y]) => [x / w, y / h, 1]) }] }));
  Object.assign(replay, { frames, size: [w, h], threshold: alarm.threshold, peak: at,
    seconds: alarm.event === "end" ? alarm.seconds : null, complete: alarm.event === "end" });
}

const firstTime = () => replay.frames[0]?.time ?? 0;
const lastTime = () => replay.frames.at(-1)?.time ?? 0;
const signed = (time) => (time < 0 ? "\u2212" : "+") + Math.abs(time).toFixed(1) + " s";

function showReplay(alarm) {
  replay.alarm = alarm;
  const peak = alarm.peak ?? {};
  setText($("replay-title"), `${alarm.camera}, ${moment(seconds(alarm.began_utc))}`);
  [$("scrub").min, $("scrub").max] = [firstTime(), Math.max(lastTime(), firstTime() + 0.08)];
  const people = new Set(replay.frames.flatMap((frame) => frame.people.map((each) => each.person))).size;
  const facts = [
    ["Duration", lasting(alarm.seconds ?? 0) + (alarm.event === "end" ? "" : " so far")],
    ["Peak", `score ${Number(peak.score).toFixed(2)}, alarm above ${Number(alarm.threshold).toFixed(2)}`],
    ["Rarity", rarityOf(peak) || "not calibrated"],
    ...(peak.why ? [["Because of", peak.why]] : []),
    ["Person", "#" + peak.person],
    ["Peak at", peak.utc ? moment(seconds(peak.utc)) : ""],
    ["Replay", `${lasting(lastTime() - firstTime())}, ${people === 1 ? "1 person" : people + " people"}`],
    ["Model", String(alarm.model?.bundle ?? "").slice(0, 12)],
    ["Event", String(alarm.id).slice(0, 12)],
  ];
  $("replay-facts").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  $("replay-files").hidden = !alarm.replay?.includes("skeletons");
  for (const form of ["gif", "mp4"]) $("file-" + form).href = `api/alarms/${encodeURIComponent(alarm.id)}.${form}`;
  showPictures(alarm);
  const joints = raisedJoints();
  replay.box = joints.length ? [Math.min(...joints.map((each) => each.left)), Math.min(...joints.map((each) => each.top)),
    Math.max(...joints.map((each) => each.right)), Math.max(...joints.map((each) => each.bottom))] : null;
  $("zoom").disabled = !replay.box;
}

// Pictures of the camera, where the service keeps them. What is loaded once is not loaded again while the alarm is on.
function showPictures(alarm) {
  const folder = `api/alarms/${encodeURIComponent(alarm.id)}/`, has = (part) => Boolean(alarm.replay?.includes(part));
  const clip = $("clip"), source = has("clip") ? folder + "clip.mp4" : "";
  if (clip.getAttribute("src") !== source) {
    if (source) [clip.src, clip.poster] = [source, has("snapshot") ? folder + "snapshot.jpg" : ""];
    else { clip.removeAttribute("src"); clip.removeAttribute("poster"); clip.load(); }
  }
  clip.hidden = !source;
  $("file-snapshot").hidden = !has("snapshot");
  if (has("snapshot")) $("file-snapshot").href = folder + "snapshot.jpg";
}

// Where those who raised the alarm are in each frame, in fractions of the picture.
function raisedJoints() {
  return replay.frames.flatMap((frame) => frame.people).filter((person) => person.raised).map(({ joints }) => {
    const xs = [], ys = [];
    for (let at = 0; at < joints.length; at += 3) {
      if (100 * joints[at + 2] >= SEEN) { xs.push(joints[at]); ys.push(joints[at + 1]); }
    }
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    return { left, right, top, bottom, height: bottom - top };
  }).filter((each) => Number.isFinite(each.height));
}

function play(on) {
  replay.playing = on;
  replay.last = performance.now();
  setText($("play"), on ? "Pause" : "Play");
  if (on) requestAnimationFrame(advance);
}

function advance(time) {
  if (!replay.playing || !$("replay").open) return;
  replay.time += Math.min(0.2, Math.max(0, (time - replay.last) / 1000));
  replay.last = time;
  const next = replay.frames.find((frame) => frame.time > replay.time);
  if (replay.time > lastTime() + 0.5) replay.time = firstTime();
  else if (next && next.time - frameAt(replay.time).time > SKIPPED && next.time - replay.time > 0.2) replay.time = next.time - 0.2;
  drawReplay();
  requestAnimationFrame(advance);
}

// The last frame that is not after a time, else the first.
function frameAt(time) {
  let low = 0, high = replay.frames.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (replay.frames[middle].time <= time + 1e-3) low = middle; else high = middle - 1;
  }
  return replay.frames[low];
}

function zoom(on) {
  replay.zoom = on;
  $("zoom").setAttribute("aria-pressed", String(on));
}

function drawReplay() {
  const canvas = $("replay-canvas"), context = prepared(canvas), width = canvas.clientWidth, height = canvas.clientHeight;
  const time = Math.min(replay.time, lastTime());
  $("scrub").value = time;
  $("scrub").setAttribute("aria-valuetext", inWords(time));
  setText($("replay-time"), signed(time));
  drawTimes();
  if (!replay.frames.length) return;
  const [w, h] = replay.size, [x0, y0, x1, y1] = replay.zoom && replay.box ? replay.box : [0, 0, 1, 1];
  const pad = replay.zoom ? 46 : 6;
  const scale = Math.min((width - 2 * pad) / Math.max(1, (x1 - x0) * w), (height - 2 * pad) / Math.max(1, (y1 - y0) * h));
  const place = (x, y) => [width / 2 + (x - (x0 + x1) / 2) * w * scale, height / 2 + (y - (y0 + y1) / 2) * h * scale];
  const [left, top] = place(0, 0);
  if (replay.outline) {
    context.drawImage(replay.outline, left, top, w * scale, h * scale);
    context.globalCompositeOperation = "source-in";  // the edges in the colour of the scheme
    context.globalAlpha = 0.5;
    context.fillStyle = colours.muted;
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "source-over";
    context.globalAlpha = 1;
  } else if (!replay.zoom) ground(context, left, top, w * scale, h * scale);
  context.strokeStyle = colours.muted;
  context.lineWidth = 1;
  context.strokeRect(left, top, w * scale, h * scale);
  zones(context, { name: replay.alarm.camera }, true, place);
  const frame = frameAt(time), thick = Math.max(2.2, Math.min(6, h * scale / 190));
  const joint = (joints) => (index) => 100 * joints[3 * index + 2] < SEEN ? null : place(joints[3 * index], joints[3 * index + 1]);
  if (replay.zoom) {
    for (const back of TRAIL) {
      if (time - back < firstTime()) continue;
      context.globalAlpha = 0.3 - back * 0.2;
      for (const person of frameAt(time - back).people) {
        if (person.raised) skeleton(context, joint(person.joints), colours.muted, thick * 0.7, false);
      }
    }
    context.globalAlpha = 1;
  }
  for (const person of frame.people) {
    const over = replay.threshold !== null && person.score !== null && person.score > replay.threshold;
    const colour = colours[person.raised || over ? "alarm" : person.score === null ? "unscored" : "calm"];
    skeleton(context, joint(person.joints), colour, thick, false);
    label(context, "#" + person.person + (person.score === null ? "" : " " + person.score.toFixed(1)), joint(person.joints), colour, 0);
  }
}

function inWords(time) {
  const words = lasting(Math.abs(time)) + (time < 0 ? " before the alarm" : " after the alarm began");
  return replay.peak !== null && Math.abs(time - replay.peak) < 0.08 ? words + ", the peak" : words;
}

// Above the slider: how long the alarm was on, and its peak.
function drawTimes() {
  const canvas = $("replay-times"), context = prepared(canvas), width = canvas.clientWidth, height = canvas.clientHeight;
  const length = Math.max(lastTime() - firstTime(), 1e-6), thumb = 8;
  const x = (time) => thumb + Math.min(1, Math.max(0, (time - firstTime()) / length)) * (width - 2 * thumb);
  context.fillStyle = colours.alarm;
  context.globalAlpha = 0.35;
  context.fillRect(x(0), height - 4, Math.max(2, x(replay.seconds ?? lastTime()) - x(0)), 4);
  context.globalAlpha = 1;
  if (replay.peak === null) return;
  context.beginPath();
  context.moveTo(x(replay.peak) - 5, 0);
  context.lineTo(x(replay.peak) + 5, 0);
  context.lineTo(x(replay.peak), height);
  context.fill();
}

function seek(time) {
  play(false);
  replay.time = Math.min(lastTime(), Math.max(firstTime(), time));
  drawReplay();
}

export function watchReplay() {
  $("play").addEventListener("click", () => play(!replay.playing && replay.frames.length > 1));
  $("scrub").addEventListener("input", () => seek(Number($("scrub").value)));
  $("scrub").addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    play(!replay.playing && replay.frames.length > 1);
  });
  $("to-peak").addEventListener("click", () => seek(replay.peak ?? 0));
  $("zoom").addEventListener("click", () => { zoom(!replay.zoom); drawReplay(); });
  $("replay-close").addEventListener("click", () => $("replay").close());
  $("replay").addEventListener("close", () => { play(false); $("clip").pause(); });
  window.addEventListener("resize", () => { if ($("replay").open) drawReplay(); });
  setInterval(refreshReplay, 1000);
}

// The live page. Names and messages come from outside and are only ever set as text.
"use strict";

const BONES = [[4, 3], [3, 2], [7, 6], [6, 5], [13, 12], [12, 11], [10, 9], [9, 8], [11, 5], [8, 2], [5, 1],
  [2, 1], [0, 1], [15, 0], [14, 0], [17, 15], [16, 14]];
const SEEN = 30;            // percent; a joint below this confidence is a guess and is not drawn
const HISTORY = 300;        // seconds
const STALE = 3;            // seconds after which the last result of a camera is out of date
const PAGE = 20;            // alarms fetched in one request
const STATES = {
  streaming: ["good", "streaming"], connecting: ["warn", "connecting"], frozen: ["warn", "picture frozen"],
  black: ["warn", "picture black"], stalled: ["bad", "stalled"], failed: ["bad", "failed"], lost: ["bad", "lost"], ended: ["", "ended"],
};

const $ = (id) => document.getElementById(id);
const views = new Map();    // camera name -> its state
let health = null, pictures = false, skew = 0, heard = 0, cutSince = null, started = Date.now();
let chosen = null, picked = false, choseAt = -1e9, colours = {};
let alarms = [], exhausted = false, dirty = true;

// Texts

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

const now = () => Date.now() / 1000 + skew;
const clock = (utc) => new Date(utc * 1000).toLocaleTimeString([], { hourCycle: "h23" });
const seconds = (iso) => Date.parse(iso) / 1000;

function moment(utc) {
  const date = new Date(utc * 1000);
  if (date.toDateString() === new Date().toDateString()) return clock(utc);
  return date.toLocaleDateString([], { day: "numeric", month: "short" }) + ", " + clock(utc);
}

// Messages of the service name times in UTC; the page shows all times as the clock on the wall does.
const local = (text) => String(text).replace(/\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)/g,
  (iso) => Number.isFinite(seconds(iso)) ? moment(seconds(iso)) : iso);

function lasting(value) {
  const whole = Math.max(0, Math.round(value));
  if (value < 10 && value >= 0) return value.toFixed(1).replace(/\.0$/, "") + " s";
  if (whole < 90) return whole + " s";
  if (whole < 5400) return Math.round(whole / 60) + " min";
  return whole < 172800 ? (whole / 3600).toFixed(1) + " h" : Math.round(whole / 86400) + " days";
}

function rarity(p, beyond = false) {
  if (p === null || p === undefined) return "";
  if (beyond) return "rarer than 1 in " + twoDigits(Math.floor, 1 / p);  // above all scores of the calibration
  if (p >= 0.05) return "normal";
  if (p <= 1e-7) return "rarer than 1 in 10 million";
  return "as rare as 1 in " + twoDigits(Math.round, 1 / p);
}

function twoDigits(rounded, value) {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(value) + 1e-9) - 1);
  return (rounded(value / unit + (rounded === Math.floor ? 1e-4 : 0)) * unit).toLocaleString("en").replaceAll(",", "\u202f");
}

// How rare an alarm was, which its message may say in words.
const rarityOf = (alarm) => alarm.rarity?.startsWith("rarer") ? alarm.rarity : rarity(alarm.p_value, alarm.beyond_normal);

// Colours: below the threshold, close to it, above it

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "muted", "line", "calm", "near", "alarm", "unscored", "stage", "zone"]) {
    colours[name] = style.getPropertyValue("--" + name).trim();
  }
  dirty = true;
}

function level(view, score) {
  if (score === null) return "unscored";
  if (view.live.threshold === null) return "calm";
  if (score > view.live.threshold) return "alarm";
  const usual = view.usual;
  return usual !== null && score > usual + 0.8 * (view.live.threshold - usual) ? "near" : "calm";
}

// Cameras

function view(name) {
  if (!views.has(name)) {
    const button = element("button", undefined, "thumb");
    const canvas = element("canvas"), line = element("span");
    canvas.setAttribute("aria-hidden", "true");
    line.append(element("b", name), element("em"));
    button.append(canvas, line);
    button.addEventListener("click", () => { picked = true; choseAt = performance.now(); choose(name); });
    views.set(name, { name, live: null, got: 0, recent: [], scores: [], usual: null, button, canvas,
      word: line.lastChild, picture: null, announced: false });
    loadHistory(name);
    arrange();
  }
  return views.get(name);
}

function arrange() {
  // In the order of the configuration, as far as it is known.
  const order = [...new Set([...Object.keys(health?.cameras ?? {}), ...views.keys()])].filter((name) => views.has(name));
  $("strip").replaceChildren(...order.map((name) => views.get(name).button));
  document.body.classList.toggle("several", views.size > 1);
  $("filter").replaceChildren(option("", "All cameras"), ...order.map((name) => option(name, name)));
  if (!picked) choose(order[0]);
}

function forget(name) {
  views.delete(name);
  if (chosen === name) [chosen, picked] = [null, false];
  if (views.size) arrange();
}

function option(value, text) {
  const made = element("option", text);
  made.value = value;
  made.selected = value === $("filter").value;
  return made;
}

function choose(name) {
  chosen = name;
  for (const each of views.values()) each.button.setAttribute("aria-pressed", String(each.name === name));
  $("big-name").textContent = name;
  dirty = true;
}

async function get(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(8000) });
  if (answer.status === 401) location.reload();
  if (!answer.ok && path !== "api/health") throw new Error(path + ": HTTP status " + answer.status);
  return answer.json();
}

async function loadHistory(name) {
  try {
    const { scores } = await get("api/history?camera=" + encodeURIComponent(name));
    const known = views.get(name);
    const first = known.scores.length ? known.scores[0][0] : Infinity;
    known.scores = scores.filter(([utc]) => utc < first).concat(known.scores);
    summarise(known);
  } catch { /* the stream shows when the service is unreachable */ }
}

function summarise(known) {
  const scores = known.scores.map((moment) => moment[1]).filter((score) => score !== null).sort((a, b) => a - b);
  known.usual = scores.length ? scores[scores.length >> 1] : null;
  dirty = true;
}

function takeLive(message) {
  heard = performance.now();
  skew = message.now - Date.now() / 1000;
  connected();
  for (const [name, live] of Object.entries(message.cameras)) {
    const known = view(name);
    known.live = live;
    known.got = performance.now();
    known.recent = [...known.recent.slice(-7), live];
    const last = known.scores.at(-1);
    if (last && Math.floor(last[0] * 5) === Math.floor(live.utc * 5)) {
      last[1] = last[1] === null ? live.score : Math.max(last[1], live.score ?? -Infinity);
      last[2] = last[2] || Number(live.alarm);
    } else {
      known.scores.push([live.utc, live.score, Number(live.alarm)]);
    }
    while (known.scores.length > 2 && known.scores[0][0] < live.utc - HISTORY - 5) known.scores.shift();
    if (live.alarm !== known.announced) alarmChanged(known);
  }
  dirty = true;
}

function alarmChanged(known) {
  known.announced = known.live.alarm;
  for (const wait of [300, 1500, 4000]) setTimeout(refreshAlarms, wait);  // the store may be a little behind
  if (disarmed(known)) return;
  $("announce").textContent = known.live.alarm
    ? `Alarm at ${known.name}, ${clock(known.live.since ?? now())}`
    : `The alarm at ${known.name} has ended`;
  if (known.live.alarm && performance.now() - choseAt > 60000) {
    picked = true;
    choose(known.name);
  }
}

function condition(known) {
  const state = health?.cameras?.[known.name]?.state;
  if (state && state !== "streaming") return state;
  if (!known.live) return "connecting";
  return "streaming";
}

const disarmed = (known) => health?.cameras?.[known.name]?.armed === false;
const alarming = (known) => Boolean(known.live?.alarm) && !disarmed(known);

const away = (known) => ["lost", "stalled", "failed", "connecting", "ended"].includes(condition(known))
  || performance.now() - known.got > STALE * 1000;

// Drawing

function prepared(canvas) {
  const scale = Math.min(2, window.devicePixelRatio || 1);
  const width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  return context;
}

function skeleton(context, joint, colour, width, halo) {
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  for (const [a, b] of BONES) {
    const from = joint(a), to = joint(b);
    if (from && to) { context.moveTo(from[0], from[1]); context.lineTo(to[0], to[1]); }
  }
  if (halo) { context.lineWidth = width + 3; context.strokeStyle = "rgb(0 0 0 / .55)"; context.stroke(); }
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke();
  context.fillStyle = colour;
  for (let index = 0; index < 14; index++) {
    const at = joint(index);
    if (!at) continue;
    context.beginPath();
    context.arc(at[0], at[1], width * (index ? 0.95 : 1.7), 0, 7);
    context.fill();
  }
}

function drawPeople(known, canvas, large) {
  const context = prepared(canvas), width = canvas.clientWidth, height = canvas.clientHeight;
  if (!known.live || !width) return;
  let live = known.live;
  const picture = large && pictures ? known.picture : known.thumbnail ?? null;
  if (picture && large) live = known.recent.find((each) => each.n >= picture.number) ?? live;
  const [w, h] = live.size, scale = Math.min(width / w, height / h);
  const left = (width - w * scale) / 2, top = (height - h * scale) / 2;
  if (picture) context.drawImage(picture.image, left, top, w * scale, h * scale);
  else if (large) ground(context, left, top, w * scale, h * scale);
  zones(context, known, large, (x, y) => [left + x * w * scale, top + y * h * scale]);
  if (away(known)) return;
  for (const [id, score, , joints] of live.people) {
    const colour = colours[level(known, score)];
    const joint = (index) => joints[3 * index + 2] < SEEN ? null
      : [left + joints[3 * index] * scale, top + joints[3 * index + 1] * scale];
    skeleton(context, joint, colour, large ? Math.max(2.2, h * scale / 190) : 1.7, Boolean(picture));
    if (large) label(context, "#" + id, joint, colour, top);
  }
}

// What is watched has a full outline; what is ignored a broken one, and is shaded.
function zones(context, known, large, place) {
  for (const [name, zone] of Object.entries(health?.cameras?.[known.name]?.zones ?? {})) {
    const corners = zone.points.map(([x, y]) => place(x, y));
    context.beginPath();
    for (const [x, y] of corners) context.lineTo(x, y);
    context.closePath();
    context.fillStyle = context.strokeStyle = colours.zone;
    context.lineWidth = large ? 2 : 1;
    context.setLineDash(zone.kind === "ignore" ? [7, 5] : []);
    context.stroke();
    context.setLineDash([]);
    if (zone.kind === "ignore") {
      context.globalAlpha = 0.14;
      context.fill();
      context.globalAlpha = 1;
    }
    if (!large) continue;
    const [x, y] = [0, 1].map((part) => corners.reduce((sum, corner) => sum + corner[part], 0) / corners.length);
    context.font = "600 12px system-ui, sans-serif";
    context.lineWidth = 4;
    context.strokeStyle = colours.stage;
    const text = zone.kind === "ignore" ? name + " (ignored)" : name;
    const half = context.measureText(text).width / 2 + 4;
    context.textAlign = "center";
    const middle = Math.min(Math.max(x, half), context.canvas.clientWidth - half);
    context.strokeText(text, middle, y);
    context.fillText(text, middle, y);
  }
}

function ground(context, left, top, width, height) {
  // A faint grid: the camera's view, in which no picture is shown on purpose.
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.beginPath();
  for (let step = 1; step < 12; step++) {
    const x = left + width * step / 12;
    context.moveTo(x, top);
    context.lineTo(x, top + height);
  }
  for (let step = 1; step < 7; step++) {
    const y = top + height * step / 7;
    context.moveTo(left, y);
    context.lineTo(left + width, y);
  }
  context.globalAlpha = 0.5;
  context.stroke();
  context.globalAlpha = 1;
}

function label(context, text, joint, colour, ceiling) {
  let x = null, y = Infinity;
  for (let index = 0; index < 18; index++) {
    const at = joint(index);
    if (at && at[1] < y) [x, y] = at;
  }
  if (x === null) return;
  context.font = "650 13px system-ui, sans-serif";
  context.textAlign = "center";
  context.lineWidth = 4;
  context.strokeStyle = colours.stage;
  y = Math.max(ceiling + 16, y - 14);
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

// The range of the scores, with the threshold if that does not flatten their curve; scores far above it are cut.
function chartRange(scores, threshold) {
  let low = Infinity, high = -Infinity;
  for (const score of scores) [low, high] = [Math.min(low, score), Math.max(high, score)];
  if (!scores.length) [low, high] = [threshold, threshold];
  if (threshold !== null && low < threshold) high = Math.min(high, Math.max(threshold + 3 * (threshold - low), threshold + 2));
  const room = 4 * Math.max(high - low, 2);
  if (threshold !== null && threshold <= high + room && threshold >= low - room) {
    [low, high] = [Math.min(low, threshold), Math.max(high, threshold)];
  }
  const margin = Math.max(0.2, (high - low) * 0.12);
  return [low - margin, high + margin];
}

function drawChart(known) {
  const canvas = $("chart"), context = prepared(canvas), width = canvas.clientWidth, height = canvas.clientHeight;
  const end = known.got && performance.now() - known.got < 60000 ? now() : known.scores.at(-1)?.[0] ?? now();
  const threshold = known.live?.threshold ?? null;
  const scores = known.scores.map((each) => each[1]).filter((score) => score !== null);
  if (!scores.length && threshold === null) return;
  const [low, high] = chartRange(scores, threshold);
  const left = 34, bottom = height - 18;
  const x = (utc) => width - (end - utc) / HISTORY * (width - left);
  const y = (score) => bottom - (score - low) / (high - low) * (bottom - 6);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = colours.muted;
  context.textAlign = "right";
  const decade = 10 ** Math.floor(Math.log10((high - low) / 4));
  const step = [1, 2, 5, 10].map((each) => each * decade).find((each) => (high - low) / each <= 4.001);
  for (let index = Math.ceil(low / step); index * step <= high; index++) {
    const tick = index * step || 0;  // no negative zero
    context.fillText(Math.abs(tick) < 1e5 ? tick.toFixed(step < 1 ? 1 : 0) : tick.toExponential(0), left - 8, y(tick) + 4);
    context.fillRect(left, y(tick), width - left, 0.15);
  }
  for (let minute = 1; minute < 5; minute++) {
    context.textAlign = "center";
    context.fillText(`−${minute} min`, x(end - 60 * minute), height - 3);
  }
  context.textAlign = "right";
  context.fillText("now", width - 1, height - 3);
  context.save();
  context.beginPath();
  context.rect(left, 0, width - left, bottom);
  context.clip();
  context.fillStyle = colours.alarm;
  context.globalAlpha = 0.16;
  let begun = null;
  known.scores.forEach(([utc, , alarm], index) => {
    if (alarm && begun === null) begun = utc;
    const next = known.scores[index + 1];
    if (begun !== null && (!alarm || !next)) {
      context.fillRect(x(begun), 0, Math.max(1.5, x(alarm ? end : utc) - x(begun)), bottom);
      begun = null;
    }
  });
  context.globalAlpha = 1;
  const paint = (colour, from, to) => {
    context.save();
    context.beginPath();
    context.rect(0, from, width, to - from);
    context.clip();
    context.beginPath();
    let before = null;
    for (const [utc, score] of known.scores) {
      if (score !== null) {
        const row = Math.max(2, y(score));  // what is cut runs along the border
        if (before !== null && utc - before < 1.5) context.lineTo(x(utc), row);
        else { context.moveTo(x(utc), row); context.lineTo(x(utc) + 0.5, row); }
        before = utc;
      } else before = null;
    }
    context.strokeStyle = colour;
    context.lineWidth = 1.6;
    context.lineJoin = "round";
    context.stroke();
    context.restore();
  };
  // A threshold outside of the range is marked at the border.
  const line = threshold === null ? 0 : Math.min(bottom - 0.5, Math.max(0.5, y(threshold)));
  const beyond = threshold === null ? "" : threshold > high ? " \u2191" : threshold < low ? " \u2193" : "";
  paint(colours.calm, line, bottom);
  if (threshold !== null) {
    paint(colours.alarm, 0, line);
    context.setLineDash([5, 4]);
    context.strokeStyle = colours.alarm;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(left, line);
    context.lineTo(width, line);
    context.stroke();
    context.textAlign = "left";
    context.fillStyle = colours.alarm;
    context.fillText("alarm above " + threshold.toFixed(2) + beyond, left + 5, line > 18 ? line - 5 : line + 13);
  }
  context.restore();
}

// The verdict on a camera

function verdict(known) {
  const state = condition(known), since = health?.cameras?.[known.name]?.since_utc;
  const from = since ? " since " + moment(seconds(since)) : "";
  if (cutSince) return ["none", "Unknown", "the service does not respond"];
  if (state === "lost") return ["lost", "Camera lost", from.trim() + ", reconnecting"];
  if (state === "connecting") return ["none", "Connecting", from.trim()];
  if (state === "ended") return ["none", "The source has ended", from.trim()];
  if (state === "failed") return ["lost", "Failed", from.trim() + ", retrying"];
  if (state === "stalled") return ["lost", "Stalled", from.trim() + ", restarting"];
  if (alarming(known)) return ["alarm", "Alarm", "for " + lasting(Math.floor(now() - (known.live.since ?? now())))];
  if (state === "frozen") return ["lost", "The picture is frozen", from.trim()];
  if (state === "black") return ["lost", "The picture is black", from.trim()];
  if (performance.now() - known.got > STALE * 1000) return ["none", "No data", "for " + lasting(now() - known.live.utc)];
  const people = known.live.people;
  if (!people.length && !known.live.alarm) return ["none", "No people", ""];
  if (known.live.alarm) return ["near", "Abnormal", "disarmed, so no alarm"];
  if (people.some((person) => level(known, person[1]) === "alarm")) return ["near", "Above the threshold", ""];
  if (people.some((person) => level(known, person[1]) === "near")) return ["near", "Unusual", ""];
  if (people.every((person) => known.live.ignored?.includes(person[0]))) return ["none", "Not watched", "nobody is where people are watched"];
  if (people.every((person) => person[1] === null)) return ["none", "Watching", "a person is scored after some poses"];
  return ["calm", "Normal", ""];
}

function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

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
    const error = health?.cameras?.[known.name]?.error;
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
      + (health?.cameras?.[known.name]?.misfit ? ", the calibration no longer fits the zones" : ""))
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
    : kind === "none" ? word : count === 1 ? "1 person" : count + " people");
}

function showHeadline() {
  const all = [...views.values()];
  const there = all.filter((each) => alarming(each) && condition(each) !== "lost").map((each) => each.name);
  const lost = all.filter((each) => ["lost", "stalled", "failed", "frozen", "black"].includes(condition(each))).map((each) => each.name);
  let text = "No alarm";
  if (!health && !heard) text = "Connecting";
  else if (cutSince) text = "No connection";
  else if (there.length === 1) text = "Alarm at " + there[0];
  else if (there.length) text = `${there.length} alarms: ${there.slice(0, 4).join(", ")}`;
  else if (lost.length) text = lost.length === 1 ? `Camera ${lost[0]} has a problem` : `${lost.length} cameras have problems`;
  document.body.classList.toggle("alarming", there.length > 0 && !cutSince);
  setText($("headline"), text);
  const title = (there.length && !cutSince ? "\u26a0 " : "") + text + " · daflow-edge";
  if (document.title !== title) document.title = title;
  const people = all.filter((each) => !away(each)).reduce((sum, each) => sum + (each.live?.people.length ?? 0), 0);
  setText($("subline"), all.length ? `${all.length} camera${all.length > 1 ? "s" : ""} · ${people === 1 ? "1 person" : people + " people"}` : "");
}

function frame() {
  requestAnimationFrame(frame);
  if (!dirty || document.hidden) return;
  dirty = false;
  showHeadline();
  for (const known of views.values()) {
    showThumb(known);
    if (views.size > 1) drawPeople(known, known.canvas, false);
  }
  const known = views.get(chosen);
  if (!known) return;
  showBig(known);
  drawPeople(known, $("big-canvas"), true);
  drawChart(known);
}

// Pictures, if the service shows them

async function picture(known, key) {
  try {
    const answer = await fetch(`picture/${encodeURIComponent(known.name)}.jpg`, { cache: "no-store" });
    if (!answer.ok) { known[key] = null; return; }
    const image = await createImageBitmap(await answer.blob());
    known[key]?.image.close();
    known[key] = { image, number: Number(answer.headers.get("x-number")) };
    dirty = true;
  } catch { known[key] = null; }
}

async function followPictures() {
  for (let turn = 0; pictures; turn++) {
    const known = views.get(chosen), others = [...views.values()];
    if (!document.hidden && !cutSince) {
      if (known?.live) await picture(known, "picture");
      if (others.length > 1 && turn % 2 === 0) await picture(others[(turn / 2) % others.length], "thumbnail");
    }
    await new Promise((done) => setTimeout(done, 150));
  }
}

// Alarms

async function refreshAlarms() {
  const camera = $("filter").value;
  try {
    const { alarms: newest } = await get(`api/alarms?limit=${PAGE}&camera=${encodeURIComponent(camera)}`);
    if (camera !== $("filter").value) return;
    const known = new Set(newest.map((alarm) => alarm.id));
    if (newest.length < PAGE) exhausted = true;
    alarms = newest.concat(newest.length < PAGE ? [] : alarms.filter((alarm) => !known.has(alarm.id)));
    showAlarms();
  } catch { /* the stream shows when the service is unreachable */ }
}

async function earlierAlarms() {
  const camera = $("filter").value, last = alarms.at(-1)?.id ?? "";
  $("more").disabled = true;
  try {
    const { alarms: older } = await get(`api/alarms?limit=${PAGE}&camera=${encodeURIComponent(camera)}&before=${last}`);
    exhausted = older.length < PAGE;
    alarms = alarms.concat(older);
    showAlarms();
  } catch { /* the button stays */ } finally { $("more").disabled = false; }
}

function showAlarms() {
  const focused = document.activeElement?.dataset?.id;
  $("alarm-list").replaceChildren(...alarms.map((alarm) => {
    const item = element("li", undefined, alarm.ended_utc ? "" : "now"), button = element("button");
    button.dataset.id = alarm.id;
    const lasted = alarm.ended_utc ? lasting(alarm.seconds ?? 0) : "now";
    button.append(element("b", alarm.camera), element("span", lasted, "right"),
      element("small", moment(seconds(alarm.began_utc))),
      element("small", rarityOf(alarm) || (alarm.score === null ? "" : "score " + Number(alarm.score).toFixed(2)), "right"));
    if (alarm.why) button.append(element("small", alarm.why, "why"));
    if (alarm.armed === false) button.append(element("small", "disarmed, not delivered"));
    if (alarm.interrupted) button.append(element("small", "the service was stopped during the alarm"));
    button.addEventListener("click", () => openReplay(alarm.id));
    item.append(button);
    return item;
  }));
  if (focused) document.querySelector(`#alarm-list [data-id="${CSS.escape(focused)}"]`)?.focus();
  $("no-alarms").hidden = alarms.length > 0;
  $("more").hidden = exhausted || !alarms.length;
}

// Health

async function refreshHealth() {
  try {
    const said = await get("api/health");
    health = said.cameras ? said : health && { ...health, ready: false, problems: said.problems };
    if (!health) return;
    for (const known of views.values()) {
      if (said.cameras && !(known.name in health.cameras) && performance.now() - known.got > 5000) forget(known.name);
    }
    if (Object.keys(health.cameras).some((name) => !views.has(name))) Object.keys(health.cameras).forEach(view);
    else if (!picked && chosen !== Object.keys(health.cameras)[0]) arrange();
    showHealth();
  } catch { /* the stream shows when the service is unreachable */ }
}

function showHealth() {
  setText($("ready"), health.ready ? "ready" : "not ready");
  $("ready").className = "chip " + (health.ready ? "good" : "bad");
  $("problems").replaceChildren(...(health.problems ?? []).map((text) => element("li", local(text))));
  $("cameras").tBodies[0].replaceChildren(...Object.entries(health.cameras).map(([name, camera]) => {
    const row = element("tr"), [good, word] = STATES[camera.state] ?? ["", camera.state];
    const state = element("td", undefined, "state " + good);
    state.append(element("i"), word, element("span", "since " + moment(seconds(camera.since_utc)), "note beside"));
    const label = element("td", name);
    if (camera.source) label.append(element("span", camera.source, "note beside"));
    if (camera.armed === false) label.append(element("span", "disarmed"
      + (camera.armed_until_utc ? " until " + moment(seconds(camera.armed_until_utc)) : "")
      + (camera.armed_why === "schedule" ? " by its schedule" : ""), "note"));
    if (camera.misfit) label.append(element("span", `The calibration no longer fits: ${camera.misfit}.`, "note"));
    if (camera.error) label.append(element("span", local(camera.error), "note"));
    const drift = element("td", local(camera.drift ?? "unknown"), "drift");
    drift.dataset.label = "Drift";
    const model = health.bundle?.fps ? ` (model ${Number(health.bundle.fps.toPrecision(3))})` : "";
    const numbers = [["Frames/s", Number(camera.fps).toFixed(1) + model], ["Dropped", camera.dropped],
      ["Reconnects", camera.reconnects + (camera.restarts ? ` (+${camera.restarts} restarts)` : "")], ["Alarms", camera.alarms]];
    row.append(label, state, ...numbers.map(([title, value]) => {
      const cell = element("td", String(value));
      cell.dataset.label = title;
      return cell;
    }), drift);
    return row;
  }));
  const stages = Object.entries(health.stages ?? {}).filter(([, figures]) => figures.p50_ms !== null);
  const longest = Math.max(1e-9, ...stages.map(([, figures]) => figures.p99_ms ?? 0));
  $("stages").tBodies[0].replaceChildren(...stages.map(([name, figures]) => {
    const row = element("tr"), bar = element("td", undefined, "bar");
    for (const key of ["p50_ms", "p99_ms"]) {
      const part = element("i");
      part.style.width = `calc(${(94 * figures[key] / longest).toFixed(1)}% - 6px)`;
      bar.append(part);
    }
    row.append(element("td", name), ...["p50_ms", "p90_ms", "p99_ms"].map((key) => element("td", figures[key].toFixed(1))), bar);
    return row;
  }));
  const events = health.events ?? {};
  const deliveries = Object.entries(events.deliveries ?? {}).map(([name, delivery]) => {
    const item = element("li");
    const bad = delivery.state === "waiting";
    item.append(element("b", name), " ", element("span", `${delivery.delivered} delivered, ${delivery.pending} pending`
      + (delivery.failures ? `, ${delivery.failures} failures` : "")));
    if (bad || delivery.last_error) item.append(element("span", [bad ? "retrying" : "", local(delivery.last_error ?? "")].filter(Boolean).join(": "), "note"));
    return item;
  });
  $("deliveries").replaceChildren(...(deliveries.length ? deliveries : [element("li", "Events are stored and not delivered.", "muted")]));
  const facts = [
    ["Queue", health.queue ? `${health.queue.length} of ${health.queue.capacity}` : ""],
    ["Events stored", events.stored + (events.waiting ? `, ${events.waiting} not yet on the disk` : "") + (events.lost ? `, ${events.lost} lost` : "")],
    ["Temperature", typeof health.temperature_c === "number" ? health.temperature_c.toFixed(0) + " °C" : "unknown"],
    ["Memory", typeof health.memory_mb === "number" ? health.memory_mb.toFixed(0) + " MB" : "unknown"],
    ["Uptime", lasting(health.uptime_s)], ["Scorer", health.scorer], ["Version", health.version],
    ["Bundle", String(health.bundle?.hash ?? "").slice(0, 12)],
    ["Privacy", pictures ? "pictures are shown" : "skeletons only"],
  ];
  $("facts").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", String(value))]));
  dirty = true;
}

// Connection

let stream = null;

function connect() {
  stream?.close();
  stream = new EventSource("api/live");
  stream.addEventListener("hello", (event) => {
    const hello = JSON.parse(event.data);
    $("logout").hidden = !hello.login;
    if (hello.privacy === "pictures" && !pictures) { pictures = true; followPictures(); }
    pictures = hello.privacy === "pictures";
    refreshAlarms();
    refreshHealth();
  });
  stream.addEventListener("live", (event) => takeLive(JSON.parse(event.data)));
}

function connected() {
  if (!cutSince) return;
  cutSince = null;
  $("gone").hidden = true;
  document.body.classList.remove("cut");
  for (const name of views.keys()) { views.get(name).scores = []; loadHistory(name); }
}

function watch() {
  // A heartbeat comes every two seconds; without it the service or the network has failed.
  dirty = true;
  if (performance.now() - Math.max(heard, 0) < 7000 && stream.readyState === EventSource.OPEN) return;
  const waited = performance.now() - heard;
  if (!cutSince && waited > 4000) {
    cutSince = heard ? new Date(Date.now() - waited) : new Date(started);
    document.body.classList.add("cut");
  }
  if (cutSince) {
    setText($("gone"), `No connection to the service since ${clock(cutSince / 1000)}. Reconnecting.`);
    $("gone").hidden = false;
  }
  if (stream.readyState === EventSource.CLOSED || waited > 15000) connect();
}

$("filter").addEventListener("change", () => { alarms = []; exhausted = false; refreshAlarms(); });
$("more").addEventListener("click", earlierAlarms);
window.addEventListener("resize", () => { dirty = true; });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
new IntersectionObserver(([entry]) => { if (entry.isIntersecting && !$("more").hidden) earlierAlarms(); },
  { root: $("alarms"), rootMargin: "80px" }).observe($("more"));

readColours();
connect();
refreshHealth();
setInterval(refreshHealth, 2000);
setInterval(refreshAlarms, 15000);
setInterval(watch, 1000);
setInterval(() => views.forEach(summarise), 5000);
requestAnimationFrame(frame);

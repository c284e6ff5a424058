// The cameras: their states by the stream, and which one is shown large.
import { refreshAlarms } from "./alarms.js";
import { HISTORY } from "./chart.js";
import { get } from "./service.js";
import { disarmed, now, page, views } from "./state.js";
import { $, clock, element } from "./text.js";
import { followWall, leaveWall } from "./wall.js";

export function view(name) {
  if (!views.has(name)) {
    const button = element("button", undefined, "thumb");
    const canvas = element("canvas"), line = element("span");
    canvas.setAttribute("aria-hidden", "true");
    line.append(element("b", name), element("em"));
    button.append(canvas, line);
    button.addEventListener("click", () => { page.picked = true; page.choseAt = performance.now(); choose(name); leaveWall(); });
    views.set(name, { name, live: null, got: 0, recent: [], scores: [], usual: null, button, canvas,
      word: line.lastChild, picture: null, announced: false });
    loadHistory(name);
    arrange();
  }
  return views.get(name);
}

export function arrange() {
  // In the order of the configuration, as far as it is known.
  const order = [...new Set([...Object.keys(page.health?.cameras ?? {}), ...views.keys()])].filter((name) => views.has(name));
  $("strip").replaceChildren(...order.map((name) => views.get(name).button));
  document.body.classList.toggle("several", views.size > 1);
  followWall();
  $("filter").replaceChildren(option("", "All cameras"), ...order.map((name) => option(name, name)));
  if (!page.picked) choose(order[0]);
}

export function forget(name) {
  views.delete(name);
  if (page.chosen === name) [page.chosen, page.picked] = [null, false];
  if (views.size) arrange();
}

function option(value, text) {
  const made = element("option", text);
  made.value = value;
  made.selected = value === $("filter").value;
  return made;
}

export function choose(name) {
  page.chosen = name;
  for (const each of views.values()) each.button.setAttribute("aria-pressed", String(each.name === name));
  $("big-name").textContent = name;
  page.dirty = true;
}

export async function loadHistory(name) {
  try {
    const { scores } = await get("api/history?camera=" + encodeURIComponent(name));
    const known = views.get(name);
    const first = known.scores.length ? known.scores[0][0] : Infinity;
    known.scores = scores.filter(([utc]) => utc < first).concat(known.scores);
    summarise(known);
  } catch { /* the stream shows when the service is unreachable */ }
}

export function summarise(known) {
  const scores = known.scores.map((moment) => moment[1]).filter((score) => score !== null).sort((a, b) => a - b);
  known.usual = scores.length ? scores[scores.length >> 1] : null;
  page.dirty = true;
}

export function takeLive(message) {
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
  page.dirty = true;
}

function alarmChanged(known) {
  known.announced = known.live.alarm;
  for (const wait of [300, 1500, 4000]) setTimeout(refreshAlarms, wait);  // the store may be a little behind
  if (disarmed(known)) return;
  $("announce").textContent = known.live.alarm
    ? `Alarm at ${known.name}, ${clock(known.live.since ?? now())}`
    : `The alarm at ${known.name} has ended`;
  if (known.live.alarm && !page.edited && performance.now() - page.choseAt > 60000) {
    page.picked = true;
    choose(known.name);
  }
}

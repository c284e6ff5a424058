// The score over time.
import { colours, prepared } from "./drawing.js";
import { now } from "./state.js";
import { $ } from "./text.js";

export const HISTORY = 300;        // seconds

// The range of the scores, with the threshold if that does not flatten their curve; scores far above it are cut.
export function chartRange(scores, threshold) {
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

export function drawChart(known) {
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

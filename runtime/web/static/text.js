// Texts and elements. What comes from outside is only ever set as text.

export const $ = (id) => document.getElementById(id);

export function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

export const clock = (utc) => new Date(utc * 1000).toLocaleTimeString([], { hourCycle: "h23" });
export const seconds = (iso) => Date.parse(iso) / 1000;

export function moment(utc) {
  const date = new Date(utc * 1000);
  if (date.toDateString() === new Date().toDateString()) return clock(utc);
  return date.toLocaleDateString([], { day: "numeric", month: "short" }) + ", " + clock(utc);
}

// Messages of the service name times in UTC; the page shows all times as the clock on the wall does.
export const local = (text) => String(text).replace(/\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)/g,
  (iso) => Number.isFinite(seconds(iso)) ? moment(seconds(iso)) : iso);

export function lasting(value) {
  const whole = Math.max(0, Math.round(value));
  if (value < 10 && value >= 0) return value.toFixed(1).replace(/\.0$/, "") + " s";
  if (whole < 90) return whole + " s";
  if (whole < 5400) return Math.round(whole / 60) + " min";
  return whole < 172800 ? (whole / 3600).toFixed(1) + " h" : Math.round(whole / 86400) + " days";
}

export function rarity(p, beyond = false) {
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
export const rarityOf = (alarm) => alarm.rarity?.startsWith("rarer") ? alarm.rarity : rarity(alarm.p_value, alarm.beyond_normal);

export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

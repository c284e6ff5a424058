// The verdict on a camera.
import { STALE, alarming, condition, level, now, page } from "./state.js";
import { lasting, moment, seconds } from "./text.js";

export function verdict(known) {
  const state = condition(known), since = page.health?.cameras?.[known.name]?.since_utc;
  const from = since ? " since " + moment(seconds(since)) : "";
  if (page.cutSince) return ["none", "Unknown", "the service does not respond"];
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

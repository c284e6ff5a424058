// Arming of the camera that is shown large.
import { change } from "./service.js";
import { arming, page } from "./state.js";
import { $, moment, seconds, setText } from "./text.js";

const at = (iso) => moment(seconds(iso));

function words(state) {
  const next = state.schedule_changes_utc ? at(state.schedule_changes_utc) : null;
  if (state.armed_why === "snoozed") return ["Snoozed", `until ${at(state.armed_until_utc)}`];
  const word = state.armed ? "Armed" : "Disarmed";
  if (state.armed_why === "always") return [word, "it has no schedule"];
  if (state.armed_why === "schedule") return [word, "by its schedule" + (next ? `, until ${next}` : ", always")];
  return [word, state.armed_until_utc ? `by hand, until its schedule changes: ${at(state.armed_until_utc)}` : "by hand"];
}

export function showArming(name) {
  const state = arming(name);
  $("arming").hidden = state?.armed === undefined;
  if (!state) return;
  if ($("arming").dataset.camera !== name) {
    $("arming").dataset.camera = name;
    setText($("arming-said"), "");
  }
  const [word, more] = words(state);
  setText($("arming-word"), word);
  $("arming-word").className = "word " + (state.armed ? "" : "off");
  setText($("arming-more"), more + (state.armed ? "" : ". Alarms are stored and not delivered"));
  setText($("arm"), state.armed ? "Disarm" : "Arm");
}

async function say(action) {
  const camera = page.chosen;
  setText($("arming-said"), "");
  try {
    const state = await change("POST", `api/cameras/${encodeURIComponent(camera)}/${action}`);
    page.arming = { ...page.arming, [camera]: state };
    showArming(camera);
    setText($("arming-said"), `${camera}: ${words(state).join(" ")}`);
  } catch (error) {
    setText($("arming-said"), error.message);
  }
}

export function watchArming() {
  $("arm").addEventListener("click", () => say(arming(page.chosen)?.armed ? "disarm" : "arm"));
  $("snooze").addEventListener("submit", (event) => {
    event.preventDefault();
    say("snooze?minutes=" + $("snooze-minutes").value);
  });
}

// The list of alarms.
import { labelButtons } from "./labels.js";
import { openReplay } from "./replay.js";
import { get } from "./service.js";
import { $, element, lasting, moment, rarityOf, seconds } from "./text.js";

const PAGE = 20;            // alarms fetched in one request

let alarms = [], exhausted = false;

export async function refreshAlarms() {
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

export function filterAlarms() {
  alarms = [];
  exhausted = false;
  refreshAlarms();
}

export async function earlierAlarms() {
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
    item.append(button, labelButtons(alarm, refreshAlarms));
    return item;
  }));
  if (focused) document.querySelector(`#alarm-list [data-id="${CSS.escape(focused)}"]`)?.focus();
  $("no-alarms").hidden = alarms.length > 0;
  $("more").hidden = exhausted || !alarms.length;
}

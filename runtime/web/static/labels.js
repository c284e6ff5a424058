// What an operator says of alarms, and the share of them that was real.
import { change, get } from "./service.js";
import { $, element, setText } from "./text.js";

// The two buttons of an alarm; the pressed one says what it is labelled as, and takes the label away.
export function labelButtons(alarm, done) {
  const group = element("div", undefined, "labels for-operator");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "What this alarm was");
  for (const [label, text] of [["false", "False alarm"], ["real", "Real"]]) {
    const button = element("button", text, "quiet");
    button.type = "button";
    button.dataset.id = `${label}-${alarm.id}`;
    button.setAttribute("aria-pressed", String(alarm.label === label));
    if (alarm.label === label && alarm.labelled_by) button.title = `${alarm.labelled_by}, ${new Date(alarm.labelled_utc).toLocaleString()}`;
    button.addEventListener("click", () => say(alarm, alarm.label === label ? null : label, button, done));
    group.append(button);
  }
  return group;
}

async function say(alarm, label, button, done) {
  button.disabled = true;
  try {
    await change("POST", `api/alarms/${encodeURIComponent(alarm.id)}/label`, { label });
    setText($("label-problem"), "");
  } catch (error) {
    setText($("label-problem"), error.message);
  } finally {
    button.disabled = false;
  }
  done();
  showPrecision();
}

export async function showPrecision() {
  let weeks;
  try { weeks = (await get("api/precision")).weeks; } catch { return; }  // the stream shows when the service is unreachable
  const rows = weeks.filter((row) => row.precision !== null).slice(0, 30);
  $("precision").hidden = !rows.length;
  $("precision-rows").replaceChildren(...rows.map((row) => {
    const line = element("tr"), [low, high] = row.interval.map((bound) => Math.round(100 * bound));
    const share = element("td", `${Math.round(100 * row.precision)} %`);
    share.append(element("span", `${low} to ${high} %`, "note"));
    line.append(element("td", row.week), element("td", row.camera), element("td", `${row.real} of ${row.real + row.false}`), share);
    return line;
  }));
}

// What an operator says of alarms, and the share of them that was real.

let token = null;           // asked for once, and kept by this page alone
let changed = () => {};     // called when an alarm was labelled

function made(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

// The two buttons of an alarm; the pressed one says what it is labelled as, and takes the label away.
export function labelButtons(alarm) {
  const group = made("div", undefined, "labels");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "What this alarm was");
  for (const [label, text] of [["false", "False alarm"], ["real", "Real"]]) {
    const button = made("button", text, "quiet");
    button.type = "button";
    button.dataset.id = `${label}-${alarm.id}`;
    button.setAttribute("aria-pressed", String(alarm.label === label));
    if (alarm.label === label && alarm.labelled_by) button.title = `${alarm.labelled_by}, ${new Date(alarm.labelled_utc).toLocaleString()}`;
    button.addEventListener("click", () => say(alarm, alarm.label === label ? null : label, button));
    group.append(button);
  }
  return group;
}

async function say(alarm, label, button) {
  const problem = document.getElementById("label-problem");
  problem.textContent = "";
  if (token === null && (token = await askForToken()) === null) return;
  button.disabled = true;
  try {
    const answer = await fetch(`api/alarms/${encodeURIComponent(alarm.id)}/label`, {
      method: "POST", body: JSON.stringify({ label }), signal: AbortSignal.timeout(8000),
      headers: { "Content-Type": "application/json", Authorization: "Bearer " + token },
    });
    if (answer.status === 401) token = null;
    if (!answer.ok) problem.textContent = `The alarm was not labelled: ${(await answer.json()).error}.`;
  } catch {
    problem.textContent = "The alarm was not labelled: the service cannot be reached.";
  } finally {
    button.disabled = false;
  }
  changed();
  showPrecision();
}

function askForToken() {
  const dialog = document.getElementById("ask-token"), input = document.getElementById("token");
  input.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    done(dialog.returnValue === "ok" && input.value.trim() ? input.value.trim() : null);
    input.value = "";
  }, { once: true }));
}

export async function showPrecision() {
  try {
    const answer = await fetch("api/precision", { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (!answer.ok) return;
    const weeks = (await answer.json()).weeks.filter((row) => row.precision !== null).slice(0, 30);
    document.getElementById("precision").hidden = !weeks.length;
    document.getElementById("precision-rows").replaceChildren(...weeks.map((row) => {
      const line = made("tr"), [low, high] = row.interval.map((bound) => Math.round(100 * bound));
      const share = made("td", `${Math.round(100 * row.precision)} %`);
      share.append(made("span", `${low} to ${high} %`, "note"));
      line.append(made("td", row.week), made("td", row.camera), made("td", `${row.real} of ${row.real + row.false}`), share);
      return line;
    }));
  } catch { /* the stream shows when the service is unreachable */ }
}

export function followLabels(refresh) {
  changed = refresh;
  showPrecision();
  setInterval(showPrecision, 60000);
}

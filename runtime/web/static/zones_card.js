// The zones of the camera that is shown large: listed, and for an operator drawn, changed and deleted.
import { change } from "./service.js";
import { mayWrite, page } from "./state.js";
import { $, element, setText } from "./text.js";
import { begin, corners, place, stop } from "./zone_editor.js";

const KINDS = { ignore: "nobody there is scored", watch: "only who is there is scored" };
const zonesOf = (camera) => page.health?.cameras?.[camera]?.zones ?? {};

let before = null;  // the zones before the last change, for Undo: [camera, zones]

export function showZones(camera) {
  const known = page.health?.cameras?.[camera];
  $("zones").hidden = !known;
  if (!known) return;
  if (page.edited && page.edited.camera !== camera) cancel(`The zone of ${page.edited.camera} was not saved.`);
  if ($("zones").dataset.camera !== camera) {
    $("zones").dataset.camera = camera;
    before = null;
    if (!$("zone-said").textContent.includes("not saved")) setText($("zone-said"), "");
  }
  $("zone-form").hidden = !page.edited;
  $("draw").hidden = Boolean(page.edited) || !mayWrite();
  $("undo").hidden = !before || Boolean(page.edited) || !mayWrite();
  if (page.edited) place();
  const zones = zonesOf(camera), state = JSON.stringify([zones, mayWrite(), Boolean(page.edited)]);
  if ($("zone-list").dataset.state === state) return;
  $("zone-list").dataset.state = state;
  const items = Object.entries(zones).map(([name, zone]) => {
    const item = element("li");
    item.append(element("b", name), " ", element("span", KINDS[zone.kind], "muted"));
    if (mayWrite() && !page.edited) item.append(
      button("Change", `Change the zone ${name}`, () => edit(name)),
      button("Delete", `Delete the zone ${name}`, () => remove(name)));
    return item;
  });
  $("zone-list").replaceChildren(...(items.length ? items : [element("li", "None: people are scored everywhere.", "muted")]));
}

function button(text, label, action) {
  const made = element("button", text, "quiet small");
  made.setAttribute("aria-label", label);
  made.addEventListener("click", action);
  return made;
}

function edit(name) {
  const zones = zonesOf(page.chosen), zone = zones[name];
  let number = 1;
  while (`zone ${number}` in zones) number++;
  page.edited = { camera: page.chosen, name };
  $("zone-name").value = name ?? `zone ${number}`;
  for (const kind of document.getElementsByName("zone-kind")) kind.checked = kind.value === (zone?.kind ?? "ignore");
  setText($("zone-said"), "");
  setText($("zone-hint"), "Drag the corners, or move one with the arrow keys. A click in the picture adds one.");
  showZones(page.chosen);
  begin(zone?.points);
  $("big").scrollIntoView({ block: "start" });
  page.dirty = true;
}

function cancel(said) {
  page.edited = null;
  stop();
  setText($("zone-said"), said);
  page.dirty = true;
}

async function save(event) {
  event.preventDefault();
  const { camera, name } = page.edited, wanted = $("zone-name").value.trim();
  const kind = [...document.getElementsByName("zone-kind")].find((each) => each.checked).value;
  const zones = zonesOf(camera);
  if (wanted !== name && wanted in zones) { setText($("zone-hint"), `There is a zone ${wanted} already.`); return; }
  const kept = Object.entries(zones).map(([each, zone]) => each === name ? [wanted, { kind, points: corners() }] : [each, zone]);
  const changed = Object.fromEntries(name === undefined ? [...kept, [wanted, { kind, points: corners() }]] : kept);
  if (await put(camera, changed, `Saved: ${wanted}.`)) {
    cancel(`Saved: ${wanted}. Other zones than the calibration's make it provisional.`);
    showZones(camera);
    $("draw").focus();
    $("zones").scrollIntoView({ block: "nearest" });
  }
}

async function remove(name) {
  const others = { ...zonesOf(page.chosen) };
  delete others[name];
  if (await put(page.chosen, others, `Deleted: ${name}.`)) $("undo").focus();
}

async function put(camera, zones, said) {
  const old = zonesOf(camera);
  try {
    const answer = await change("PUT", `api/cameras/${encodeURIComponent(camera)}/zones`, zones);
    page.health.cameras[camera].zones = answer.zones;
  } catch (error) {
    setText($(page.edited ? "zone-hint" : "zone-said"), error.message);
    return false;
  }
  before = [camera, old];
  setText($("zone-said"), said);
  showZones(camera);
  page.dirty = true;
  return true;
}

async function undo() {
  const [camera, zones] = before;
  if (!await put(camera, zones, "The zones are as before.")) return;
  before = null;
  showZones(camera);
  $("draw").focus();
}

export function watchZones() {
  $("draw").addEventListener("click", () => edit(undefined));
  $("undo").addEventListener("click", undo);
  $("zone-form").addEventListener("submit", save);
  $("zone-cancel").addEventListener("click", () => { cancel("Nothing was changed."); showZones(page.chosen); $("draw").focus(); });
}

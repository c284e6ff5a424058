// Health of the service.
import { arrange, forget, view } from "./cameras.js";
import { get } from "./service.js";
import { page, views } from "./state.js";
import { $, element, lasting, local, moment, seconds, setText } from "./text.js";

const STATES = {
  streaming: ["good", "streaming"], connecting: ["warn", "connecting"], frozen: ["warn", "picture frozen"],
  black: ["warn", "picture black"], stalled: ["bad", "stalled"], failed: ["bad", "failed"], lost: ["bad", "lost"], ended: ["", "ended"],
};

export async function refreshHealth() {
  try {
    const said = await get("api/health");
    page.health = said.cameras ? said : page.health && { ...page.health, ready: false, problems: said.problems };
    if (!page.health) return;
    for (const known of views.values()) {
      if (said.cameras && !(known.name in page.health.cameras) && performance.now() - known.got > 5000) forget(known.name);
    }
    if (Object.keys(page.health.cameras).some((name) => !views.has(name))) Object.keys(page.health.cameras).forEach(view);
    else if (!page.picked && page.chosen !== Object.keys(page.health.cameras)[0]) arrange();
    showHealth();
  } catch { /* the stream shows when the service is unreachable */ }
}

function showHealth() {
  setText($("ready"), page.health.ready ? "ready" : "not ready");
  $("ready").className = "chip " + (page.health.ready ? "good" : "bad");
  $("problems").replaceChildren(...(page.health.problems ?? []).map((text) => element("li", local(text))));
  $("cameras").tBodies[0].replaceChildren(...Object.entries(page.health.cameras).map(([name, camera]) => {
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
    const model = page.health.bundle?.fps ? ` (model ${Number(page.health.bundle.fps.toPrecision(3))})` : "";
    const numbers = [["Frames/s", Number(camera.fps).toFixed(1) + model], ["Dropped", camera.dropped],
      ["Reconnects", camera.reconnects + (camera.restarts ? ` (+${camera.restarts} restarts)` : "")], ["Alarms", camera.alarms]];
    row.append(label, state, ...numbers.map(([title, value]) => {
      const cell = element("td", String(value));
      cell.dataset.label = title;
      return cell;
    }), drift);
    return row;
  }));
  const stages = Object.entries(page.health.stages ?? {}).filter(([, figures]) => figures.p50_ms !== null);
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
  const events = page.health.events ?? {};
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
    ["Queue", page.health.queue ? `${page.health.queue.length} of ${page.health.queue.capacity}` : ""],
    ["Events stored", events.stored + (events.waiting ? `, ${events.waiting} not yet on the disk` : "") + (events.lost ? `, ${events.lost} lost` : "")],
    ["Temperature", typeof page.health.temperature_c === "number" ? page.health.temperature_c.toFixed(0) + " °C" : "unknown"],
    ["Memory", typeof page.health.memory_mb === "number" ? page.health.memory_mb.toFixed(0) + " MB" : "unknown"],
    ["Uptime", lasting(page.health.uptime_s)], ["Scorer", page.health.scorer], ["Version", page.health.version],
    ["Bundle", String(page.health.bundle?.hash ?? "").slice(0, 12)],
    ["Privacy", page.pictures ? "pictures are shown" : "skeletons only"],
  ];
  $("facts").replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", String(value))]));
  page.dirty = true;
}

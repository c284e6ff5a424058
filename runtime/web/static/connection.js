// The connection to the service.
import { refreshAlarms } from "./alarms.js";
import { loadHistory, takeLive } from "./cameras.js";
import { refreshHealth } from "./health.js";
import { followPictures } from "./pictures.js";
import { showRole } from "./role.js";
import { page, views } from "./state.js";
import { $, clock, setText } from "./text.js";

let stream = null;

export function connect() {
  stream?.close();
  stream = new EventSource("api/live");
  stream.addEventListener("hello", (event) => {
    const hello = JSON.parse(event.data);
    $("logout").hidden = !hello.login;
    showRole(hello.role);
    if (hello.privacy === "pictures" && !page.pictures) { page.pictures = true; followPictures(); }
    page.pictures = hello.privacy === "pictures";
    refreshAlarms();
    refreshHealth();
  });
  stream.addEventListener("arming", (event) => { page.arming = JSON.parse(event.data); page.dirty = true; });
  stream.addEventListener("live", (event) => {
    const message = JSON.parse(event.data);
    page.heard = performance.now();
    page.skew = message.now - Date.now() / 1000;
    connected();
    takeLive(message);
  });
}

function connected() {
  if (!page.cutSince) return;
  page.cutSince = null;
  $("gone").hidden = true;
  document.body.classList.remove("cut");
  for (const name of views.keys()) { views.get(name).scores = []; loadHistory(name); }
}

export function watch() {
  // A heartbeat comes every two seconds; without it the service or the network has failed.
  page.dirty = true;
  if (performance.now() - Math.max(page.heard, 0) < 7000 && stream.readyState === EventSource.OPEN) return;
  const waited = performance.now() - page.heard;
  if (!page.cutSince && waited > 4000) {
    page.cutSince = page.heard ? new Date(Date.now() - waited) : new Date(page.started);
    document.body.classList.add("cut");
  }
  if (page.cutSince) {
    setText($("gone"), `No connection to the service since ${clock(page.cutSince / 1000)}. Reconnecting.`);
    $("gone").hidden = false;
  }
  if (stream.readyState === EventSource.CLOSED || waited > 15000) connect();
}

// The wall: all cameras at once, as large as the window lets them be. It has an address of its own, so "back" works.
import { page, views } from "./state.js";
import { $, setText } from "./text.js";

const SHAPE = 16 / 9, CAPTION = 34, GAP = 10, SMALLEST = 150;  // pixels

// In how many columns tiles are largest, of which there are so many, in an area of a width and height.
export function columns(count, width, height) {
  let best = 1, largest = 0;
  for (let across = 1; across <= count; across++) {
    const down = Math.ceil(count / across);
    const tile = Math.min((width - GAP * (across - 1)) / across, ((height - GAP * (down - 1)) / down - CAPTION) * SHAPE);
    if (tile > largest) [best, largest] = [across, tile];
  }
  return largest >= SMALLEST ? best : Math.max(1, Math.min(count, Math.floor((width + GAP) / (SMALLEST + GAP))));
}

export const onWall = () => document.body.classList.contains("wall");

function layWall() {
  if (!onWall()) return;
  const top = $("strip").getBoundingClientRect().top + window.scrollY;
  const across = columns(views.size, $("strip").clientWidth, Math.max(240, window.innerHeight - top - 20));
  $("strip").style.setProperty("--columns", across);
}

function show(wall) {
  if (wall === onWall()) return;
  document.body.classList.toggle("wall", wall);
  setText($("wall"), wall ? "One camera" : "All cameras");
  if (wall) {
    layWall();
    window.scrollTo(0, 0);
    (views.get(page.chosen)?.button ?? $("wall")).focus({ preventScroll: true });
  } else {
    $("wall").focus();
  }
  page.dirty = true;
}

// Does what the address says; one camera alone needs no wall.
export function followWall() {
  $("wall").hidden = views.size < 2;
  if (["", "#camera", "#wall"].includes(location.hash)) show(location.hash === "#wall" && views.size > 1);
  layWall();
}

// Opens the camera that was chosen on the wall.
export function leaveWall() {
  if (onWall()) location.hash = "camera";
}

export function watchWall() {
  $("wall").addEventListener("click", () => { location.hash = onWall() ? "camera" : "wall"; });
  window.addEventListener("hashchange", followWall);
  window.addEventListener("resize", layWall);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !onWall() && views.size > 1 && !page.edited && !document.querySelector("dialog[open]")) {
      location.hash = "wall";
    }
  });
}

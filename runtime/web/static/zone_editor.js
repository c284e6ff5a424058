// The outline of a zone over the view of a camera: moved by mouse, touch and keyboard.
import { placement } from "./scene.js";
import { views, page } from "./state.js";
import { $, setText } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";
const NEW = [[0.3, 0.35], [0.7, 0.35], [0.7, 0.8], [0.3, 0.8]];
const STEP = 0.01, LARGE_STEP = 0.05;  // of the picture, with an arrow key
const MAX_CORNERS = 64;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

let points = [], dragged = null, shown = "";

const fraction = (value) => Math.round(1e4 * Math.min(1, Math.max(0, value))) / 1e4;
const percent = (value) => Math.round(100 * value) + " %";

export const corners = () => points.map((each) => [...each]);

export function begin(outline) {
  points = (outline ?? NEW).map((each) => [...each]);
  $("zone-editor").removeAttribute("hidden");
  draw();
  $("zone-editor").querySelector("circle").focus({ preventScroll: true });
}

export function stop() {
  $("zone-editor").setAttribute("hidden", "");
  $("zone-editor").replaceChildren();
  points = [];
  dragged = null;
}

// Follows the view when it has another size.
export function place() {
  if (points.length && shown !== where()) draw();
}

const area = () => placement($("big-canvas"), views.get(page.chosen)?.live?.size ?? [16, 9]);
const where = () => JSON.stringify(area());

function draw() {
  const { left, top, width, height } = area();
  shown = where();
  const at = points.map(([x, y]) => [left + x * width, top + y * height]);
  const outline = document.createElementNS(SVG, "polygon");
  outline.setAttribute("points", at.join(" "));
  const editor = $("zone-editor"), focused = [...editor.querySelectorAll("circle")].indexOf(document.activeElement);
  const handles = at.map(([x, y], index) => {
    const handle = document.createElementNS(SVG, "circle");
    for (const [name, value] of Object.entries({
      cx: x, cy: y, r: 8, tabindex: 0, role: "button", "data-index": index,
      "aria-label": `Corner ${index + 1} of ${points.length}, at ${percent(points[index][0])} from the left and `
        + `${percent(points[index][1])} from above. Arrow keys move it, Delete removes it, Enter adds one after it`,
    })) handle.setAttribute(name, value);
    return handle;
  });
  editor.replaceChildren(outline, ...handles);
  if (focused >= 0) handles[Math.min(focused, handles.length - 1)].focus({ preventScroll: true });
}

function say(index) {
  setText($("zone-hint"), `Corner ${index + 1} of ${points.length}: ${percent(points[index][0])} from the left, ${percent(points[index][1])} from above.`);
}

function move(index, x, y) {
  points[index] = [fraction(x), fraction(y)];
  draw();
}

function add(index, point) {
  if (points.length >= MAX_CORNERS) { setText($("zone-hint"), `A zone has at most ${MAX_CORNERS} corners.`); return; }
  points.splice(index, 0, point.map(fraction));
  draw();
  focus(index);
}

function remove(index) {
  if (points.length <= 3) { setText($("zone-hint"), "A zone has at least three corners."); return; }
  points.splice(index, 1);
  draw();
  focus(Math.min(index, points.length - 1));
}

function focus(index) {
  $("zone-editor").querySelectorAll("circle")[index].focus({ preventScroll: true });
  say(index);
}

function key(event) {
  const index = Number(event.target.dataset?.index ?? NaN), arrow = KEYS[event.key];
  if (Number.isNaN(index)) return;
  const [x, y] = points[index], [nextX, nextY] = points[(index + 1) % points.length];
  if (arrow) {
    const step = event.shiftKey ? LARGE_STEP : STEP;
    move(index, x + step * arrow[0], y + step * arrow[1]);
    say(index);
  } else if (event.key === "Delete" || event.key === "Backspace") remove(index);
  else if (event.key === "Enter" || event.key === " ") add(index + 1, [(x + nextX) / 2, (y + nextY) / 2]);
  else return;
  event.preventDefault();
}

function fractions(event) {
  const box = $("zone-editor").getBoundingClientRect(), { left, top, width, height } = area();
  return [(event.clientX - box.left - left) / width, (event.clientY - box.top - top) / height];
}

// The number of the corner after the side that is nearest to a place.
function nearestSide([x, y]) {
  const distance = (index) => {
    const [ax, ay] = points[index], [bx, by] = points[(index + 1) % points.length];
    const [dx, dy] = [bx - ax, by - ay], length = dx * dx + dy * dy || 1;
    const part = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length));
    return Math.hypot(ax + part * dx - x, ay + part * dy - y);
  };
  return 1 + points.map((_, index) => index).reduce((best, index) => distance(index) < distance(best) ? index : best, 0);
}

export function watchEditor() {
  const editor = $("zone-editor");
  editor.addEventListener("keydown", key);
  editor.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    if (event.target.dataset?.index === undefined) add(nearestSide(fractions(event)), fractions(event));
    dragged = event.target.dataset?.index !== undefined ? Number(event.target.dataset.index)
      : Number(document.activeElement.dataset?.index ?? NaN);
    editor.setPointerCapture(event.pointerId);
    if (!Number.isNaN(dragged)) focus(dragged);
  });
  editor.addEventListener("pointermove", (event) => {
    if (dragged === null || Number.isNaN(dragged)) return;
    move(dragged, ...fractions(event));
  });
  for (const end of ["pointerup", "pointercancel"]) editor.addEventListener(end, () => {
    if (dragged !== null && !Number.isNaN(dragged) && points.length) say(dragged);
    dragged = null;
  });
}

// Canvases, colours and skeletons.
import { page } from "./state.js";

const BONES = [[4, 3], [3, 2], [7, 6], [6, 5], [13, 12], [12, 11], [10, 9], [9, 8], [11, 5], [8, 2], [5, 1],
  [2, 1], [0, 1], [15, 0], [14, 0], [17, 15], [16, 14]];
export const SEEN = 30;            // percent; a joint below this confidence is a guess and is not drawn

export const colours = {};

export function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "muted", "line", "calm", "near", "alarm", "unscored", "stage", "zone"]) {
    colours[name] = style.getPropertyValue("--" + name).trim();
  }
  page.dirty = true;
}

export function prepared(canvas) {
  const scale = Math.min(2, window.devicePixelRatio || 1);
  const width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  return context;
}

export function skeleton(context, joint, colour, width, halo) {
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  for (const [a, b] of BONES) {
    const from = joint(a), to = joint(b);
    if (from && to) { context.moveTo(from[0], from[1]); context.lineTo(to[0], to[1]); }
  }
  if (halo) { context.lineWidth = width + 3; context.strokeStyle = "rgb(0 0 0 / .55)"; context.stroke(); }
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke();
  context.fillStyle = colour;
  for (let index = 0; index < 14; index++) {
    const at = joint(index);
    if (!at) continue;
    context.beginPath();
    context.arc(at[0], at[1], width * (index ? 0.95 : 1.7), 0, 7);
    context.fill();
  }
}

// The view of a camera: people, zones, and the picture where it is shown.
import { SEEN, colours, prepared, skeleton } from "./drawing.js";
import { away, level, page } from "./state.js";

// Where the picture is on a canvas, which may have another shape.
export function placement(canvas, [w, h]) {
  const scale = Math.min(canvas.clientWidth / w, canvas.clientHeight / h);
  return { left: (canvas.clientWidth - w * scale) / 2, top: (canvas.clientHeight - h * scale) / 2, scale,
    width: w * scale, height: h * scale };
}

export function drawPeople(known, canvas, large) {
  const context = prepared(canvas);
  if (!known.live || !canvas.clientWidth) return;
  let live = known.live;
  const picture = large && page.pictures ? known.picture : known.thumbnail ?? null;
  if (picture && large) live = known.recent.find((each) => each.n >= picture.number) ?? live;
  const [w, h] = live.size, { left, top, scale } = placement(canvas, live.size);
  if (picture) context.drawImage(picture.image, left, top, w * scale, h * scale);
  else if (large) ground(context, left, top, w * scale, h * scale);
  zones(context, known, large, (x, y) => [left + x * w * scale, top + y * h * scale]);
  if (away(known)) return;
  for (const [id, score, , joints] of live.people) {
    const colour = colours[level(known, score)];
    const joint = (index) => joints[3 * index + 2] < SEEN ? null
      : [left + joints[3 * index] * scale, top + joints[3 * index + 1] * scale];
    skeleton(context, joint, colour, large ? Math.max(2.2, h * scale / 190) : 1.7, Boolean(picture));
    if (large) label(context, "#" + id, joint, colour, top);
  }
}

// What is watched has a full outline; what is ignored a broken one, and is shaded.
export function zones(context, known, large, place) {
  for (const [name, zone] of Object.entries(page.health?.cameras?.[known.name]?.zones ?? {})) {
    if (large && page.edited?.camera === known.name && page.edited.name === name) continue;
    const corners = zone.points.map(([x, y]) => place(x, y));
    context.beginPath();
    for (const [x, y] of corners) context.lineTo(x, y);
    context.closePath();
    context.fillStyle = context.strokeStyle = colours.zone;
    context.lineWidth = large ? 2 : 1;
    context.setLineDash(zone.kind === "ignore" ? [7, 5] : []);
    context.stroke();
    context.setLineDash([]);
    if (zone.kind === "ignore") {
      context.globalAlpha = 0.14;
      context.fill();
      context.globalAlpha = 1;
    }
    if (!large) continue;
    const [x, y] = [0, 1].map((part) => corners.reduce((sum, corner) => sum + corner[part], 0) / corners.length);
    context.font = "600 12px system-ui, sans-serif";
    context.lineWidth = 4;
    context.strokeStyle = colours.stage;
    const text = zone.kind === "ignore" ? name + " (ignored)" : name;
    const half = context.measureText(text).width / 2 + 4;
    context.textAlign = "center";
    const middle = Math.min(Math.max(x, half), context.canvas.clientWidth - half);
    context.strokeText(text, middle, y);
    context.fillText(text, middle, y);
  }
}

export function ground(context, left, top, width, height) {
  // A faint grid: the camera's view, in which no picture is shown on purpose.
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.beginPath();
  for (let step = 1; step < 12; step++) {
    const x = left + width * step / 12;
    context.moveTo(x, top);
    context.lineTo(x, top + height);
  }
  for (let step = 1; step < 7; step++) {
    const y = top + height * step / 7;
    context.moveTo(left, y);
    context.lineTo(left + width, y);
  }
  context.globalAlpha = 0.5;
  context.stroke();
  context.globalAlpha = 1;
}

export function label(context, text, joint, colour, ceiling) {
  let x = null, y = Infinity;
  for (let index = 0; index < 18; index++) {
    const at = joint(index);
    if (at && at[1] < y) [x, y] = at;
  }
  if (x === null) return;
  context.font = "650 13px system-ui, sans-serif";
  context.textAlign = "center";
  context.lineWidth = 4;
  context.strokeStyle = colours.stage;
  y = Math.max(ceiling + 16, y - 14);
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

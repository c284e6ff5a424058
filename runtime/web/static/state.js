// What the page knows: the cameras by name, and the last health of the service.
export const STALE = 3;            // seconds after which the last result of a camera is out of date

export const views = new Map();    // camera name -> its state

export const page = {
  health: null, pictures: false,
  role: null,                                               // "operator", "viewer", or null without a token
  arming: {},                                               // by camera, newer than in the health
  skew: 0, heard: 0, cutSince: null, started: Date.now(),  // of the connection
  chosen: null, picked: false, choseAt: -1e9,               // the camera that is shown large
  edited: null,                                             // the zone that is drawn: its camera, and its name before
  dirty: true,                                              // something has to be drawn
};

export const now = () => Date.now() / 1000 + page.skew;

export function level(view, score) {
  if (score === null) return "unscored";
  if (view.live.threshold === null) return "calm";
  if (score > view.live.threshold) return "alarm";
  const usual = view.usual;
  return usual !== null && score > usual + 0.8 * (view.live.threshold - usual) ? "near" : "calm";
}

export function condition(known) {
  const state = page.health?.cameras?.[known.name]?.state;
  if (state && state !== "streaming") return state;
  if (!known.live) return "connecting";
  return "streaming";
}

export const mayWrite = () => page.role === "operator";

// Whether a camera is armed, and why; undefined while that is not known.
export const arming = (name) => page.arming[name] ?? page.health?.cameras?.[name];
export const disarmed = (known) => arming(known.name)?.armed === false;
export const alarming = (known) => Boolean(known.live?.alarm) && !disarmed(known);

export const away = (known) => ["lost", "stalled", "failed", "connecting", "ended"].includes(condition(known))
  || performance.now() - known.got > STALE * 1000;

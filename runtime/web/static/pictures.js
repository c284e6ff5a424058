// Pictures, if the service shows them.
import { page, views } from "./state.js";
import { onWall } from "./wall.js";

async function picture(known, key) {
  try {
    const answer = await fetch(`picture/${encodeURIComponent(known.name)}.jpg`, { cache: "no-store" });
    if (!answer.ok) { known[key] = null; return; }
    const image = await createImageBitmap(await answer.blob());
    known[key]?.image.close();
    known[key] = { image, number: Number(answer.headers.get("x-number")) };
    page.dirty = true;
  } catch { known[key] = null; }
}

export async function followPictures() {
  for (let turn = 0; page.pictures; turn++) {
    const known = views.get(page.chosen), others = [...views.values()];
    if (!document.hidden && !page.cutSince) {
      if (known?.live && !onWall()) await picture(known, "picture");
      if (others.length > 1 && turn % 2 === 0) await picture(others[(turn / 2) % others.length], "thumbnail");
    }
    await new Promise((done) => setTimeout(done, 150));
  }
}

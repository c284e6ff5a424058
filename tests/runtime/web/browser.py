"""The page in a browser, and cameras that play."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .conftest import World, wait_for

INK = """
const [id, wanted] = arguments, canvas = document.getElementById(id);
const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
const colour = getComputedStyle(document.documentElement).getPropertyValue("--" + wanted).trim();
const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
let count = 0;
for (let at = 0; at < data.length; at += 4)
  if (data[at + 3] > 200 && [r, g, b].every((value, part) => Math.abs(data[at + part] - value) < 10)) count++;
return count;
"""


FAST = """
(() => {
  const now = performance.now.bind(performance), every = window.setInterval;
  performance.now = () => 4 * now();
  window.setInterval = (action, wait) => every(action, wait / 4);
})();
"""


class Feeder(threading.Thread):
    """Plays the cameras of a world, 25 frames per second, with the scores that the test wants."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self.world = world
        self.scores: dict[str, float] = {}
        self.empty: set[str] = set()
        self.silent: set[str] = set()
        self.beyond_normal: set[str] = set()
        self.ignored: set[str] = set()
        self.image: Any = None
        self._over = threading.Event()

    def run(self) -> None:
        index = 100
        while not self._over.wait(0.04):
            index += 1
            for camera in set(self.world.cameras) - self.silent:
                score = self.scores.get(camera, 2 + 0.3 * math.sin(index / 9))
                p_value = 0.0005 if score > 5 else 0.2
                people = camera not in self.empty
                beyond = camera in self.beyond_normal
                ignored = camera in self.ignored
                frame = 100 + index % 500
                self.world.show(camera, frame, score, p_value, None, self.image, people, beyond, ignored)

    def __enter__(self) -> Feeder:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


class Page:
    """The page in a browser."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser

    def open(self, url: str) -> None:
        self.browser.get(url)

    @contextmanager
    def fast(self) -> Iterator[None]:
        """Let the clock of the pages that are opened run four times as fast."""
        added = self.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": FAST})
        try:
            yield
        finally:
            self.browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)

    def text(self, id_: str) -> str:
        return str(self.browser.execute_script("return document.getElementById(arguments[0]).innerText", id_))

    def ink(self, canvas: str, colour: str) -> int:
        return int(self.browser.execute_script(INK, canvas, colour))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def call(self, module: str, expression: str, *arguments: Any) -> Any:
        """Return an expression in which the names of one of the page's modules are known, as `module`."""
        return self.run(f"return import('./static/{module}.js').then((module) => {expression})", *arguments)

    def wide(self, width: int, height: int = 900) -> None:
        self.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def media(self, **features: str) -> None:
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})

    def errors(self) -> list[str]:
        """Return what the browser complained of, less what a test brings with it."""
        said = [entry["message"] for entry in self.browser.get_log("browser")]
        # The test itself reads the canvases back, and is warned that this is slow.
        said = [message for message in said if "willReadFrequently" not in message]
        # On a busy machine the health may take more than its two seconds; the page says so, and asks again.
        return [message for message in said if not ("/api/health" in message and "503" in message)]


def sign_in(page: Page, url: str, token: str) -> None:
    """Open the page with a token, whoever was signed in before."""
    page.open(url + "login")
    page.browser.delete_all_cookies()
    page.open(url + "login")
    page.browser.find_element("id", "token").send_keys(token + "\n")
    wait_for(lambda: page.browser.current_url == url and page.text("headline") != "Connecting")

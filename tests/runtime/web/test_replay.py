"""The replay of an alarm: as JSON and pictures by HTTP, and on the page in a browser."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from runtime.replays.pictures import write_mp4
from runtime.web.server import RunningServer

from .browser import Page
from .conftest import World, fetch, wait_for

ALARM = f"{1:032x}"


@pytest.fixture
def recorded(world: World) -> World:
    """A world with an alarm that can be replayed."""
    assert world.alarm("entrance") == ALARM
    world.record(ALARM, "entrance")
    return world


def raw(url: str, path: str, **headers: str) -> tuple[bytes, dict[str, str]]:
    """Return the body as it was sent, and the headers."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=90)
    connection.request("GET", "/" + path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return body, {name.lower(): value for name, value in answer.getheaders()}


def test_the_skeletons_are_served_compressed_to_those_who_take_it(
    recorded: World, served: RunningServer
) -> None:
    path = f"api/alarms/{ALARM}/skeletons"
    plain, headers = raw(served.url, path)
    assert headers["content-type"] == "application/json"
    assert "content-encoding" not in headers
    message = json.loads(plain)
    assert (message["id"], message["peak"], message["seconds"], message["complete"]) == (
        ALARM,
        1.0,
        3.0,
        True,
    )
    assert message["frames"][0]["time"] == -5.0
    short, headers = raw(served.url, path, **{"Accept-Encoding": "gzip, br"})
    assert headers["content-encoding"] == "gzip"
    assert headers["vary"] == "accept-encoding"
    assert gzip.decompress(short) == plain
    assert len(short) < len(plain) / 2


def test_an_alarm_says_what_can_be_replayed(recorded: World, served: RunningServer) -> None:
    recorded.alarm("entrance")
    parts = {
        id_: json.loads(fetch(served.url, f"api/alarms/{id_}")[1])["replay"] for id_ in (ALARM, f"{2:032x}")
    }
    assert parts == {ALARM: ["skeletons"], f"{2:032x}": []}
    for path in ("/skeletons", ".gif", ".mp4"):
        status, body, _ = fetch(served.url, f"api/alarms/{2:032x}{path}")
        assert status == 404
        assert "no replay" in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("form", "kind", "start"), [("gif", "image/gif", b"GIF89a"), ("mp4", "video/mp4", b"\x00\x00\x00")]
)
def test_pictures_are_served(
    recorded: World, served: RunningServer, form: str, kind: str, start: bytes
) -> None:
    body, headers = raw(served.url, f"api/alarms/{ALARM}.{form}")
    assert headers["content-type"] == kind
    assert body.startswith(start)
    assert len(body) > 5000


def test_pictures_are_made_one_at_a_time_and_only_so_many_visitors_wait(
    recorded: World, served: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    making: list[int] = []
    most: list[int] = []

    def slow(*_: object) -> bytes:
        making.append(1)
        most.append(len(making))
        release.wait(60)
        making.pop()
        return b"GIF89a"

    monkeypatch.setattr("runtime.events.alarm_pictures.gif_of", slow)
    ids = [f"{number:032x}" for number in range(2, 14)]
    for id_ in ids:
        recorded.alarm("entrance", id_=id_)
        recorded.record(id_, "entrance", people=1)
    answers: list[dict[str, str]] = []

    def ask(id_: str) -> None:
        answers.append(raw(served.url, f"api/alarms/{id_}.gif")[1])

    with ThreadPoolExecutor(len(ids)) as pool:
        pool.map(ask, ids)
        wait_for(lambda: len(answers) == 3)
        assert all(headers["retry-after"] == "5" for headers in answers)
        assert fetch(served.url, "api/alarms")[0] == 200, "the page goes on"
        release.set()
    assert [headers["content-type"] for headers in answers[3:]] == ["image/gif"] * 9
    assert max(most) == 1


@pytest.fixture
def opened(recorded: World, page: Page) -> Iterator[Page]:
    """The page with the replay of the alarm, for visitors who want no motion, so that it stands still."""
    page.wide(1440)
    page.media(prefers_reduced_motion="reduce")
    page.errors()
    recorded.show("entrance", 400)
    with recorded.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.run("return document.querySelectorAll('#alarm-list li').length") == 1)
        page.run("document.querySelector('#alarm-list button').click()")
        wait_for(lambda: page.run("return document.getElementById('replay').open"))
        yield page
        assert page.errors() == []
        page.open("about:blank")


def test_it_stands_still_at_the_peak_and_plays_when_asked(opened: Page) -> None:
    assert opened.text("play") == "Play"
    assert opened.text("replay-time") == "+1.0 s"
    scrub = "return document.getElementById('scrub').getAttribute('aria-valuetext')"
    assert opened.run(scrub) == "1 s after the alarm began, the peak"
    assert opened.ink("replay-canvas", "alarm") > 100, "who raised it"
    assert opened.ink("replay-canvas", "calm") > 100, "and who did not"
    assert opened.ink("replay-times", "alarm") > 10, "the mark of the peak"
    opened.run("document.getElementById('play').click()")
    wait_for(lambda: opened.text("replay-time") not in ("+1.0 s", "+1.1 s"))
    assert opened.text("play") == "Pause"
    opened.run("document.getElementById('to-peak').click()")
    assert (opened.text("play"), opened.text("replay-time")) == ("Play", "+1.0 s")


def test_all_of_it_is_reached_by_keyboard(opened: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    def press(*keys: str) -> None:
        opened.browser.switch_to.active_element.send_keys(*keys)

    def focused() -> str:
        return str(opened.run("return document.activeElement.id"))

    seen = []
    opened.run("document.getElementById('replay-close').focus()")
    for _ in range(6):
        press(Keys.TAB)
        seen.append(focused())
    assert seen == ["play", "scrub", "to-peak", "zoom", "file-gif", "file-mp4"]
    opened.run("document.getElementById('scrub').focus()")
    press(Keys.HOME)
    wait_for(lambda: opened.text("replay-time") == "\u22125.0 s")
    press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    wait_for(lambda: opened.text("replay-time") == "\u22124.8 s")
    press(Keys.END)
    wait_for(lambda: opened.text("replay-time").startswith("+7."))
    press(Keys.SPACE)
    wait_for(lambda: opened.text("play") == "Pause")
    press(Keys.SPACE)
    wait_for(lambda: opened.text("play") == "Play")
    press(Keys.ESCAPE)
    wait_for(lambda: not opened.run("return document.getElementById('replay').open"))


def test_zoom_shows_who_raised_it_larger(opened: Page) -> None:
    height = """
    const canvas = document.getElementById("replay-canvas");
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--alarm").trim();
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data, rows = [];
    for (let at = 0; at < data.length; at += 4)
      if (Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b) < 30)
        rows.push(at / 4 / canvas.width);
    return Math.max(...rows) - Math.min(...rows);
    """
    if opened.call("replay", "module.replay.zoom"):
        opened.run("document.getElementById('zoom').click()")
    whole = opened.run(height)
    opened.run("document.getElementById('zoom').click()")
    assert opened.run("return document.getElementById('zoom').getAttribute('aria-pressed')") == "true"
    assert opened.run(height) > 1.1 * whole


def test_its_files_can_be_downloaded(opened: Page) -> None:
    for form in ("gif", "mp4"):
        href = opened.run(f"return document.getElementById('file-{form}').href")
        assert raw(href, urlsplit(href).path.lstrip("/"))[1]["content-type"].endswith(form)
        assert href.endswith(f"/api/alarms/{ALARM}.{form}")


def keep_pictures(world: World) -> None:
    """Keep a snapshot and a clip of the alarm."""
    pictures = [np.full((48, 64, 3), 20 * number, dtype=np.uint8) for number in range(10)]
    world.store.put_replay(ALARM, "clip", write_mp4(iter((n / 5, each) for n, each in enumerate(pictures))))
    world.store.put_replay(ALARM, "snapshot", cv2.imencode(".jpg", pictures[5])[1].tobytes())


@pytest.mark.parametrize("privacy", ["skeletons", "pictures"])
def test_pictures_of_the_camera_are_served_only_where_privacy_allows(recorded: World, privacy: str) -> None:
    keep_pictures(recorded)
    parts = {"snapshot.jpg": "image/jpeg", "clip.mp4": "video/mp4"}
    with recorded.serve(privacy) as served:
        named = json.loads(fetch(served.url, f"api/alarms/{ALARM}")[1])["replay"]
        answers = {name: fetch(served.url, f"api/alarms/{ALARM}/{name}") for name in parts}
    if privacy == "skeletons":
        assert named == ["skeletons"]
        assert {status for status, _, _ in answers.values()} == {404}
    else:
        assert named == ["clip", "skeletons", "snapshot"]
        assert {name: answers[name][2]["content-type"] for name in parts} == parts


def test_the_clip_is_shown_where_there_is_one(recorded: World, page: Page) -> None:
    keep_pictures(recorded)
    recorded.alarm("entrance", id_="f" * 32)
    shown = """
    const clip = document.getElementById("clip");
    return [clip.hidden, clip.controls, document.getElementById("file-snapshot").hidden];
    """
    with recorded.serve("pictures") as served:
        page.open(served.url)
        wait_for(lambda: page.run("return document.querySelectorAll('#alarm-list li').length") == 2)
        page.run(f"document.querySelector('[data-id=\"{ALARM}\"]').click()")
        wait_for(lambda: page.run("return document.getElementById('replay').open"))
        assert page.run(shown) == [False, True, False]
        page.run("document.getElementById('clip').load(); document.getElementById('clip').preload = 'auto'")
        wait_for(lambda: page.run("return document.getElementById('clip').videoWidth") == 64)
        page.run("document.getElementById('replay-close').click()")
        page.run(f"document.querySelector('[data-id=\"{'f' * 32}\"]').click()")
        wait_for(lambda: page.run(shown) == [True, True, True])
    page.open("about:blank")


def test_the_outline_of_the_scene_is_drawn_behind_the_skeletons(recorded: World, page: Page) -> None:
    edges = np.zeros((180, 320, 4), dtype=np.uint8)
    edges[60:120] = 255
    recorded.record(ALARM, "entrance", outline=cv2.imencode(".png", edges)[1].tobytes())
    with recorded.serve() as served:
        page.media(prefers_reduced_motion="reduce")
        page.open(served.url)
        wait_for(lambda: page.run("return document.querySelectorAll('#alarm-list li').length") == 1)
        page.run("document.querySelector('#alarm-list button').click()")
        wait_for(lambda: page.call("replay", "module.replay.outline?.width") == 320)
        drawn = page.run(
            "const c = document.getElementById('replay-canvas'), w = c.width, h = c.height;"
            "const data = c.getContext('2d').getImageData(0, 0, w, h).data;"
            "return [0.5, 0.15].map((y) => data[4 * (Math.round(y * h) * w + Math.round(w / 2) - 200) + 3]);"
        )
        assert drawn[0] > 100, "inside of the edges"
        assert drawn[1] == 0, "and not elsewhere"
        assert page.ink("replay-canvas", "alarm") > 100
        assert page.errors() == []
    page.open("about:blank")

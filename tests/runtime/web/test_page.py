from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from daflow.core.alarms.reasons import Reason
from runtime.web.server import RunningServer

from .browser import Feeder, Page
from .conftest import World, iso, wait_for

SEEK = """
const slider = document.getElementById("scrub");
slider.value = Number(slider.min) + arguments[0];
slider.dispatchEvent(new Event("input"));
"""


@pytest.fixture
def fed(world: World) -> Iterator[Feeder]:
    """The world with a second camera, played."""
    world.add("yard", seed=3, people=2)
    with Feeder(world) as feeder:
        yield feeder


def test_people_are_shown_with_their_scores(fed: Feeder, page: Page) -> None:
    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.ink("big-canvas", "calm") > 300)
        assert wait_for(lambda: page.text("headline") == "No alarm")
        people = wait_for(lambda: page.text("people"))
        assert "normal" in people
        assert "#1" in people
        assert page.text("big-name") == "entrance"
        wait_for(lambda: page.ink("chart", "calm") > 5)
        assert page.ink("chart", "alarm") > 50, "the threshold"
        wait_for(lambda: "pose" in page.text("stages") and "connection refused" in page.text("deliveries"))
        assert "52 °C" in page.text("facts")
        fed.empty.add("entrance")
        wait_for(lambda: page.text("verdict") == "No people")
        wait_for(lambda: page.ink("big-canvas", "calm") == 0)
        assert page.errors() == []


def test_an_alarm_appears_live_and_its_skeletons_play(fed: Feeder, page: Page) -> None:
    page.media(prefers_color_scheme="dark")
    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.text("headline") == "No alarm")
        assert "No alarm yet" in page.text("alarms")
        fed.scores["yard"] = 6.5
        wait_for(lambda: page.text("headline") == "Alarm at yard")
        assert page.text("verdict") == "Alarm"
        assert page.text("big-name") == "yard", "the page shows where the alarm is"
        assert page.run("return document.getElementById('announce').textContent").startswith("Alarm at yard")
        assert "as rare as 1 in 2\u202f000" in page.text("people")
        wait_for(lambda: page.ink("big-canvas", "alarm") > 200)
        fed.world.alarm("yard", kinds=("begin",), id_="a" * 32)
        wait_for(lambda: "yard" in page.text("alarm-list") and "now" in page.text("alarm-list"))
        page.run("document.querySelector('#alarm-list button').click()")
        wait_for(lambda: page.run("return document.getElementById('replay').open"))
        shown = {wait_for(lambda: page.text("replay-time")) for _ in range(20) if not time.sleep(0.1)}
        assert len(shown) > 5, "it plays"
        wait_for(lambda: page.ink("replay-canvas", "alarm") > 200)
        page.run("document.getElementById('play').click()")
        still = page.text("replay-time")
        assert page.text("play") == "Play"
        time.sleep(0.3)
        assert page.text("replay-time") == still
        page.run(SEEK, 0.56)
        assert page.text("replay-time") == "\u22121.1 s"
        assert "7.25" in page.text("replay-facts")
        assert "a posture as in 1 in 900 normal windows" in page.text("replay-facts")
        page.run("document.getElementById('replay-close').click()")
        fed.world.alarm("yard", kinds=("end",), id_="a" * 32)
        del fed.scores["yard"]
        wait_for(lambda: page.text("headline") == "No alarm")
        wait_for(lambda: "4.2 s" in page.text("alarm-list"))
        assert page.errors() == []


def test_an_alarm_says_why_where_it_is_seen_and_in_the_list(fed: Feeder, page: Page) -> None:
    fed.world.reasons = (Reason("motion", 12.0, 800),)
    said = "a movement rarer than 1 in 800 normal windows"
    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.text("headline") == "No alarm")
        assert "movement" not in page.text("verdict-more")
        fed.scores["yard"] = 6.5
        wait_for(lambda: page.text("verdict") == "Alarm" and page.text("verdict-more").endswith(said))
        fed.world.alarm("yard")
        wait_for(lambda: "a posture as in 1 in 900 normal windows" in page.text("alarm-list"))
        assert page.errors() == []


def test_the_replay_of_an_alarm_that_is_on_is_current(world: World, page: Page) -> None:
    now = time.time()
    world.show("entrance", 300, 6.0, utc=now)
    id_ = world.alarm("entrance", kinds=("begin",), began=now)
    shown = "replay", "JSON.stringify(module.replay.frames)"
    with page.fast(), world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.run("return document.querySelectorAll('#alarm-list li').length") == 1)
        page.run("document.querySelector('#alarm-list button').click()")
        wait_for(lambda: page.ink("replay-canvas", "alarm") > 100)
        assert "score 6.00" in page.text("replay-facts")
        first = page.call(*shown)
        page.run("document.getElementById('play').click()")
        page.run(SEEK, 0.56)
        world.show("entrance", 380, 8.5, utc=now + 3.2)
        wait_for(lambda: "score 8.50" in page.text("replay-facts"))
        assert "3.2 s so far" in page.text("replay-facts")
        assert page.call(*shown) != first
        assert page.text("play") == "Play", "it stays still"
        world.alarm("entrance", kinds=("end",), began=now, id_=id_)
        wait_for(
            lambda: "so far" not in page.text("replay-facts") and "score 7.25" in page.text("replay-facts")
        )
        assert page.errors() == []


@pytest.mark.parametrize(
    ("scores", "threshold", "seen"),
    [
        ([2.0, 2.1], 5.0, True),
        ([0.5, 3.0], 9.0, True),
        ([], 5.0, True),
        ([2.0, 3.0], 1000.0, False),
        ([2.0, 3.0], -1000.0, False),
        ([2.0, 3.0, 900.0], 1000.0, True),
        ([2.0, 3.0, 6.0], 3.5, True),
        ([2.0], None, True),
    ],
)
def test_a_far_threshold_does_not_flatten_the_curve(
    served: RunningServer, page: Page, scores: list[float], threshold: float | None, seen: bool
) -> None:
    page.open(served.url)
    low, high = page.call("chart", "module.chartRange(arguments[0], arguments[1])", scores, threshold)
    assert all(low < score < high for score in scores)
    if threshold is not None:
        assert (low < threshold < high) is seen
    if not seen:
        assert high - low < 3 * (max(scores) - min(scores))


def test_a_score_far_above_the_threshold_does_not_flatten_the_others(
    served: RunningServer, page: Page
) -> None:
    page.open(served.url)
    low, high = page.call("chart", "module.chartRange([2, 3, 2500], 21)")
    assert low < 2
    assert 21 < high < 100
    assert page.call("chart", "module.chartRange([30, 2500], 21)")[1] > 2500  # nothing is below it


def test_a_far_threshold_is_marked_at_the_border(
    fed: Feeder, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(World.show.__globals__, "THRESHOLD", 1000.0)
    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: "alarm above 1000.00" in page.text("chart-now"))
        wait_for(lambda: page.ink("chart", "calm") > 5)
        rows = """
        const canvas = document.getElementById("chart");
        const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const hex = getComputedStyle(document.documentElement).getPropertyValue("--alarm").trim();
        const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)), found = [];
        for (let y = 0; y < height; y++) for (let x = width >> 1; x < width; x++) {
          const at = 4 * (y * width + x);
          if (data[at + 3] < 60 || ![r, g, b].every((value, part) => Math.abs(data[at + part] - value) < 12)) continue;
          found.push(y);
          break;
        }
        return found;
        """
        assert max(page.run(rows)) <= 2, "the line is at the upper border"
        assert page.errors() == []


def test_the_smallest_p_value_is_told_as_a_bound(fed: Feeder, page: Page) -> None:
    fed.scores["entrance"] = 7.0
    fed.beyond_normal.add("entrance")
    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: "rarer than 1 in 2\u202f000" in page.text("people"))
        rarity = "text", "module.rarity(arguments[0], arguments[1])"
        assert page.call(*rarity, 1 / 260, True) == "rarer than 1 in 260"
        assert page.call(*rarity, round(1 / 260, 9), True) == "rarer than 1 in 260"
        assert page.call(*rarity, 1 / 260, False) == "as rare as 1 in 260"
        assert page.call(*rarity, 1 / 1999, True) == "rarer than 1 in 1\u202f900", "never more than is known"
        assert page.call(*rarity, 1 / 11, True) == "rarer than 1 in 11", (
            "above all normal scores is not normal"
        )
        assert (
            page.call("text", "module.rarityOf({ p_value: 0.0038, rarity: 'rarer than 1 in 260' })")
            == "rarer than 1 in 260"
        )
        assert (
            page.call("text", "module.rarityOf({ p_value: 0.002, rarity: '1 in 500' })")
            == "as rare as 1 in 500"
        )


def test_all_times_are_those_of_the_visitor(fed: Feeder, page: Page) -> None:
    since = time.time() - 90
    zone = {"timezoneId": "Asia/Kolkata"}
    page.browser.execute_cdp_cmd("Emulation.setTimezoneOverride", zone)
    try:
        said = f"camera entrance is lost since {iso(since)}"
        fed.world.problems, fed.world.ready = [said], False
        fed.world.cameras["entrance"].update(
            error=f"no answer since {iso(since)}", drift=f"drifts since {iso(since)}"
        )
        with fed.world.serve() as served:
            page.open(served.url)
            there = (datetime.fromtimestamp(since, timezone.utc) + timedelta(hours=5.5)).strftime("%H:%M:%S")
            wait_for(lambda: there in page.text("problems"))
            wait_for(lambda: page.text("cameras").count(there) >= 2)
            assert "+00:00" not in page.run("return document.body.innerText")
            assert page.call("text", "module.clock(Date.UTC(2026, 0, 1, 18, 30, 5) / 1000)") == "00:00:05", (
                "not 24:00:05"
            )
    finally:
        page.browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_a_lost_camera_is_shown(fed: Feeder, page: Page) -> None:
    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.text("headline") == "No alarm")
        fed.silent.add("entrance")
        fed.world.cameras["entrance"].update(
            state="lost", since_utc=iso(time.time() - 90), error="no answer within 10 s"
        )
        fed.world.ready, fed.world.problems = False, ["the camera entrance is lost"]
        wait_for(lambda: page.text("verdict") == "Camera lost")
        assert "since" in page.text("verdict-more")
        assert "no answer within 10 s" in page.text("big-cover")
        assert page.text("headline") == "Camera entrance has a problem"
        assert page.text("ready") == "not ready"
        assert "the camera entrance is lost" in page.text("problems")
        assert page.ink("big-canvas", "calm") == 0, "no people are drawn while the camera is lost"
        assert page.errors() == []


def test_a_server_that_stops_is_shown_and_reconnected(fed: Feeder, page: Page) -> None:
    with page.fast(), fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.text("headline") == "No alarm")
    wait_for(lambda: page.text("headline") == "No connection", 15)
    assert "No connection to the service since" in page.text("gone")
    with fed.world.serve(address=served.url.removeprefix("http://").rstrip("/")):
        wait_for(lambda: page.text("headline") == "No alarm", 15)
        assert page.text("gone") == "" or page.run("return document.getElementById('gone').hidden")


@pytest.mark.parametrize("width", [360, 768, 1024])
def test_nothing_is_wider_than_the_screen(fed: Feeder, page: Page, width: int) -> None:
    name = "a-camera-with-quite-a-long-name-that-goes-on-and-on-to-64-letters"[:64]
    fed.world.add(name, seed=5, people=4)
    fed.world.cameras[name]["error"] = "x" * 200
    fed.scores[name] = 7.0
    for index in range(30):
        fed.world.alarm(name, ago=10_000 - index)
    page.wide(width)
    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.text("verdict") == "Alarm" and "x" * 200 in page.text("cameras"))
        wait_for(lambda: page.run("return document.querySelectorAll('#alarm-list li').length") == 20)
        assert page.run("return document.documentElement.scrollWidth") <= width
        page.run("document.getElementById('more').scrollIntoView()")
        wait_for(lambda: page.run("return document.querySelectorAll('#alarm-list li').length") == 30)
        page.run("document.querySelector('#alarm-list button').click()")
        wait_for(lambda: page.ink("replay-canvas", "alarm") > 100)
        assert page.run("return document.getElementById('replay').getBoundingClientRect().right") <= width
        assert page.run("return document.documentElement.scrollWidth") <= width


def test_alarms_are_filtered_by_camera(fed: Feeder, page: Page) -> None:
    for camera in ("entrance", "yard", "entrance"):
        fed.world.alarm(camera)
    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.run("return document.querySelectorAll('#alarm-list li').length") == 3)
        page.run(
            "const f = document.getElementById('filter'); f.value = 'yard'; f.dispatchEvent(new Event('change'))"
        )
        wait_for(lambda: page.run("return document.querySelectorAll('#alarm-list li').length") == 1)
        assert "entrance" not in page.text("alarm-list")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_texts_are_readable_in_both_colour_schemes(fed: Feeder, page: Page, scheme: str) -> None:
    contrast = """
    const style = getComputedStyle(document.documentElement);
    const light = (name) => {
      const hex = style.getPropertyValue("--" + name).trim();
      const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
        .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [a, b] = [light(arguments[0]), light(arguments[1])].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
    """
    page.media(prefers_color_scheme=scheme)
    with fed.world.serve() as served:
        page.open(served.url)
        for ground in ("panel", "ground", "stage"):
            for ink in ("ink", "muted", "calm", "near", "alarm"):
                assert page.run(contrast, ink, ground) >= 4.5, (ink, ground)
        assert page.run(contrast, "alarm", "alarm-soft") >= 4.5
        background = page.run("return getComputedStyle(document.body).backgroundColor")
        assert background == ("rgb(12, 17, 22)" if scheme == "dark" else "rgb(243, 244, 241)")


def test_the_page_is_used_by_keyboard(fed: Feeder, page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    fed.world.alarm("yard")
    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.run("return document.querySelectorAll('#alarm-list li').length") == 1)
        page.run("document.querySelector('#alarm-list button').focus()")
        page.browser.switch_to.active_element.send_keys(Keys.ENTER)
        wait_for(lambda: page.run("return document.getElementById('replay').open"))
        page.run("document.getElementById('scrub').focus()")
        page.browser.switch_to.active_element.send_keys(Keys.HOME, Keys.ARROW_RIGHT)
        wait_for(lambda: page.text("replay-time") == "\u22121.6 s")
        page.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
        wait_for(lambda: not page.run("return document.getElementById('replay').open"))
        second = page.browser.find_elements("css selector", ".thumb")[1]
        second.send_keys(Keys.SPACE)
        wait_for(lambda: page.text("big-name") == "yard")


def test_a_removed_camera_disappears_from_the_page(fed: Feeder, page: Page) -> None:
    with page.fast(), fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.run("return document.querySelectorAll('.thumb').length") == 2)
        fed.silent.add("entrance")
        del fed.world.cameras["entrance"]
        wait_for(lambda: page.run("return document.querySelectorAll('.thumb').length") == 1, 15)
        wait_for(lambda: page.text("big-name") == "yard")
        assert page.errors() == []


def test_zones_are_shown_with_their_names_and_who_is_ignored(fed: Feeder, page: Page) -> None:
    square = [[0.5, 0.5], [0.75, 0.5], [0.75, 0.75], [0.5, 0.75]]
    # How many pixels are drawn around a place of the picture, which is in the middle of the canvas.
    pixel = """
        const canvas = document.getElementById("big-canvas");
        const scale = Math.min(canvas.width / 1280, canvas.height / 720);
        const [x, y] = [canvas.width / 2 + (arguments[0] - 0.5) * 1280 * scale,
            canvas.height / 2 + (arguments[1] - 0.5) * 720 * scale];
        return [...canvas.getContext("2d").getImageData(Math.round(x - 4), Math.round(y - 4), 8, 8).data]
            .filter((value, at) => at % 4 === 3).filter((alpha) => alpha > 200).length;
    """
    with page.fast(), fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.ink("big-canvas", "calm") > 300)
        assert page.ink("big-canvas", "zone") == 0
        fed.world.cameras["entrance"]["zones"] = {"till": {"kind": "watch", "points": square}}
        wait_for(lambda: page.ink("big-canvas", "zone") > 300)
        full = page.ink("big-canvas", "zone")
        fed.empty.add("entrance")
        wait_for(lambda: page.ink("big-canvas", "calm") == 0)
        assert page.run(pixel, 0.75, 0.6) > 8, "the right side of the square"
        assert page.run(pixel, 0.85, 0.6) == 0
        fed.world.cameras["entrance"]["zones"] = {"till": {"kind": "ignore", "points": square}}
        wait_for(lambda: 50 < page.ink("big-canvas", "zone") < full)
        fed.empty.clear()
        fed.ignored.add("entrance")
        wait_for(lambda: page.text("verdict") == "Not watched")
        assert "not watched here" in page.text("people")
        assert "misfit" not in page.text("cameras")
        why = "the zones of the camera (till) are not those of its calibration"
        fed.world.cameras["entrance"].update(misfit=why)
        wait_for(lambda: f"The calibration no longer fits: {why}." in page.text("cameras"))
        wait_for(lambda: "no longer fits" in page.text("chart-now"))
        assert page.errors() == []


def test_a_disarmed_camera_is_shown_without_an_alarm(fed: Feeder, page: Page) -> None:
    facts = {"armed": False, "armed_why": "schedule", "armed_until_utc": None}
    fed.world.cameras["entrance"].update(facts)
    fed.world.alarm("entrance")
    with page.fast(), fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: "disarmed by its schedule" in page.text("cameras"))
        fed.scores["entrance"] = 6.5
        wait_for(lambda: page.text("verdict") == "Abnormal")
        assert "disarmed, so no alarm" in page.text("verdict-more")
        assert page.text("headline") == "No alarm"
        assert page.text("big-state").endswith("disarmed")
        assert page.run("return document.getElementById('announce').textContent") == ""
        fed.world.cameras["entrance"].update(armed=True)
        wait_for(lambda: page.text("headline") == "Alarm at entrance")
        assert page.text("verdict") == "Alarm"
        assert page.errors() == []


def test_reduced_motion_is_respected(fed: Feeder, page: Page) -> None:
    fed.world.alarm("yard")
    page.media(prefers_reduced_motion="reduce")
    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.run("return document.querySelectorAll('#alarm-list li').length") == 1)
        page.run("document.querySelector('#alarm-list button').click()")
        wait_for(lambda: page.text("replay-time") == "+0.2 s")
        assert page.text("play") == "Play"


def test_texts_from_outside_are_not_html(fed: Feeder, page: Page) -> None:
    evil = "<img src=x onerror=alert(1)>"
    fed.world.cameras["entrance"].update(error=evil, source=evil, drift=evil)
    fed.world.problems = [evil]
    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: evil in page.text("problems") and evil in page.text("cameras"))
        assert page.run("return document.querySelectorAll('main img').length") == 0
        assert page.errors() == []


def test_the_token_opens_the_page(fed: Feeder, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_TOKEN", "correct horse battery")
    with fed.world.serve(guarded_by="PAGE_TOKEN") as served:
        page.open(served.url)
        assert page.browser.current_url == served.url + "login"
        field = page.browser.find_element("id", "token")
        field.send_keys("wrong horse\n")
        wait_for(lambda: "The token is wrong" in page.run("return document.body.innerText"))
        page.browser.find_element("id", "token").send_keys("correct horse battery\n")
        wait_for(lambda: page.browser.current_url == served.url and page.text("headline") == "No alarm")
        assert "correct" not in page.run("return document.cookie + location.href")
        page.browser.find_element("css selector", "#logout button").click()
        wait_for(lambda: page.browser.current_url == served.url + "login")


@pytest.mark.parametrize("privacy", ["skeletons", "pictures"])
def test_the_picture_is_shown_only_when_privacy_allows(
    fed: Feeder, page: Page, privacy: str, rng: np.random.Generator
) -> None:
    fed.image = np.zeros((720, 1280, 3), dtype=np.uint8)
    fed.image[..., 0] = fed.image[..., 2] = rng.integers(200, 255, (720, 1280), dtype=np.uint8)
    magenta = """
    const canvas = document.getElementById("big-canvas");
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let count = 0;
    for (let at = 0; at < data.length; at += 4) if (data[at] > 150 && data[at + 2] > 150 && data[at + 1] < 90) count++;
    return count / (data.length / 4);
    """
    asked = "return performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/picture/')).length"
    with fed.world.serve(privacy) as served:
        page.open(served.url)
        wait_for(lambda: page.ink("big-canvas", "calm") > 300)
        if privacy == "pictures":
            wait_for(lambda: page.run(magenta) > 0.7)
        else:
            assert page.run(magenta) == 0
            assert page.run(asked) == 0
        assert page.errors() == []

"""Zones are drawn on the page by mouse, finger and keyboard, by operators only, and saved whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.config.drawn_zones import DrawnZones

from .browser import Feeder, Page, sign_in
from .conftest import WITH_VIEWERS, World, wait_for

SQUARE = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.4], [0.1, 0.4]]
TILL = {"till": {"kind": "watch", "points": SQUARE}}


@pytest.fixture
def fed(world: World, tmp_path: Path) -> Iterator[Feeder]:
    world.add("yard", seed=3, people=2)
    world.drawn = DrawnZones(tmp_path / "zones.json")
    with Feeder(world) as feeder:
        yield feeder


def put(url: str, camera: str, content: Any, token: str) -> tuple[int, dict[str, Any]]:
    from urllib3 import PoolManager

    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with PoolManager() as pool:
        address = f"{url}api/cameras/{camera}/zones"
        answer = pool.request(
            "PUT", address, body=body, headers=headers, redirect=False, retries=False, timeout=10
        )
        return answer.status, json.loads(answer.data)


def test_a_program_saves_zones_and_is_told_what_is_wrong(
    world: World, tmp_path: Path, token: str, viewer_token: str
) -> None:
    path = tmp_path / "zones.json"
    world.drawn = DrawnZones(path)
    outline = [[0, 0], [1, 1], [1, 0], [0, 1]]
    with world.serve(guarded_by="PAGE_TOKEN", **WITH_VIEWERS) as served:
        assert put(served.url, "entrance", TILL, token) == (200, {"camera": "entrance", "zones": TILL})
        kept = path.read_bytes()
        for camera, content, given, status, said in (
            ("entrance", {}, viewer_token, 403, "viewers change nothing"),
            ("entrance", {}, "wrong horse", 401, "token"),
            ("gate", TILL, token, 404, "no such camera"),
            ("entrance", b"{", token, 400, "this is not JSON"),
            ("entrance", [1], token, 400, "dictionary"),
            (
                "entrance",
                {"x": {"kind": "watch", "points": outline}},
                token,
                400,
                "x.points: .* crosses",
            ),
            ("entrance", {"x": {"kind": "stare", "points": SQUARE}}, token, 400, "x.kind"),
            ("entrance", b'{"x": 1, "x": 2}', token, 400, "twice"),
            ("entrance", b" " * (300 << 10), token, 413, "too many"),
        ):
            found, answer = put(served.url, camera, content, given)
            assert found == status, (camera, content)
            assert re.search(said, answer["error"]), answer
        assert path.read_bytes() == kept
        world.drawn = None
        status, answer = put(served.url, "entrance", {}, token)
        assert (status, "store.path" in answer["error"]) == (409, True)
        world.drawn = DrawnZones(tmp_path / "events.db" / "zones.json")
        (tmp_path / "events.db").touch()
        assert put(served.url, "entrance", {}, token)[0] in (409, 507)


def test_a_zone_is_drawn_by_keyboard_renamed_and_deleted(fed: Feeder, page: Page, token: str) -> None:
    from selenium.webdriver.common.keys import Keys

    with fed.world.serve(guarded_by="PAGE_TOKEN") as served:
        sign_in(page, served.url, token)
        wait_for(lambda: "scored everywhere" in page.text("zone-list"))
        page.browser.find_element("id", "draw").send_keys(Keys.ENTER)
        wait_for(lambda: page.run("return document.querySelectorAll('#zone-editor circle').length") == 4)
        corner = page.browser.switch_to.active_element
        assert corner.get_attribute("aria-label").startswith(
            "Corner 1 of 4, at 30 % from the left and 35 % from above"
        )
        corner.send_keys(Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.ARROW_UP)
        page.browser.switch_to.active_element.send_keys(Keys.SHIFT, Keys.ARROW_LEFT)
        assert page.text("zone-hint") == "Corner 1 of 4: 24 % from the left, 33 % from above."
        page.browser.switch_to.active_element.send_keys(Keys.ENTER)
        assert page.text("zone-hint").startswith("Corner 2 of 5: 47 % from the left")
        page.browser.switch_to.active_element.send_keys(Keys.DELETE)
        name = page.browser.find_element("id", "zone-name")
        name.clear()
        name.send_keys("street", Keys.ENTER)
        wait_for(lambda: "street" in page.text("zone-list"))
        points = [[0.24, 0.33], [0.7, 0.35], [0.7, 0.8], [0.3, 0.8]]
        assert fed.world.cameras["entrance"]["zones"] == {"street": {"kind": "ignore", "points": points}}
        assert page.run("return document.activeElement.id") == "draw"
        page.run("document.querySelector('#zone-list button').click()")  # change
        assert page.browser.find_element("id", "zone-name").get_attribute("value") == "street"
        page.run("document.querySelectorAll('[name=zone-kind]')[1].click()")
        page.browser.find_element("id", "zone-name").send_keys(" side", Keys.ENTER)
        wait_for(lambda: "street side" in page.text("zone-list"))
        assert fed.world.cameras["entrance"]["zones"] == {"street side": {"kind": "watch", "points": points}}
        page.run("document.querySelectorAll('#zone-list button')[1].click()")  # delete
        wait_for(lambda: "Deleted: street side." in page.text("zone-said"))
        assert fed.world.cameras["entrance"]["zones"] == {}
        page.run("document.getElementById('undo').click()")
        wait_for(lambda: "street side" in page.text("zone-list"))
        assert page.errors() == []


def test_a_zone_is_drawn_by_mouse_and_what_is_wrong_is_said(fed: Feeder, page: Page, token: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    width = "return document.getElementById('big-canvas').clientWidth"
    height = "return document.getElementById('big-canvas').clientHeight"
    with fed.world.serve(guarded_by="PAGE_TOKEN") as served:
        sign_in(page, served.url, token)
        wait_for(lambda: page.ink("big-canvas", "calm") > 100)
        page.run("document.getElementById('draw').click()")
        scale = min(page.run(width) / 1280, page.run(height) / 720)
        corners = page.browser.find_elements("css selector", "#zone-editor circle")
        ActionChains(page.browser).drag_and_drop_by_offset(
            corners[0], -round(128 * scale), -round(72 * scale)
        ).perform()
        wait_for(
            lambda: page.text("zone-hint").startswith("Corner 1 of 4: 20 % from the left, 25 % from above")
        )
        editor = page.browser.find_element("id", "zone-editor")
        ActionChains(page.browser).move_to_element_with_offset(
            editor, 0, round(0.4 * 720 * scale)
        ).click().perform()
        wait_for(
            lambda: page.text("zone-hint").startswith("Corner 4 of 5: 50 % from the left, 90 % from above")
        )
        crossing = page.browser.find_elements("css selector", "#zone-editor circle")[0]
        ActionChains(page.browser).drag_and_drop_by_offset(
            crossing, round(0.6 * 1280 * scale), round(0.4 * 720 * scale)
        ).perform()
        page.run("document.querySelector('#zone-form button').click()")
        wait_for(lambda: "crosses or touches itself" in page.text("zone-hint"))
        assert "zones" not in fed.world.cameras["entrance"]
        page.errors()  # the refused request
        fed.scores["yard"] = 7.0
        wait_for(lambda: page.text("headline") == "Alarm at yard")
        assert page.text("big-name") == "entrance", "an alarm elsewhere does not end the drawing"
        page.run("document.querySelectorAll('.thumb')[1].click()")
        wait_for(lambda: page.text("zone-said") == "The zone of entrance was not saved.")
        assert page.run("return document.getElementById('zone-form').hidden")
        assert page.errors() == []


def test_a_zone_is_moved_by_a_finger(fed: Feeder, page: Page, token: str) -> None:
    page.wide(390, 800)
    fed.world.cameras["entrance"]["zones"] = TILL
    touch = "Input.dispatchTouchEvent"
    with fed.world.serve(guarded_by="PAGE_TOKEN") as served:
        sign_in(page, served.url, token)
        wait_for(lambda: "till" in page.text("zone-list"))
        page.run("document.querySelector('#zone-list button').click()")
        box = page.run(
            "return document.querySelector('#zone-editor circle').getBoundingClientRect().toJSON()"
        )
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.browser.execute_cdp_cmd(touch, {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        page.browser.execute_cdp_cmd(
            touch, {"type": "touchMove", "touchPoints": [{"x": x + 30, "y": y + 20}]}
        )
        page.browser.execute_cdp_cmd(touch, {"type": "touchEnd", "touchPoints": []})
        wait_for(lambda: page.text("zone-hint").startswith("Corner 1 of 4"))
        assert page.run("return document.documentElement.scrollWidth") <= 390
        page.run("document.querySelector('#zone-form button').click()")
        wait_for(lambda: "Saved: till." in page.text("zone-said"))
        moved = fed.world.cameras["entrance"]["zones"]["till"]["points"]
        assert moved[0][0] > 0.13
        assert moved[0][1] > 0.13
        assert moved[1:] == SQUARE[1:]
        assert page.errors() == []


def test_a_viewer_sees_zones_and_cannot_draw_any(
    fed: Feeder, page: Page, token: str, viewer_token: str
) -> None:
    fed.world.cameras["entrance"]["zones"] = TILL
    with fed.world.serve(guarded_by="PAGE_TOKEN", **WITH_VIEWERS) as served:
        sign_in(page, served.url, viewer_token)
        wait_for(lambda: "till" in page.text("zone-list"))
        assert page.run("return document.querySelectorAll('#zone-list button').length") == 0
        assert page.run("return document.getElementById('draw').offsetParent") is None

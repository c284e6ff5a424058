"""The wall of all cameras: it fills the window, and a camera that is chosen opens large."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .browser import Feeder, Page
from .conftest import World, wait_for

ON_WALL = "return document.body.classList.contains('wall')"
TILES = """
return [...document.querySelectorAll('.thumb')].map((tile) => tile.getBoundingClientRect())
  .map(({ left, right, top, bottom }) => [left, right, top, bottom].map(Math.round));
"""


@pytest.fixture
def fed(world: World) -> Iterator[Feeder]:
    for number, name in enumerate(("yard", "hall", "gate", "till", "stairs", "dock", "ward", "lift")):
        world.add(name, seed=3 + number, people=1)
    with Feeder(world) as feeder:
        yield feeder


@pytest.mark.parametrize(
    ("count", "width", "height", "across"),
    [
        (1, 1000, 800, 1), (2, 1000, 400, 2), (2, 500, 800, 1), (4, 1000, 640, 2), (9, 1000, 680, 3),
        (16, 1600, 900, 4), (9, 370, 700, 2), (60, 370, 700, 2), (60, 1600, 900, 9), (3, 100, 700, 1),
    ],
)  # fmt: skip
def test_tiles_are_as_large_as_the_window_lets_them_be(
    page: Page, world: World, count: int, width: int, height: int, across: int
) -> None:
    with world.serve() as served:
        page.open(served.url)
        script = "module.columns(arguments[0], arguments[1], arguments[2])"
        assert page.call("wall", script, count, width, height) == across


def test_a_camera_of_the_wall_opens_large_and_back_leads_to_the_wall(fed: Feeder, page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.run("return document.querySelectorAll('.thumb').length") == 9)
        page.browser.find_element("id", "wall").send_keys(Keys.ENTER)
        wait_for(lambda: page.run(ON_WALL))
        assert page.run("return document.getElementById('big').offsetParent") is None
        tiles = page.run(TILES)
        assert max(bottom for *_, bottom in tiles) <= 900, "the whole wall is seen"
        assert len({top for _, _, top, _ in tiles}) == 3
        fed.scores["dock"] = 7.0
        wait_for(lambda: "Alarm" in page.run("return document.querySelectorAll('.thumb')[6].innerText"))
        assert page.run(ON_WALL), "an alarm is shown on the wall, and does not take it away"
        page.browser.find_elements("css selector", ".thumb")[3].send_keys(Keys.ENTER)
        wait_for(lambda: not page.run(ON_WALL) and page.text("big-name") == "gate")
        page.browser.back()
        wait_for(lambda: page.run(ON_WALL))
        assert page.run("return document.activeElement.innerText").startswith("gate")
        page.open(served.url + "#wall")
        page.browser.refresh()
        wait_for(
            lambda: page.run(ON_WALL) and page.run("return document.querySelectorAll('.thumb').length") == 9
        )
        page.wide(390, 844)
        wait_for(lambda: len({left for left, *_ in page.run(TILES)}) == 2)
        assert page.run("return document.documentElement.scrollWidth") <= 390
        assert page.errors() == []


def test_one_camera_needs_no_wall(world: World, page: Page) -> None:
    with world.serve() as served:
        page.open(served.url + "#wall")
        world.show("entrance", 300)
        wait_for(lambda: page.text("big-name") == "entrance")
        assert page.run("return document.getElementById('wall').hidden")

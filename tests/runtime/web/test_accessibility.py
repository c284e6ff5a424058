"""The page with axe-core: no violation of a serious or critical level, in each of its views."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.config.drawn_zones import DrawnZones

from .browser import Feeder, Page, sign_in
from .conftest import World, arm_all, wait_for

HERE = Path(__file__).parent / "axe"
ZONE = {"kind": "watch", "points": [[0.1, 0.1], [0.4, 0.1], [0.4, 0.9], [0.1, 0.9]]}
PROGRESS = {
    "state": "recording", "seconds": 1125.0, "people": 6, "hours_of_day": [8, 21], "needed_seconds": 2250.0,
    "per_day": 24.0, "missing": ["18.8 minutes with people"], "share": 0.5, "ready_at_utc": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, of the version and with the hash of its lock file."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not here")
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    try:
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, timeout=120,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.skip("npm gets no axe-core")
    if done.returncode and b"EINTEGRITY" not in done.stderr:
        pytest.skip("npm gets no axe-core")
    assert done.returncode == 0, done.stderr
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def fed(world: World, tmp_path: Path) -> Iterator[Feeder]:
    world.add("yard", seed=3, people=2)
    world.add("gate", seed=5)
    world.drawn = DrawnZones(tmp_path / "zones.json")
    world.cameras["entrance"].update(provisional=True, zones={"till": ZONE}, commissioning=PROGRESS)
    world.cameras["gate"].update(state="lost", error="no answer within 10 s")
    with Feeder(world) as feeder:
        feeder.silent.add("gate")
        yield feeder


def found(page: Page, axe: str) -> list[str]:
    """Return what is wrong on the page as it is."""
    page.run(axe)
    violations = page.browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")[
        "violations"
    ]
    return [
        f"{each['impact']} {each['id']}: {node['target']}"
        for each in violations
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_a_page_that_nobody_can_read_is_found(page: Page, axe: str) -> None:
    page.open("about:blank")
    page.run("document.body.innerHTML = '<button></button><img src=x>'")
    assert len(found(page, axe)) >= 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_can_be_used_by_everybody(
    fed: Feeder, page: Page, axe: str, token: str, width: int, scheme: str
) -> None:
    arm_all(fed.world)
    fed.world.alarm("yard", ago=4000)
    page.wide(width)
    page.media(prefers_color_scheme=scheme)
    with fed.world.serve(guarded_by="PAGE_TOKEN") as served:
        page.open(served.url + "login")
        assert found(page, axe) == []
        sign_in(page, served.url, token)
        wait_for(lambda: "till" in page.text("zone-list") and "yard" in page.text("alarm-list"))
        assert found(page, axe) == []
        page.run("document.getElementById('draw').click()")
        assert found(page, axe) == []
        page.run("document.getElementById('zone-cancel').click()")
        page.run("document.getElementById('wall').click()")
        wait_for(lambda: page.run("return document.body.classList.contains('wall')"))
        fed.scores["yard"] = 7.0
        fed.world.alarm("yard", kinds=("begin",))
        wait_for(lambda: page.text("headline") == "Alarm at yard" and "now" in page.text("alarm-list"))
        assert found(page, axe) == []
        page.run("document.querySelector('#alarm-list button').click()")
        wait_for(lambda: page.run("return document.getElementById('replay').open"))
        assert found(page, axe) == []


def test_a_page_of_a_viewer_too(fed: Feeder, page: Page, axe: str) -> None:
    arm_all(fed.world)
    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: "serve.token_file" in page.text("role") and "till" in page.text("zone-list"))
        assert found(page, axe) == []

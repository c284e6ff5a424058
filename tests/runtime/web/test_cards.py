"""What the page says of the calibration and the commissioning of a camera."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from .browser import Feeder, Page
from .conftest import World, iso, wait_for


@pytest.fixture
def fed(world: World) -> Iterator[Feeder]:
    with Feeder(world) as feeder:
        yield feeder


def test_a_camera_says_what_it_lacks_to_be_commissioned_and_when_it_is_ready(fed: Feeder, page: Page) -> None:
    ready = time.time() + 7200
    camera = fed.world.cameras["entrance"]
    progress: dict[str, Any] = {
        "state": "recording", "seconds": 1125.0, "people": 6, "hours_of_day": [8, 21], "needed_seconds": 2250.0,
        "per_day": 24.0, "missing": ["18.8 minutes with people", "4 more people"], "share": 0.5,
        "ready_at_utc": iso(ready),
    }  # fmt: skip
    camera.update(provisional=True, commissioning=progress)
    with page.fast(), fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.text("calibration-word") == "Being commissioned")
        said = page.text("calibration-lines")
        assert "19 min with people of 38 min, 6 people" in said
        assert "Missing: 18.8 minutes with people and 4 more people" in said
        assert f"Expected to be ready: {page.call('text', 'module.moment(arguments[0])', ready)}" in said
        assert "Until then its alarms are provisional" in said
        assert page.run("return document.getElementById('commissioning').value") == 0.5
        assert page.run("return document.querySelectorAll('#hours .seen').length") == 2
        assert page.run("return document.getElementById('hours').getAttribute('aria-label')").endswith(
            "8, 21"
        )
        camera["commissioning"] = {**progress, "missing": [], "state": "making", "share": 1.0}
        wait_for(lambda: page.text("calibration-word") == "Its bundle is being made")
        assert "Missing" not in page.text("calibration-lines")
        assert "torch" not in page.text("calibration-lines")
        camera["commissioning"].update(
            state="failed", error="Commissioning stopped at 'train'.", trains=False
        )
        wait_for(lambda: "is tried again" in page.text("calibration-word"))
        assert "Commissioning stopped at 'train'." in page.text("calibration-lines")
        assert "torch is not installed on this device: the model stays" in page.text("calibration-lines")
        camera.update(
            provisional=False, commissioning={**progress, "missing": [], "state": "done", "share": 1.0}
        )
        wait_for(lambda: page.text("calibration-word") == "Commissioned")
        assert "provisional" not in page.text("calibration-lines")
        assert page.errors() == []


def test_a_camera_that_is_not_commissioned_says_whether_it_is_calibrated(fed: Feeder, page: Page) -> None:
    camera = fed.world.cameras["entrance"]
    camera.update(provisional=True, recorded={"seconds": 754.0, "people": 31})
    with page.fast(), fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: page.text("calibration-word") == "Provisional")
        assert "Recorded since the start: 13 min with people, 31 people" in page.text("calibration-lines")
        assert "promises no rate of false alarms" in page.text("calibration-lines")
        assert page.run("return document.getElementById('commissioning').hidden")
        camera.update(provisional=False, recorded=None)
        wait_for(lambda: page.text("calibration-word") == "Calibrated")
        assert page.text("calibration-lines") == ""
        camera.update(calibrated=False)
        wait_for(lambda: page.text("calibration-word") == "Threshold set by hand")
        assert "promises no rate of false alarms" in page.text("calibration-lines")
        camera.update(
            provisional=True, misfit="the zones of the camera (till) are not those of its calibration"
        )
        wait_for(lambda: page.text("calibration-word") == "No longer fits")
        assert "(till) are not those of its calibration. Calibrate again" in page.text("calibration-lines")
        assert page.errors() == []

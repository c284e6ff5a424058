from __future__ import annotations

import json
from typing import Any

import numpy as np

from runtime.web.server import RunningServer

from .conftest import World, fetch


def asked(served: RunningServer, path: str) -> Any:
    return json.loads(fetch(served.url, path)[1])


def test_an_alarm_that_is_on_is_told_as_it_is_now(world: World, served: RunningServer) -> None:
    world.show("entrance", 300, score=6.0, utc=1000.0)
    id_ = world.alarm("entrance", kinds=("begin",), began=1000.0)
    told = asked(served, f"api/alarms/{id_}")
    assert (told["peak"]["score"], told["peak"]["utc"]) == (6.0, "1970-01-01T00:16:40.000+00:00")
    highest = world.show("entrance", 350, score=9.0, p_value=1 / 260, utc=1002.0, beyond_normal=True)
    world.show("entrance", 351, score=7.0, utc=1002.04)
    told = asked(served, f"api/alarms/{id_}")
    assert told["seconds"] == 2.04
    assert (told["peak"]["score"], told["peak"]["beyond_normal"]) == (9.0, True)
    assert highest.worst is not None
    assert highest.worst.window is not None
    poses = np.array(told["peak"]["skeletons"])
    assert np.abs(poses - highest.worst.window.transpose(1, 2, 0)).max() <= 0.051
    assert told["peak"]["person"] == highest.worst.person
    (summary,) = asked(served, "api/alarms")["alarms"]
    assert (summary["score"], summary["seconds"], summary["beyond_normal"]) == (9.0, 2.04, True)
    assert summary["p_value"] == round(1 / 260, 6)


def test_an_alarm_that_is_over_is_told_as_it_was(world: World, served: RunningServer) -> None:
    over = world.alarm("entrance", began=900.0)
    ended_now = world.alarm("entrance", began=1000.0)
    removed = world.alarm("entrance", kinds=("begin",), began=800.0)
    world.show("entrance", 300, score=9.0, utc=1000.0)
    for id_ in (over, ended_now, removed):
        assert asked(served, f"api/alarms/{id_}")["peak"]["score"] == 7.25
    assert [alarm["score"] for alarm in asked(served, "api/alarms")["alarms"]] == [7.25] * 3


def test_the_peak_holds_no_picture_and_each_alarm_has_its_own(world: World) -> None:
    image = np.zeros((72, 128, 3), np.uint8)
    world.show("entrance", 300, score=9.0, utc=1000.0, image=image)
    state = world.live.camera("entrance")
    assert state is not None
    assert state.peak is not None
    assert state.peak[0].frame.image is None
    world.show("entrance", 301, score=2.0, utc=1001.0)
    state = world.live.camera("entrance")
    assert state is not None
    assert state.peak is None
    world.show("entrance", 302, score=6.0, utc=1002.0)
    state = world.live.camera("entrance")
    assert state is not None
    assert state.peak is not None
    assert (state.alarm_since, state.peak[0].score) == (1002.0, 6.0)

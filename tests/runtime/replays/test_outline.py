"""The outline of a scene: a dark room with a bright door, in which somebody may be."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from runtime.pipeline.results import FrameResult, Person
from runtime.replays.outline import SceneOutline
from runtime.sources.frames import Frame


def scene(door: int = 400, noise: int = 0) -> npt.NDArray[np.uint8]:
    picture = np.full((360, 640, 3), 40, dtype=np.uint8)
    picture[100:300, door : door + 80] = 200
    chance = np.random.default_rng(noise)
    return (picture + chance.integers(0, 12, picture.shape)).astype(np.uint8)


@pytest.fixture
def see() -> Callable[..., FrameResult]:
    def make(time: float, image: npt.NDArray[np.uint8] | None, people: bool = False) -> FrameResult:
        person = Person(1, np.ones((18, 3), dtype=np.float32))
        size = (640, 360) if image is None else (image.shape[1], image.shape[0])
        frame = Frame(round(time * 10), time, size, image)
        return FrameResult(frame, (person,) * people, None, False, None, "door", math.inf)

    return make


def edges(outline: SceneOutline) -> npt.NDArray[np.uint8]:
    assert outline.png is not None
    read = cv2.imdecode(np.frombuffer(outline.png, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    return np.asarray(read[..., 3])


def test_it_holds_edges_and_nothing_else(see: Callable[..., FrameResult]) -> None:
    outline = SceneOutline()
    for index in range(70):
        outline.see(see(index / 10, scene(noise=index)))
    found = edges(outline)
    assert found.shape == (180, 320)
    assert set(np.unique(found)) == {0, 255}
    columns = np.flatnonzero(found[100])
    assert columns.tolist() == pytest.approx([200, 240], abs=2)
    assert (found > 0).mean() < 0.03
    assert outline.png is not None
    assert len(outline.png) < 5000


def test_nothing_is_taken_while_somebody_is_there(see: Callable[..., FrameResult]) -> None:
    outline = SceneOutline()
    for index in range(200):
        outline.see(see(index / 10, scene(), people=True))
        outline.see(see(index / 10, None))
    assert outline.png is None


def test_it_is_taken_again_after_ten_minutes(see: Callable[..., FrameResult]) -> None:
    outline = SceneOutline()
    for second in range(660):
        outline.see(see(second, scene(400 if second < 300 else 100)))
        if second == 590:
            assert np.flatnonzero(edges(outline)[100])[0] == pytest.approx(200, abs=2)
    assert np.flatnonzero(edges(outline)[100])[0] == pytest.approx(50, abs=2)


def test_another_resolution_and_a_stream_that_starts_again_are_taken(see: Callable[..., FrameResult]) -> None:
    outline = SceneOutline()
    for second in range(4):
        outline.see(see(second, scene()))
    for second in range(4, 12):
        outline.see(see(second, scene()[:, :360]))
    assert edges(outline).shape == (320, 320)
    for second in range(8):
        outline.see(see(second, scene()))
    assert edges(outline).shape == (180, 320)

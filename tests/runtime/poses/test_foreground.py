from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from runtime.poses.foreground import Foreground
from runtime.sources.frames import Image

pytest.importorskip("cv2")


class Scene:
    """A still, noisy background with things on it."""

    def __init__(self, width: int = 320, height: int = 240) -> None:
        self._rng = np.random.default_rng(0)
        self._background = self._rng.integers(80, 140, (height, width, 3))

    def picture(self, *things: tuple[int, int, int, int], value: int = 20, light: float = 1.0) -> Image:
        """Return a picture with boxes (left, top, right, bottom) of one brightness."""
        picture = self._background * light + self._rng.normal(0, 2, self._background.shape)
        for left, top, right, bottom in things:
            picture[top:bottom, left:right] = value
        return np.asarray(picture.clip(0, 255), dtype=np.uint8)


def learnt(scene: Scene, frames: int = 30) -> Foreground:
    foreground = Foreground(25)
    for _ in range(frames):
        assert foreground.find(scene.picture()).shape == (0, 4)
    return foreground


def near(found: npt.NDArray[np.float32], *expected: tuple[int, int, int, int], pixels: float = 6) -> bool:
    return found.shape == (len(expected), 4) and bool(
        (np.abs(np.sort(found, axis=0) - np.sort(np.array(expected), axis=0)) <= pixels).all()
    )


@pytest.mark.parametrize("scale", [1, 4])
def test_who_comes_is_a_region_in_pixels_of_the_picture(scale: int) -> None:
    scene = Scene(320 * scale, 240 * scale)
    foreground = learnt(scene, 10)
    box = (100 * scale, 60 * scale, 130 * scale, 150 * scale)
    assert near(foreground.find(scene.picture(box)), box, pixels=6 * scale)


def test_the_parts_of_a_body_are_one_region_and_people_apart_are_two() -> None:
    scene = Scene()
    foreground = learnt(scene)
    legs, body, other = (103, 106, 127, 150), (100, 60, 130, 100), (200, 60, 230, 150)
    assert near(foreground.find(scene.picture(legs, body, other)), (100, 60, 130, 150), other)


def test_a_shadow_belongs_to_nobody() -> None:
    scene = Scene()
    foreground = learnt(scene, 60)
    shaded = scene.picture(light=0.7)
    picture = scene.picture((100, 60, 130, 150))
    picture[140:150, 130:200] = shaded[140:150, 130:200]
    assert near(foreground.find(picture), (100, 60, 130, 150))


def test_specks_and_lines_are_nobody() -> None:
    scene = Scene()
    foreground = learnt(scene)
    assert len(foreground.find(scene.picture((50, 50, 54, 55), (100, 100, 300, 104)))) == 0


def test_when_the_light_changes_the_background_is_learnt_anew() -> None:
    scene = Scene()
    foreground = learnt(scene)
    assert len(foreground.find(scene.picture(light=1.6))) == 0
    for _ in range(10):
        assert len(foreground.find(scene.picture(light=1.6))) == 0
    box = (100, 60, 130, 150)
    assert near(foreground.find(scene.picture(box, light=1.6)), box)


def test_another_size_begins_anew() -> None:
    foreground = learnt(Scene())
    larger = Scene(640, 360)
    for _ in range(10):
        assert len(foreground.find(larger.picture((300, 60, 360, 250)))) == 0
    assert near(
        foreground.find(larger.picture((100, 60, 160, 250), (300, 60, 360, 250))), (100, 60, 160, 250)
    )


def test_somebody_who_does_not_move_is_background_after_ten_to_fifty_seconds() -> None:
    scene = Scene()
    foreground = Foreground(0.5)
    for _ in range(120):
        foreground.find(scene.picture())
    box = (100, 60, 130, 150)
    found = [len(foreground.find(scene.picture(box))) for _ in range(25)]
    assert found[:5] == [1] * 5  # 10 s
    assert found[-1] == 0

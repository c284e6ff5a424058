from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runtime.sources.frozen_pictures import PictureCheck, luma


def picture(values: Any, format: str = "rgb24") -> Any:  # noqa: A002
    av = pytest.importorskip("av")
    frame = av.VideoFrame.from_ndarray(np.asarray(values, dtype=np.uint8), format="rgb24")
    return frame.reformat(format=format, threads=1)  # with several, FFmpeg 8 garbles some rows of odd sizes


@pytest.mark.parametrize(
    "format_", ["yuv420p", "yuvj422p", "nv12", "gray", "rgb24", "yuyv422", "yuv420p10le"]
)
@pytest.mark.parametrize("size", [(48, 64), (45, 67)])
def test_the_brightness_of_a_picture_is_seen_in_every_format(format_: str, size: tuple[int, int]) -> None:
    values = np.zeros((*size, 3))
    values[:, size[1] // 2 :] = 255
    seen = luma(picture(values, format_))
    assert seen.dtype == np.uint8
    assert seen[:, 0].max() < 40
    assert seen[:, -1].min() > 210


def test_the_noise_of_a_sensor_is_not_frozen_and_a_new_encoding_is(rng: np.random.Generator) -> None:
    noisy, encoded = PictureCheck(), PictureCheck()
    scene = rng.integers(40, 200, (60, 80))
    for second in range(12):
        noise = rng.normal(0, 1, scene.shape)
        assert noisy.update((scene + noise).astype(np.uint8), second) == "streaming"
        again = (scene + (rng.random(scene.shape) < 0.1)).astype(np.uint8)
        assert encoded.update(again, second) == ("frozen" if second > 5 else "streaming")


def test_a_small_thing_that_moves_is_not_frozen() -> None:
    check = PictureCheck()
    for second in range(20):
        scene = np.full((60, 80), 100, dtype=np.uint8)
        scene[30, second] = 180
        assert check.update(scene, second) == "streaming"


def test_black_begins_after_its_time_and_ends_at_once() -> None:
    check = PictureCheck()
    dark, bright = np.full((60, 80), 16, dtype=np.uint8), np.full((60, 80), 90, dtype=np.uint8)
    dark[0, 0] = 255  # a defective pixel
    seen = [check.update(dark, second) for second in range(8)]
    assert seen == ["streaming"] * 3 + ["black"] * 5
    assert check.update(bright, 8) == "streaming"


def test_a_change_of_size_is_a_change() -> None:
    check = PictureCheck()
    check.update(np.full((60, 80), 100, dtype=np.uint8), 0)
    assert check.update(np.full((30, 40), 100, dtype=np.uint8), 9) == "streaming"


def test_a_large_picture_is_checked_by_few_of_its_pixels() -> None:
    large = picture(np.zeros((1080, 1920, 3)), "yuv420p")
    assert luma(large).size <= 1080 * 1920 / 64

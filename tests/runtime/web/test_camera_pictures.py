from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from runtime.pipeline.results import FrameResult
from runtime.web.camera_pictures import CameraPictures
from runtime.web.live_state import LiveState

cv2 = pytest.importorskip("cv2")


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((320, 240), (320, 240)),
        ((1080, 1920), (960, 1707)),
        ((1920, 1080), (960, 540)),
        ((16, 70_000), (1, 1920)),  # JPEG takes at most 65,535 pixels
        ((70_000, 16), (960, 1)),
    ],
)
def test_no_side_of_a_picture_for_the_page_is_larger_than_a_screen(
    make_result: Callable[..., FrameResult], size: tuple[int, int], shown: tuple[int, int]
) -> None:
    live = LiveState()
    live(make_result(0, size=size, image=np.zeros((size[1], size[0], 3), dtype=np.uint8)))
    answer = CameraPictures(live).jpeg("camera")
    assert answer is not None
    picture = cv2.imdecode(np.frombuffer(answer[1], dtype=np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (shown[1], shown[0], 3)

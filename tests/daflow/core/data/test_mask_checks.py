"""Frame masks that do not fit their clips."""

from __future__ import annotations

import numpy as np
import pytest

from daflow.core.data.frame_masks import Labels
from daflow.core.data.mask_checks import frames_beyond, mask_warnings


def mask(normal: int, abnormal: int = 0) -> Labels:
    return np.repeat([0, 1], [normal, abnormal])


LENGTHS = {"a": 600, "b": 600}


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        (
            {"a": mask(200, 100), "b": mask(300, 300)},
            "that of a has 300 frames, and the poses reach 600. 300 frames",
        ),
        (
            {"a": mask(5000, 1000), "b": mask(5000, 1000)},
            "10.0 times as long as the clips: that of a has 6000",
        ),
        (
            {"a": mask(500, 500), "b": mask(300, 300)},
            "1 of 2 frame masks are much longer than their clips: that of a has 1000 frames, and the poses end at 600",
        ),
        ({"a": mask(300, 300)}, "1 of 2 clips have no frame mask and are skipped: b"),
        ({"a": mask(600), "b": mask(600, 9), "c": mask(9), "d": mask(9)}, "2 of 4 frame masks have no clip"),
        ({"a": mask(10, 590), "b": mask(10, 590)}, "1180 of 1200 labelled frames are abnormal (98 %)"),
    ],
)
def test_what_does_not_fit_is_told_with_both_numbers(masks: dict[str, Labels], words: str) -> None:
    (found,) = mask_warnings(LENGTHS, masks)
    assert words in found


@pytest.mark.parametrize("frames", [590, 599, 600, 620, 700])
def test_a_mask_about_as_long_as_its_clip_is_right(frames: int) -> None:
    assert mask_warnings(LENGTHS, {"a": mask(400, frames - 400), "b": mask(600)}) == []


def test_nobody_in_a_clip_and_ignored_frames_are_no_error() -> None:
    masks = {"a": np.full(600, -1), "b": mask(300, 300), "c": mask(300)}
    assert mask_warnings({**LENGTHS, "c": 0}, masks) == []
    assert frames_beyond({"a": 600, "c": 10}, {"a": mask(100), "d": mask(1)}) == 500

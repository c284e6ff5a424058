"""Labelled abnormal windows for supervised training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from daflow.errors import InputError
from daflow.masks import read_masks
from daflow.tracks import FrameSize, read_clips
from daflow.windows import Poses, make_windows


def abnormal_windows(
    poses: Path, masks: Path | None, length: int, stride: int, frame_size: FrameSize | None = None
) -> Poses:
    """Return the windows `(N, 2, T, 18)` of a folder of tracks that count as abnormal.

    Masks do not say who is abnormal, so of a marked frame everybody counts (STG-NF tells people apart by UBnormal's
    pixel annotations, which come with its videos); windows in unmarked frames are left out.

    Args:
        poses: a folder of pose tracks.
        masks: frame masks of these clips; None takes every window.
        length: poses in a window.
        stride: poses between the starts of windows.
        frame_size: of all clips; None as `daflow.tracks.find_tracks`.

    Raises:
        InputError: a folder is missing, or no window is abnormal.
    """
    clips = read_clips(poses, frame_size)
    windows = make_windows(clips, length, stride)
    chosen = np.ones(len(windows), dtype=np.bool_)
    if masks is not None:
        labels = read_masks(masks)
        for index, clip in enumerate(clips):
            mask = labels.get(clip.name, np.zeros(0, dtype=np.int64))
            rows = np.flatnonzero(windows.clip == index)
            middle = windows.start[rows] + length // 2
            inside = middle < len(mask)
            chosen[rows] = False
            chosen[rows[inside]] = mask[middle[inside]] == 1
    if not chosen.any():
        raise InputError(
            f"{poses} gives no abnormal window of {length} poses: {windows.left_out() or 'none is marked'}."
        )
    return windows.poses[chosen]

"""Labelled abnormal windows for supervised training."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_masks import Labels, read_masks
from daflow.core.data.mask_checks import mask_warnings, warn_about_masks
from daflow.core.data.track_files import Paths, name_paths
from daflow.core.data.tracks import Clip, read_clips
from daflow.core.data.windows import MAX_MISSING, Poses, Windows, make_windows
from daflow.core.errors import InputError

logger = logging.getLogger(__name__)


def abnormal_windows(
    poses: Paths,
    masks: Path | None,
    length: int,
    stride: int,
    frame_size: FrameSize | None = None,
    fps: float | None = None,
) -> Poses:
    """Return the windows `(N, 2, T, 18)` of a folder of tracks that count as abnormal.

    Masks do not say who is abnormal, so of a marked frame everybody counts (STG-NF tells people apart by UBnormal's
    pixel annotations, which come with its videos); windows in unmarked frames are skipped.

    Args:
        poses: a folder of pose tracks, or several.
        masks: frame masks of these clips; None takes every window.
        length: poses in a window.
        stride: poses between the starts of windows.
        frame_size: of all clips; None as `daflow.core.data.tracks.find_tracks`.
        fps: frames per second of the model, as for `daflow.core.data.windows.make_windows`.

    Raises:
        InputError: a folder is missing, or no window is abnormal.
    """
    clips = read_clips(poses, frame_size)
    windows = make_windows(clips, length, stride, fps=fps)
    chosen = np.ones(len(windows), dtype=np.bool_)
    if masks is not None:
        labels = read_masks(masks)
        warn_about_masks(clips, labels)
        chosen = in_abnormal_frames(windows, clips, labels)
    if not chosen.any():
        raise InputError(
            f"{name_paths(poses)} gives no abnormal window of {length} poses: {windows.skipped() or 'none is marked'}."
        )
    return windows.poses[chosen]


def in_abnormal_frames(
    windows: Windows, clips: Sequence[Clip], masks: dict[str, Labels]
) -> npt.NDArray[np.bool_]:
    """Say which windows have their middle in a frame that is marked as abnormal, `(N,)`.

    Args:
        windows: made from `clips`.
        clips: the clips.
        masks: the labels of each frame by clip name; clips without one have no abnormal frame.
    """
    middle = windows.middle
    found = np.zeros(len(windows), dtype=np.bool_)
    for index, clip in enumerate(clips):
        mask = masks.get(clip.name, np.zeros(0, dtype=np.int64))
        rows = np.flatnonzero((windows.clip == index) & (middle < len(mask)))
        found[rows] = mask[middle[rows]] == 1
    return found


def normal_throughout(
    windows: Windows, clips: Sequence[str], masks: dict[str, Labels]
) -> npt.NDArray[np.bool_]:
    """Say which windows hold only frames that are labelled normal, `(N,)`.

    A window may have missed frames, so the two frames behind its last pose must be normal or absent as well.

    Args:
        windows: made from `clips`.
        clips: the names of the clips; those without labels are skipped.
        masks: the labels of each frame by clip name.
    """
    kept = np.zeros(len(windows), dtype=np.bool_)
    lengths: dict[str, int] = {}
    for index, name in enumerate(clips):
        rows = np.flatnonzero(windows.clip == index)
        lengths[name] = int(windows.last[rows].max(initial=-1)) + 1
        if name not in masks:
            continue
        other = np.concatenate([[0], np.cumsum(masks[name] != 0)])
        first = windows.start[rows]
        last = np.minimum(windows.last[rows] + 1 + MAX_MISSING, len(masks[name]))
        inside = windows.last[rows] < len(masks[name])
        kept[rows[inside]] = (other[last] - other[np.minimum(first, last)])[inside] == 0
    for warning in mask_warnings(lengths, {name: masks[name] for name in lengths if name in masks}):
        logger.warning(warning)
    if not any((masks[name] == 1).any() for name in lengths if name in masks):
        logger.warning(
            "no frame of these %d clips is labelled abnormal, so the labels change nothing; 1 is abnormal and "
            "0 is normal",
            len(lengths),
        )
    return kept

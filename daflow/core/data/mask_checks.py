"""Whether frame masks fit the clips that they are of: lengths, names, and what they mark."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from daflow.core.data.frame_masks import Labels
from daflow.core.data.tracks import Clip

logger = logging.getLogger(__name__)

_TOLERANCE = 0.02  # of a clip; trackers drop the last frames
_MAX_LONGER = 1.5
_MAX_ABNORMAL = 0.9
_NAMED = 3


def warn_about_masks(clips: Sequence[Clip], masks: Mapping[str, Labels]) -> None:
    """Log what is implausible about frame masks, one warning for each kind.

    Args:
        clips: the clips that the masks are for.
        masks: the labels of each frame by clip name, 1 abnormal, 0 normal, -1 ignored.
    """
    for warning in mask_warnings(clip_lengths(clips), masks):
        logger.warning(warning)


def clip_lengths(clips: Sequence[Clip]) -> dict[str, int]:
    """Return the frames of each clip up to its last pose, by clip name; 0 without poses."""
    return {clip.name: max((int(t.frames[-1]) + 1 for t in clip.tracks), default=0) for clip in clips}


def mask_warnings(lengths: Mapping[str, int], masks: Mapping[str, Labels]) -> list[str]:
    """Return what is implausible about frame masks, with the numbers of both sides.

    Args:
        lengths: the frames of each clip up to its last pose.
        masks: the labels of each frame by clip name.
    """
    warnings = []
    common = sorted(set(lengths) & set(masks))
    if unlabelled := sorted(set(lengths) - set(masks)):
        warnings.append(
            f"{len(unlabelled)} of {len(lengths)} clips have no frame mask and are skipped: {_some(unlabelled)}"
        )
    if missing := sorted(set(masks) - set(lengths)):
        warnings.append(
            f"{len(missing)} of {len(masks)} frame masks have no clip of that name, so nobody is in their frames: "
            f"{_some(missing)}"
        )
    if short := [name for name in common if lengths[name] > len(masks[name]) * (1 + _TOLERANCE) + 1]:
        worst = max(short, key=lambda name: lengths[name] - len(masks[name]))
        warnings.append(
            f"{len(short)} of {len(common)} frame masks are shorter than their clips: that of {worst} has "
            f"{len(masks[worst])} frames, and the poses reach {lengths[worst]}. "
            f"{frames_beyond(lengths, masks)} frames have no label and are skipped. Were the masks made at another "
            "frame rate?"
        )
    posed = [name for name in common if lengths[name]]
    frames, labelled = sum(lengths[name] for name in posed), sum(len(masks[name]) for name in posed)
    longer = [name for name in posed if len(masks[name]) > _MAX_LONGER * lengths[name] + 1]
    worst = max(longer, key=lambda name: len(masks[name]) / lengths[name], default="")
    if longer and labelled <= _MAX_LONGER * frames:
        warnings.append(
            f"{len(longer)} of {len(common)} frame masks are much longer than their clips: that of {worst} has "
            f"{len(masks[worst])} frames, and the poses end at {lengths[worst]}. Is nobody in the rest, or is it the "
            "mask of another recording?"
        )
    elif longer:
        warnings.append(
            f"the frame masks are {labelled / frames:.1f} times as long as the clips: that of {worst} has "
            f"{len(masks[worst])} frames, and the poses end at {lengths[worst]}. Were they made at another frame rate?"
        )
    known = sum(int((masks[name] >= 0).sum()) for name in common)
    abnormal = sum(int((masks[name] == 1).sum()) for name in common)
    if known and abnormal > _MAX_ABNORMAL * known:
        warnings.append(
            f"{abnormal} of {known} labelled frames are abnormal ({100 * abnormal / known:.0f} %): in frame masks 1 is "
            "abnormal and 0 is normal. Do these mean the opposite?"
        )
    return warnings


def frames_beyond(lengths: Mapping[str, int], masks: Mapping[str, Labels]) -> int:
    """Return how many frames of clips lie behind the end of their masks.

    Args:
        lengths: the frames of each clip up to its last pose.
        masks: the labels of each frame by clip name.
    """
    return sum(max(0, lengths[name] - len(masks[name])) for name in lengths if name in masks)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" ..." if len(names) > _NAMED else "")

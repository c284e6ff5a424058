"""Whether poses mean what they should: figures of each clip, and warnings that say what was expected and what was seen.

Bones and heads tell the order of joints. In a wrong order all bones together are 1.5 to 1.7 times as long as in the
right one, and the "head" is an arm or a leg, 40 to 50 % of a person. In the right order, in clips by AlphaPose, YOLO
and of generated people, they are at most 1.34 times as long as in any other one, and the head is 8 to 15 % of a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.missing_joints import MAX_HIDDEN, seen_points
from daflow.core.errors import InputError

if TYPE_CHECKING:
    from daflow.core.data.tracks import Clip

_Points = npt.NDArray[np.float32]

_MAX_FRACTION = 2.0  # pixels; a person is never so small
_MAX_POSES = 256  # of a clip, evenly spaced; more change no share
_MIN_POSES = 24
_MARGIN = 0.1  # of the frame: joints of people at the edge are estimated outside
_MAX_OUTSIDE = 0.05
_MAX_MISSING = 0.005
_MAX_BONES = 1.2
_MAX_HEAD = 0.25
_MAX_TURNED = 0.9

_PARTS = (
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
_BONES = ((0, 2), (2, 4), (1, 3), (3, 5), (6, 8), (8, 10), (7, 9), (9, 11), (0, 1), (6, 7), (0, 6), (1, 7))
_BEGINS, _ENDS = np.array(_BONES).T


@dataclass(frozen=True)
class _Order:
    """Where a layout has the head and `_PARTS`."""

    name: str
    head: tuple[int, ...]
    parts: tuple[int, ...]


_COCO = _Order("COCO", (0, 1, 2, 3, 4), (5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16))
_HUMAN36M = _Order("Human3.6M", (9, 10), (11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3))
_OPENPOSE = _Order("OpenPose-18", (0, 14, 15, 16), (5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10))
_ORDERS = {
    17: (_COCO, _HUMAN36M, _OPENPOSE, _Order("MPI-INF-3DHP", (0,), _OPENPOSE.parts)),
    18: (_OPENPOSE, _COCO, _HUMAN36M),
}
"""The orders that poses of so many joints may be in; the first is the one that is expected."""


@dataclass(frozen=True)
class ClipFacts:
    """Figures of a clip that its poses are judged by.

    Attributes:
        clip: its name.
        frame_size: width and height of its frames, pixels.
        reach: how far right and down 99 % of the joints are, pixels.
        outside: share of the joints that are more than a tenth of the frame outside of it.
        missing: share of the joints that were not seen, such as those at 0, 0.
        complete: poses that the figures below are of: a sample of those with all joints.
        expected: the order of joints that is expected.
        order: the order in which the bones are shortest.
        bones: how many times as long all bones are in the expected order; 1 when that is the shortest.
        head: the width of the head in the expected order, as a share of the person's.
        upside_down: share of the poses whose hips are above the shoulders.
        lying: share of the poses whose trunk is more horizontal than vertical.
        skipped: the messages of persons that could not be read.
        persons: the number of persons, with those.
    """

    clip: str
    frame_size: tuple[int, int]
    reach: tuple[float, float] = (0.0, 0.0)
    outside: float = 0.0
    missing: float = 0.0
    complete: int = 0
    expected: str = ""
    order: str = ""
    bones: float = 1.0
    head: float = 0.0
    upside_down: float = 0.0
    lying: float = 0.0
    skipped: tuple[str, ...] = ()
    persons: int = 0

    @property
    def misplaced(self) -> bool:
        """Whether the joints seem to be in another order."""
        return self.bones > _MAX_BONES and self.head > _MAX_HEAD and self.complete >= _MIN_POSES


def require_pixels(clip: Clip, source: str | None = None) -> None:
    """Check that the coordinates of a clip are pixels.

    Args:
        clip: its poses.
        source: what a message calls it; None is its name.

    Raises:
        InputError: nearly all of them are at most 2, so they are fractions of the frame.
    """
    parts = [np.abs(part[..., :2]).ravel() for part in _sample([track.keypoints for track in clip.tracks])]
    values = np.concatenate([np.zeros(0, np.float32), *parts])
    values = values[np.isfinite(values) & (values > 0)]
    if len(values) and (top := float(np.quantile(values, 0.95))) <= _MAX_FRACTION:
        raise InputError(
            f"The coordinates of {source or f'clip {clip.name}'} reach {top:.3g}, so they are fractions of the frame, "
            "and pixels are needed. Multiply each x by the width and each y by the height of the video."
        )


def clip_facts(clip: Clip, skipped: Sequence[str] = ()) -> ClipFacts:
    """Measure a clip.

    Args:
        clip: its poses; those of all people count.
        skipped: the messages of persons that could not be read.
    """
    persons = len(clip.tracks) + len(skipped)
    poses = [seen_points(part) for part in _sample([track.keypoints for track in clip.tracks])]
    if not poses:
        return ClipFacts(clip.name, clip.frame_size, skipped=tuple(skipped), persons=persons)
    joints = np.concatenate([part.reshape(-1, 2) for part in poses])
    found = np.isfinite(joints).all(axis=1)
    seen = joints[found]
    size = np.asarray(clip.frame_size)
    far = ((seen < -_MARGIN * size) | (seen > (1 + _MARGIN) * size)).any(axis=1)
    reach = np.quantile(seen, 0.99, axis=0) if len(seen) else np.zeros(2)
    facts: dict[str, Any] = max((_geometry(part) for part in poses), key=lambda found: found["complete"])
    return ClipFacts(
        clip.name,
        clip.frame_size,
        (round(float(reach[0]), 1), round(float(reach[1]), 1)),
        outside=float(far.mean()) if len(seen) else 0.0,
        missing=float((~found).mean()),
        skipped=tuple(skipped),
        persons=persons,
        **facts,
    )


def clip_warnings(facts: Sequence[ClipFacts]) -> list[str]:
    """Return what is implausible about clips, one sentence for each kind, with the numbers of both sides."""
    kinds = (_skipped_persons, _another_order, _turned, _outside, _missing_joints)
    return [text for kind in kinds if (text := kind(facts))]


def _sample(tracks: Sequence[_Points]) -> list[_Points]:
    """Return evenly spaced poses `(N, J, 3)`, of each number of joints apart."""
    step = max(1, sum(len(track) for track in tracks) // _MAX_POSES)
    parts: dict[int, list[_Points]] = {}
    passed: Counter[int] = Counter()
    for track in tracks:
        joints = track.shape[1]
        parts.setdefault(joints, []).append(track[-passed[joints] % step :: step])
        passed[joints] += len(track)
    return [np.concatenate(parts[joints]) for joints in sorted(parts)]


def _geometry(poses: _Points) -> dict[str, Any]:
    """Return the figures of `ClipFacts` from `complete` to `lying`."""
    orders = _ORDERS.get(poses.shape[1])
    points = np.ascontiguousarray(poses.transpose(2, 1, 0))  # (2, J, N): along N numpy is fast
    points = points[:, :, np.isfinite(points).all(axis=(0, 1))]
    if orders is None or not points.shape[2]:
        return {"complete": 0}
    lengths = np.stack([_length(points, order) for order in orders])
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = np.nan_to_num(np.median(lengths[0] / lengths, axis=1), nan=1.0, posinf=1.0)
    best = int(np.argmax(ratios))
    left_shoulder, right_shoulder = (orders[0].parts[_PARTS.index(name)] for name in _PARTS[:2])
    left_hip, right_hip = (orders[0].parts[_PARTS.index(name)] for name in ("left_hip", "right_hip"))
    x, y = (
        points[:, left_hip] + points[:, right_hip] - points[:, left_shoulder] - points[:, right_shoulder]
    ) / 2
    return {
        "complete": points.shape[2],
        "expected": orders[0].name,
        "order": orders[best].name,
        "bones": float(ratios[best]),
        "head": float(np.median(_spread(points[:, orders[0].head]) / np.maximum(_spread(points), 1e-6))),
        "upside_down": float((y < -np.abs(x)).mean()),
        "lying": float((np.abs(x) > np.abs(y)).mean()),
    }


def _spread(points: _Points) -> npt.NDArray[np.float32]:
    """Return the diagonal of the box around the points `(2, J, N)` of each pose, `(N,)`."""
    x, y = points.max(axis=1).astype(np.float64) - points.min(axis=1)  # squares of float32 may overflow
    return np.asarray(np.sqrt(x * x + y * y), dtype=np.float32)


def _length(points: _Points, order: _Order) -> npt.NDArray[np.float64]:
    """Return the length of all bones of each pose `(2, J, N)` in an order of joints, `(N,)`."""
    body = points[:, order.parts].astype(np.float64)
    head = points[:, order.head].astype(np.float64).mean(axis=1, keepdims=True)
    x, y = np.concatenate([body[:, _BEGINS] - body[:, _ENDS], head - body[:, :2]], axis=1)
    return np.asarray(np.sqrt(x * x + y * y).sum(axis=0))


def _skipped_persons(facts: Sequence[ClipFacts]) -> str | None:
    bad = [clip for clip in facts if clip.skipped]
    if not bad:
        return None
    count, of = sum(len(clip.skipped) for clip in bad), sum(clip.persons for clip in facts)
    return f"{count} of {of} persons are skipped, because they cannot be read, such as: {bad[0].skipped[0]}"


def _another_order(facts: Sequence[ClipFacts]) -> str | None:
    worst, count = _worst(facts, lambda clip: clip.misplaced, lambda clip: clip.bones)
    if worst is None:
        return None
    return (
        f"the joints of {count} seem to be in another order, such as that of {worst.order}, and that of "
        f"{worst.expected} is expected: taken as {worst.expected}, the bones of clip {worst.clip} are "
        f"{worst.bones:.2f} times as long as taken as {worst.order}, and the head is {100 * worst.head:.0f} % of a "
        "person. Reorder the keypoints (docs/file-formats.md); the scores mean nothing otherwise"
    )


def _turned(facts: Sequence[ClipFacts]) -> str | None:
    """Of all clips together: somebody may lie in one of them."""
    usable = [clip for clip in facts if clip.complete and not clip.misplaced]
    poses = sum(clip.complete for clip in usable)
    if poses < _MIN_POSES:
        return None
    for what, shares, causes in (
        ("the hips are above the shoulders", [c.upside_down for c in usable], "y may count from the bottom"),
        ("the trunk is horizontal", [c.lying for c in usable], "x and y may be exchanged"),
    ):
        share = sum(share * clip.complete for share, clip in zip(shares, usable, strict=True)) / poses
        if share > _MAX_TURNED:
            return (
                f"in {100 * share:.0f} % of the poses {what}, and people mostly stand, walk or sit: {causes}, or the "
                "picture is turned. Keypoints are x from the left, then y from the top, of an upright picture"
            )
    return None


def _outside(facts: Sequence[ClipFacts]) -> str | None:
    worst, count = _worst(facts, lambda clip: clip.outside > _MAX_OUTSIDE, lambda clip: clip.outside)
    if worst is None:
        return None
    return (
        f"the joints of {count} are outside the frame: in clip {worst.clip} {100 * worst.outside:.0f} % of them, 99 % "
        f"reach {worst.reach[0]:.0f}x{worst.reach[1]:.0f}, and the frame is taken as "
        f"{worst.frame_size[0]}x{worst.frame_size[1]} pixels. Give the right size by --frame-size or frame_sizes.json"
    )


def _missing_joints(facts: Sequence[ClipFacts]) -> str | None:
    worst, count = _worst(facts, lambda clip: clip.missing > _MAX_MISSING, lambda clip: clip.missing)
    if worst is None:
        return None
    return (
        f"joints of {count} were not seen (0, 0, NaN, or a confidence of 0): in clip {worst.clip} "
        f"{100 * worst.missing:.1f} % of them. Windows are filled in from their other poses, and are not scored when a "
        f"shoulder or hip is hidden for more than {MAX_HIDDEN} poses in a row"
    )


def _worst(
    facts: Sequence[ClipFacts], seen: Callable[[ClipFacts], bool], by: Callable[[ClipFacts], float]
) -> tuple[ClipFacts | None, str]:
    """Return the clip where something is seen most, and in how many clips it is."""
    found = [clip for clip in facts if seen(clip)]
    return max(found, key=by, default=None), f"{len(found)} of {len(facts)} clips"

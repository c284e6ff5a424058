"""What a reader returns: the poses of one clip as the file holds them, and the checks that all readers share."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.tracks import MAX_FRAMES
from daflow.core.errors import InputError
from daflow.core.log import shortened
from daflow.formats.bounded import MAX_VALUES
from daflow.formats.layouts import COUNTS, Keypoints, Layout

Array = npt.NDArray[np.float64]
Units = Literal["pixels", "fractions"]

NOBODY = -1
"""The person of a pose whose file gives none."""

_MAX_PERSON = 10**15
_MAX_SCORE = 1e9


@dataclass(frozen=True)
class Options:
    """What a person says about the files, None for what the files say.

    Attributes:
        form: as `--from` takes it.
        layout: the order of joints.
        axes: of an array of four dimensions, `ntvc` or `tpvc`.
        units: of the coordinates.
    """

    form: str | None = None
    layout: Layout | None = None
    axes: str | None = None
    units: Units | None = None

    @property
    def joints(self) -> int | None:
        """The number of joints, None if it is not given."""
        return self.layout.joints if self.layout else None


@dataclass(frozen=True)
class Recording:
    """The poses of one clip, in the layout and the units of the file.

    Attributes:
        form: what the file is, in words.
        frames: `(N,)` int64, from 0.
        people: `(N,)` int64, -1 where the file gives no number.
        keypoints: `(N, J, 3)` float32, x, y and confidence; a joint that was not seen is 0, 0, 0.
        scores: `(N,)` float32, of the poses, NaN where there is none.
        layout: the order of joints, None where the number of joints tells it.
        units: of the coordinates.
        frame_size: width and height in pixels where the file says them.
        name: of the clip where the file says it, else empty.
        rate: the frame rate where the file or its form says it.
    """

    form: str
    frames: npt.NDArray[np.int64]
    people: npt.NDArray[np.int64]
    keypoints: Keypoints
    scores: npt.NDArray[np.float32]
    layout: Layout | None = None
    units: Units = "pixels"
    frame_size: FrameSize | None = None
    name: str = ""
    rate: FrameRate | None = None


@dataclass
class Poses:
    """Poses that are collected one by one."""

    where: Path
    frames: list[int] = field(default_factory=list)
    people: list[int] = field(default_factory=list)
    keypoints: list[Keypoints] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    values: int = 0

    def add(
        self, frame: int, keypoints: Array | Keypoints, person: int = NOBODY, score: float = math.nan
    ) -> None:
        """Add one pose.

        Args:
            frame: its number, which must be from 0 to `MAX_FRAMES`.
            keypoints: `(J, 2)` or `(J, 3)`, NaN for what is missing.
            person: the number of the person, -1 for none.
            score: of the pose, NaN for none.

        Raises:
            InputError: the frame number or the number of values is beyond its limit, or a pose has another number of
                joints than those before it.
        """
        require_frame(frame, self.where)
        self.values += 3 * len(keypoints)
        if self.values > MAX_VALUES:
            raise InputError(f"{self.where} holds more than {MAX_VALUES} values.")
        if self.keypoints and len(self.keypoints[0]) != len(keypoints):
            raise InputError(
                f"{self.where}: frame {frame} has a pose of {len(keypoints)} joints, and others have "
                f"{len(self.keypoints[0])}."
            )
        self.frames.append(frame)
        self.people.append(person)
        self.keypoints.append(tidy(keypoints))
        self.scores.append(score)

    def recording(
        self,
        form: str,
        layout: Layout | None = None,
        units: Units = "pixels",
        frame_size: FrameSize | None = None,
        name: str = "",
    ) -> Recording:
        """Return all of them."""
        joints = len(self.keypoints[0]) if self.keypoints else 17
        return Recording(
            form,
            np.asarray(self.frames, dtype=np.int64),
            np.asarray(self.people, dtype=np.int64),
            np.stack(self.keypoints) if self.keypoints else np.zeros((0, joints, 3), dtype=np.float32),
            np.asarray(self.scores, dtype=np.float32),
            layout,
            units,
            frame_size,
            name,
        )


def tidy(keypoints: Array | Keypoints) -> Keypoints:
    """Return keypoints `(..., J, 2)` or `(..., J, 3)` as float32 with a confidence, which is 1 where there is none.

    A joint of which a value is NaN or infinite, or that is at 0, 0, is 0, 0, 0.
    """
    with np.errstate(over="ignore"):
        found = np.asarray(keypoints, dtype=np.float32)
    if found.shape[-1] == 2:
        found = np.concatenate([found, np.ones_like(found[..., :1])], axis=-1)
    seen = np.isfinite(found).all(axis=-1, keepdims=True) & found[..., :2].any(axis=-1, keepdims=True)
    return np.where(seen, found, np.float32(0))


def without_flags(keypoints: Keypoints) -> Keypoints:
    """Return keypoints whose third value may be COCO's visibility: 1 (hidden, labelled) and 2 are confidence 1."""
    flags = keypoints[..., 2]
    if not np.isin(flags, (0, 1, 2)).all():
        return keypoints
    return np.concatenate([keypoints[..., :2], np.minimum(flags, 1)[..., None]], axis=-1)


def pose_values(values: object, joints: int | None, where: str) -> Array:
    """Return one pose, `(J, 2)` or `(J, 3)`, NaN for null, from a list of numbers or of joints.

    Args:
        values: `[x, y, c, ...]`, `[x, y, ...]`, or a list with `[x, y]`, `[x, y, c]` or null for each joint.
        joints: the number of joints, None to tell it by the number of values.
        where: the beginning of an error.

    Raises:
        InputError: it is not a list of numbers, or of no layout.
    """
    if not isinstance(values, list) or not values:
        raise InputError(f"{where}: the list of keypoints is missing.")
    if any(isinstance(value, list) for value in values):
        widths = {len(row) for row in values if isinstance(row, list)}
        if (
            len(widths) != 1
            or not widths <= {2, 3}
            or any(not isinstance(row, list | None) for row in values)
        ):
            raise InputError(f"{where}: each joint must be [x, y] or [x, y, confidence].")
        (width,) = widths
        empty = [None] * width
        return numbers([value for row in values for value in (row or empty)], where).reshape(-1, width)
    found = numbers(values, where)
    counts = {joints} if joints else COUNTS
    for width in (3, 2):
        if len(found) % width == 0 and len(found) // width in counts:
            return found.reshape(-1, width)
    wanted = f"{joints} joints" if joints else f"a layout with {', '.join(map(str, sorted(COUNTS)))} joints"
    raise InputError(
        f"{where}: {len(found)} keypoint values are not x, y and perhaps confidence of {wanted}."
    )


def numbers(values: Sequence[object], where: str) -> Array:
    """Return a list of JSON numbers and nulls, which become NaN.

    Raises:
        InputError: something else is in it.
    """
    if not set(map(type, values)) <= {int, float, type(None)}:
        raise InputError(f"{where}: a value is not a number.")
    try:
        return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    except OverflowError:
        raise InputError(f"{where}: a value is too large.") from None


def score_of(value: object, where: str) -> float:
    """Return the score of a pose, NaN for null and what no score can be; a list of one is the number in it.

    Raises:
        InputError: it is not a number.
    """
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    score = float(numbers([value], where)[0])
    return score if abs(score) <= _MAX_SCORE else math.nan


def person_of(value: object, where: str) -> int:
    """Return the number of a person, -1 for null and negative ones: 3, 3.0, "3", [3] and [[3.0]] are 3.

    Raises:
        InputError: it is no whole number, or too large.
    """
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return NOBODY
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,16}(\.0*)?", value.strip()):
        value = float(value)
    if type(value) not in (int, float) or not abs(value) <= _MAX_PERSON or value != int(value):  # type: ignore[arg-type,call-overload]
        raise InputError(f"{where}: {shortened(repr(value), 40)} is not the number of a person.")
    return max(NOBODY, int(value))  # type: ignore[call-overload, no-any-return]


def frame_of(value: object, where: str) -> int:
    """Return the number of a frame: a whole number, or the last number in a name such as `000012.jpg`.

    Raises:
        InputError: there is none.
    """
    if isinstance(value, str):
        found = re.findall(r"[0-9]+", PurePosixPath(value.replace("\\", "/")).stem) or re.findall(
            r"[0-9]+", value
        )
        if found and len(found[-1]) < 16:
            return int(found[-1])
    elif type(value) in (int, float) and abs(value) < _MAX_PERSON and value == int(value):  # type: ignore[arg-type,call-overload]
        return int(value)  # type: ignore[call-overload, no-any-return]
    raise InputError(f"{where}: {shortened(repr(value), 60)} does not say the number of a frame.")


def require_frame(frame: int, where: object) -> None:
    """Check the number of a frame.

    Raises:
        InputError: it is not from 0 to `MAX_FRAMES`.
    """
    if not 0 <= frame < MAX_FRAMES:
        raise InputError(f"{where}: the frame number {frame} is not from 0 to {MAX_FRAMES - 1}.")

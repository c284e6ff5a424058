"""Pose tracks: who was where in each frame of a clip, read from and written to the field's JSON format.

One file holds one clip, `{person: {frame: {"keypoints": [x, y, confidence] * J, "scores": float | null}}}`, named
`<scene>_<clip>_alphapose_tracked_person.json`. Coordinates are pixels. The format carries neither the size of the video
frame, which normalising needs, nor the frame rate, which makes a number of frames a time: both are in tables beside the
files (`daflow.core.data.clip_tables`).
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import (
    FrameSize,
    add_frame_rates,
    add_frame_sizes,
    read_frame_rates,
    read_frame_sizes,
    require_frame_size,
)
from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.missing_joints import seen_points
from daflow.core.data.other_formats import WANTED, describe_content, describe_keypoints
from daflow.core.data.plausibility import ClipFacts, clip_facts, clip_warnings, require_pixels
from daflow.core.data.skeleton import to_openpose
from daflow.core.data.track_files import Paths, files_by_folder, name_paths
from daflow.core.errors import InputError
from daflow.core.files import StrPath, parse_json, write_text
from daflow.core.log import shortened

logger = logging.getLogger(__name__)

SUFFIX = "_alphapose_tracked_person.json"
DEFAULT_FRAME_SIZE = (1920, 1080)
MAX_FRAMES = 10_000_000
"""Frames of a clip at most, 4.6 days at 25 per second: a wrong frame number must not make a huge array."""

DEFAULT_FPS = 25.0
"""Frames per second of recordings whose rate is not known."""

_NUMBERS = frozenset({float, int})


@dataclass(frozen=True)
class Track:
    """One person's poses in one clip.

    Attributes:
        person: the person's number in the file.
        frames: `(N,)` int64, strictly increasing frame numbers.
        keypoints: `(N, J, 3)` float32, x and y in pixels and a confidence, in the layout of the file.
        scores: `(N,)` float32, the detector's score of each pose, NaN where it gave none.
    """

    person: int
    frames: npt.NDArray[np.int64]
    keypoints: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]

    def points(self) -> npt.NDArray[np.float32]:
        """Return the model's joints, `(N, 18, 2)` float32, pixels, NaN where a joint was not seen."""
        return np.asarray(to_openpose(seen_points(self.keypoints)), dtype=np.float32)


@dataclass(frozen=True)
class Clip:
    """All tracks of one clip, the width and height of its frames in pixels, and its frame rate, None if not known.

    Raises:
        InputError: width or height is no whole number of pixels from 1 to 32768.
    """

    name: str
    tracks: tuple[Track, ...]
    frame_size: FrameSize
    rate: FrameRate | None = None

    def __post_init__(self) -> None:
        require_frame_size(self.frame_size)

    @property
    def poses(self) -> int:
        """The number of poses in all tracks."""
        return sum(len(track.frames) for track in self.tracks)


@dataclass(frozen=True)
class TrackFile:
    """A pose track file that is not read yet, the frame size of its clip in pixels, and its frame rate if known."""

    path: Path
    frame_size: FrameSize
    rate: FrameRate | None = None

    @property
    def clip(self) -> str:
        """The name of the clip."""
        return _clip_name(self.path)

    def read(self) -> Clip:
        """Read the clip.

        Raises:
            InputError: as `read_clip`.
        """
        return read_clip(self.path, self.frame_size, self.rate)


def read_tracks(path: Paths, frame_size: FrameSize | None = None, fps: float | None = None) -> list[Clip]:
    """Read pose tracks: one file, or all files of a folder and of the folders in it; or of several.

    Args:
        path: a pose track file, a folder, or a list of those.
        frame_size: width and height of the video frames in pixels, for every clip; None takes `frame_sizes.json` in
            the folder of the tracks, else 1920x1080.
        fps: frames per second of every clip; None takes `frame_rates.json` in the folder of the tracks.

    Returns:
        A clip for each file, sorted by name. Invalid files of a folder are logged and skipped.

    Raises:
        InputError: nothing is there, or nothing of it can be read.
    """
    if isinstance(path, (str, os.PathLike)) and Path(path).is_file():
        return [track_file(path, frame_size, fps).read()]
    return read_clips(path, frame_size, fps=fps)


def read_clip(
    path: StrPath, frame_size: FrameSize = DEFAULT_FRAME_SIZE, rate: FrameRate | None = None
) -> Clip:
    """Read one pose track file. A person whose poses are invalid is logged and skipped, and so is what is implausible.

    Args:
        path: the file.
        frame_size: width and height of the video frames in pixels.
        rate: the frame rate, None if it is not known.

    Raises:
        InputError: the file is missing, not JSON or not a pose track file, none of its persons is valid, or its
            coordinates are not pixels; the message names the file and, where it applies, the person and the frame.
    """
    clip, facts = read_clip_with_facts(path, frame_size, rate)
    for warning in clip_warnings([facts]):
        logger.warning(warning)
    return clip


def read_clip_with_facts(
    path: StrPath, frame_size: FrameSize = DEFAULT_FRAME_SIZE, rate: FrameRate | None = None
) -> tuple[Clip, ClipFacts]:
    """Read one pose track file and measure it; `clip_warnings` says what is implausible about many of them at once.

    Args and errors are those of `read_clip`.
    """
    path = Path(path)
    try:
        content = parse_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"There is no pose track file {path}.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, not a pose track file.") from None
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from None
    if other := describe_content(content):
        raise InputError(f"{path} is not a pose track file but {other}. {WANTED}.")
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a pose track file: it must hold a JSON object of persons.")
    tracks, skipped = [], []
    for name, poses in content.items():
        try:
            tracks.append(_read_person(path, name, poses))
        except InputError as error:
            skipped.append(error.message)
    if skipped and not tracks:
        raise InputError(skipped[0])
    persons = Counter(track.person for track in tracks)
    if doubled := [person for person, count in persons.items() if count > 1]:
        raise InputError(f"{path}: person {min(doubled)} appears twice.")
    clip = Clip(_clip_name(path), tuple(tracks), frame_size, rate)
    require_pixels(clip, str(path))
    return clip, clip_facts(clip, skipped)


def find_tracks(
    paths: Paths, frame_size: FrameSize | None = None, fps: float | None = None
) -> list[TrackFile]:
    """List pose track files, sorted by clip name, without reading them.

    Args:
        paths: a folder, or several; each holds `*tracked_person.json`, itself or in folders in it, and perhaps
            `frame_sizes.json` and `frame_rates.json` beside them. A track file may be named too.
        frame_size: width and height in pixels of every clip; None takes `frame_sizes.json`, else 1920x1080.
        fps: frames per second of every clip; None takes `frame_rates.json`, and clips that are not in it have none.

    Raises:
        InputError: a folder is missing or holds no pose tracks, or two files are of clips with one name.
    """
    require_frame_size(frame_size or DEFAULT_FRAME_SIZE)
    found: dict[str, TrackFile] = {}
    given = FrameRate.constant(fps) if fps else None
    unknown = 0
    for folder, files in files_by_folder(paths).items():
        sizes = {} if frame_size else read_frame_sizes(folder)
        rates = {} if fps else read_frame_rates(folder)
        for path in files:
            name = _clip_name(path)
            if name in found:
                raise InputError(
                    f"Two files are of a clip {name}: {found[name].path} and {path}. Rename one, or name other folders."
                )
            unknown += not frame_size and name not in sizes
            size = sizes.get(name, frame_size or DEFAULT_FRAME_SIZE)
            found[name] = TrackFile(path, size, rates.get(name, given))
    if unknown:
        logger.info(
            "the frame size of %d clips in %s is not known, %dx%d is assumed (set it with --frame-size)",
            unknown, name_paths(paths), *DEFAULT_FRAME_SIZE,
        )  # fmt: skip
    return [found[name] for name in sorted(found)]


def read_each(
    files: Iterable[TrackFile], broken: list[str] | None = None, implausible: list[str] | None = None
) -> Iterator[Clip]:
    """Read track files one after the other; invalid ones are logged and skipped.

    Args:
        files: what to read.
        broken: takes the message of each file that is skipped.
        implausible: takes the warnings about all of them, which are logged after the last one.
    """
    found: list[ClipFacts] = []
    for file in files:
        try:
            clip, facts = read_clip_with_facts(file.path, file.frame_size, file.rate)
        except InputError as error:
            logger.warning("skipped: %s", error.message)
            if broken is not None:
                broken.append(error.message)
        else:
            found.append(facts)
            yield clip
    warnings = clip_warnings(found)
    for warning in warnings:
        logger.warning(warning)
    if implausible is not None:
        implausible.extend(warnings)


def read_clips(
    paths: Paths,
    frame_size: FrameSize | None = None,
    broken: list[str] | None = None,
    fps: float | None = None,
) -> list[Clip]:
    """Read every pose track file of folders, sorted by clip name; invalid files are logged and skipped.

    Args:
        paths: as for `find_tracks`.
        frame_size: as for `find_tracks`.
        broken: takes the message of each file that is skipped.
        fps: as for `find_tracks`.

    Raises:
        InputError: as for `find_tracks`, or no file can be read.
    """
    broken = [] if broken is None else broken
    clips = list(read_each(find_tracks(paths, frame_size, fps), broken))
    if not clips:
        raise InputError(f"No pose track file in {name_paths(paths)} can be read. {broken[0]}")
    return clips


def track_file(path: StrPath, frame_size: FrameSize | None = None, fps: float | None = None) -> TrackFile:
    """Return a track file with the frame size and rate that the tables beside it say, unless others are given."""
    path = Path(path)
    name = _clip_name(path)
    size = frame_size or read_frame_sizes(path.parent).get(name, DEFAULT_FRAME_SIZE)
    return TrackFile(path, size, FrameRate.constant(fps) if fps else read_frame_rates(path.parent).get(name))


def write_clips(folder: StrPath, clips: Sequence[Clip]) -> None:
    """Write each clip's track file, and add to the tables of frame sizes and rates, each file whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    for clip in clips:
        write_tracks(folder, clip)
    add_frame_sizes(folder, {clip.name: clip.frame_size for clip in clips})
    if rates := {clip.name: clip.rate for clip in clips if clip.rate}:
        add_frame_rates(folder, rates)


def write_tracks(folder: StrPath, clip: Clip) -> None:
    """Write a clip's track file alone, whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    text = json.dumps({str(track.person): _person_json(track) for track in clip.tracks})
    write_text(Path(folder) / f"{clip.name}{SUFFIX}", text)


def _clip_name(path: Path) -> str:
    return path.name.removesuffix(".json").removesuffix("_tracked_person").removesuffix("_alphapose")


def _person_json(track: Track) -> dict[str, dict[str, Any]]:
    keypoints = np.round(track.keypoints.astype(np.float64), 3)
    confidence, rounded = track.keypoints[..., 2], keypoints[..., 2]
    rounded[(confidence > 0) & (rounded == 0)] = 0.001  # 0 would say that the joint was not seen
    keypoints = keypoints.reshape(len(track.frames), -1)
    return {
        f"{frame:04d}": {
            "keypoints": points,
            "scores": None if np.isnan(score) else round(float(score), 4),
        }
        for frame, points, score in zip(track.frames.tolist(), keypoints.tolist(), track.scores, strict=True)
    }


def _read_person(path: Path, name: str, poses: object) -> Track:
    if isinstance(poses, list):  # AlphaPose's other form: a list of {frame: pose}
        if not all(isinstance(part, dict) for part in poses):
            raise InputError(f"{path}: person {shortened(name)}: the list must hold objects by frame.")
        pairs = [pair for part in poses for pair in part.items()]
    else:
        pairs = list(poses.items()) if isinstance(poses, dict) else []
    if not pairs:
        raise InputError(f"{path}: person {shortened(name)} has no poses by frame.")
    if not _is_number(name):
        raise InputError(f"{path}: person {shortened(name)!r}: the name must be a number.")
    person = int(name)
    if (wrong := next((key for key, _ in pairs if not _is_number(key)), None)) is not None:
        raise InputError(f"{path}: person {person}: frame {shortened(wrong)!r} is not a number.")
    numbers = {int(key): pose for key, pose in pairs}
    if len(numbers) != len(pairs):
        raise InputError(f"{path}: person {name} has two poses in one frame.")
    frames = sorted(numbers)
    joints = 0
    rows, scores = [], []
    for frame in frames:
        try:
            row, score = _read_pose(numbers[frame])
        except ValueError as error:
            raise InputError(f"{path}: person {name}, frame {frame}: {error}.") from None
        joints = joints or len(row) // 3
        if len(row) != 3 * joints or joints not in (17, 18):
            raise InputError(
                f"{path}: person {name}, frame {frame}: {len(row)} keypoint values. Each pose needs 17 or 18 joints of "
                f"x, y, confidence, the same number in every frame.{describe_keypoints(row)}"
            )
        rows.append(row)
        scores.append(score)
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and its windows are skipped
        try:
            keypoints = np.asarray(rows, dtype=np.float32).reshape(-1, joints, 3)
            found = np.asarray(scores, dtype=np.float32)
        except OverflowError:
            raise InputError(f"{path}: person {name}, {_too_large(frames, rows, scores)}") from None
    return Track(person, np.asarray(frames, dtype=np.int64), keypoints, found)


def _read_pose(pose: object) -> tuple[list[float], float]:
    """Return the values of a pose as they are in the file, and its score; ValueError says what is wrong."""
    if not isinstance(pose, Mapping) or not isinstance(pose.get("keypoints"), list):
        raise ValueError("the list of keypoints is missing")
    row, score = pose["keypoints"], pose.get("scores")
    if not _NUMBERS.issuperset(map(type, row)):  # bool is not among them
        raise ValueError("a keypoint value is not a number")
    if score is not None and type(score) not in _NUMBERS:
        raise ValueError("the score is not a number")
    return row, float("nan") if score is None else score


def _too_large(frames: Sequence[int], rows: Sequence[list[float]], scores: Sequence[float]) -> str:
    """Say in which frame an integer is beyond any float."""
    for frame, row, score in zip(frames, rows, scores, strict=True):
        try:
            [float(value) for value in (*row, score)]
        except OverflowError:
            return f"frame {frame}: a value is too large."
    raise AssertionError("every value is a float")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16

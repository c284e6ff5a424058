"""A clip from a recording: joints in the order of COCO-17 or OpenPose-18, pixels, and a number for each person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.tracks import DEFAULT_FPS, DEFAULT_FRAME_SIZE, Clip, Track
from daflow.core.errors import InputError
from daflow.formats.layouts import Keypoints, layout_of
from daflow.formats.recording import NOBODY, Options, Recording
from daflow.formats.tracking import NewTracker, follow

_MAX_FRACTION = 2.0  # as in `daflow.core.data.plausibility`: a person of 2 pixels is nobody
_MAX_COORDINATE = 1e6  # pixels; a frame has at most 32768


@dataclass(frozen=True)
class Converted:
    """A clip, and what was found and done.

    Attributes:
        clip: the poses.
        form: what the file is.
        layout: what its order of joints is called.
        ids: where the numbers of the people come from.
        left_out: poses without a person.
        size_known: whether the frame size is known; else it is 1920x1080.
    """

    clip: Clip
    form: str
    layout: str
    ids: str
    left_out: int
    size_known: bool

    def __str__(self) -> str:
        people = len(self.clip.tracks)
        return (
            f"{self.clip.name}: {self.form}, {self.layout} joints, {self.clip.poses} poses of {people} "
            f"{'person' if people == 1 else 'people'}, {self.ids}"
        )


def assemble(
    name: str,
    recording: Recording,
    options: Options,
    new_tracker: NewTracker,
    frame_size: FrameSize | None = None,
    rate: FrameRate | None = None,
    track_anew: bool = False,
) -> Converted:
    """Return the clip of a recording.

    Args:
        name: of the clip.
        recording: what was read.
        options: what a person says about it.
        new_tracker: makes a tracker, which is used where the recording has no numbers of people.
        frame_size: width and height in pixels; None takes those of the recording, else 1920x1080.
        rate: frames per second; None is not known, and people are tracked at 25.
        track_anew: whether the numbers of the recording are passed over.

    Raises:
        InputError: an option that is needed is missing, a coordinate is impossible, no joint was seen, or a person has
            two poses in one frame.
    """
    layout = options.layout or recording.layout or layout_of(recording.keypoints.shape[1])
    size = frame_size or recording.frame_size
    keypoints = layout.convert(recording.keypoints)
    there = np.asarray(keypoints[..., :2].any(axis=(1, 2)))
    if len(there) and not there.any():
        raise InputError(f"Clip {name}: none of its {len(there)} poses has a joint that was seen.")
    keypoints = _in_pixels(name, keypoints[there], options.units or recording.units, size)
    frames, people, scores = recording.frames[there], recording.people[there], recording.scores[there]
    ids = "numbers of the file"
    if len(people) and (track_anew or not _are_numbers(frames, people)):
        fps = rate.fps if rate else DEFAULT_FPS
        people = follow(frames, keypoints, fps, new_tracker)
        why = "as asked" if track_anew else "since the file has no numbers of people"
        ids = f"tracked by ByteTrack at {fps:g} frames per second, {why}"
    known = people != NOBODY
    tracks = _tracks(name, frames[known], people[known], keypoints[known], scores[known])
    clip = Clip(name, tracks, size or DEFAULT_FRAME_SIZE, rate)
    return Converted(clip, recording.form, layout.title, ids, int((~known).sum()), size is not None)


def have_numbers(recording: Recording) -> bool:
    """Say whether the people of a recording have numbers, so that nobody has to be tracked; nobody needs none."""
    there = recording.keypoints[..., :2].any(axis=(1, 2))
    return not there.any() or _are_numbers(recording.frames[there], recording.people[there])


def _in_pixels(name: str, keypoints: Keypoints, units: str, size: FrameSize | None) -> Keypoints:
    values = np.abs(keypoints[..., :2][keypoints[..., :2] != 0])
    top = float(np.quantile(values, 0.95)) if len(values) else 0.0
    if units == "fractions":
        if size is None:
            raise InputError(f"Clip {name}: its coordinates are fractions of the frame: give --frame-size.")
        if top > _MAX_FRACTION:
            raise InputError(
                f"Clip {name}: its coordinates reach {top:.4g}, so they are no fractions: give --units pixels."
            )
        scale = np.array([*size, 1], dtype=np.float32)
        keypoints = keypoints * scale
    elif len(values) and top <= _MAX_FRACTION:
        raise InputError(
            f"Clip {name}: its coordinates reach {top:.3g}, so they are fractions of the frame: give --units fractions "
            "and --frame-size."
        )
    if len(values) and float(np.abs(keypoints[..., :2]).max()) > _MAX_COORDINATE:
        raise InputError(f"Clip {name}: a coordinate is beyond {_MAX_COORDINATE:.0f} pixels.")
    return keypoints


def _are_numbers(frames: npt.NDArray[np.int64], people: npt.NDArray[np.int64]) -> bool:
    """Whether people have numbers: not all -1, nor the same for several in one frame, as AlphaPose writes untracked."""
    if (people == NOBODY).all():
        return False
    return len(np.unique(people)) > 1 or len(np.unique(frames)) == len(frames)


def _tracks(
    name: str,
    frames: npt.NDArray[np.int64],
    people: npt.NDArray[np.int64],
    keypoints: Keypoints,
    scores: npt.NDArray[np.float32],
) -> tuple[Track, ...]:
    order = np.lexsort((frames, people))
    frames, people, keypoints, scores = frames[order], people[order], keypoints[order], scores[order]
    twice = np.flatnonzero((np.diff(people) == 0) & (np.diff(frames) == 0))
    if len(twice):
        raise InputError(
            f"Clip {name}: person {people[twice[0]]} has two poses in frame {frames[twice[0]]}; --track numbers people "
            "anew."
        )
    persons, starts = np.unique(people, return_index=True)
    rows = np.split(np.arange(len(people)), starts[1:]) if len(people) else []
    return tuple(
        Track(int(person), frames[part], keypoints[part], scores[part])
        for person, part in zip(persons, rows, strict=True)
    )

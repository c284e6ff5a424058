"""Is there enough normal data?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daflow.core.data.windows import Windows
from daflow.model.flow_model import FlowModel
from daflow.training.window_cache import TrainingSet

_TOLERANCE = 0.1  # bits/dim, well below the difference between abnormal and normal
_MIN_PEOPLE = 10  # fewer do not give a usable standard deviation
_MIN_MINUTES = 3.0  # in which somebody is there; ten people who walk through a picture take about so long
_MAX_DEVIATIONS = 3.0  # what is further away counts as if it were so far: one bad track must not decide
_STRANGEST = 3  # tracks that are named
_MAX_WINDOWS = 8192  # about; they take a second to score


@dataclass(frozen=True)
class DataCheck:
    """What a model says of the normal windows that it was trained on.

    Attributes:
        high: the score below which 99 % of them lie.
        highest: the highest score.
        unit: of the two.
        strangest: the tracks with the highest median scores, in words; empty when there are few.
        verdict: whether there is enough normal data.
    """

    high: float
    highest: float
    unit: str
    strangest: str
    verdict: str

    def __str__(self) -> str:
        # 0.0005 more, so that it is true after rounding
        highest = f"{self.highest + 0.0005:.3f}"
        most = f"99 % of the normal windows score below {self.high:.3f} {self.unit}, all below {highest}"
        return "\n".join(line for line in (most, self.strangest, self.verdict) if line)


def check_data(model: FlowModel, normal: Windows, data: TrainingSet) -> DataCheck:
    """Score an even sample of the normal windows and say whether there is enough data.

    Args:
        model: that was trained on them.
        normal: the windows.
        data: the training set that they are of.
    """
    rows = np.arange(0, len(normal), max(1, len(normal) // _MAX_WINDOWS))
    poses = normal.poses[rows]
    scores = model.score_windows(poses).astype(np.float64)
    high, highest = np.quantile(scores, (0.99, 1))
    tracks = len(np.unique(np.stack([normal.clip, normal.person]), axis=1).T)
    person = data.people.of(normal.clip[rows], normal.person[rows])
    verdict = enough_data(model.nll(poses), person, tracks, seconds_with_people(normal, data.clip_fps) / 60)
    strangest = strangest_tracks(scores, normal.clip[rows], normal.person[rows], data.clips, model.unit)
    return DataCheck(float(high), float(highest), model.unit, strangest, verdict)


def strangest_tracks(
    scores: npt.NDArray[np.float64], clip: npt.NDArray[np.int64], person: npt.NDArray[np.int64], names: Sequence[str],
    unit: str,
) -> str:  # fmt: skip
    """Name the tracks with the highest median scores; empty with fewer than ten tracks.

    Who trains on recordings that nobody has watched looks at these first: an anomaly among them would be learned as
    normal.

    Args:
        scores: `(N,)` of windows.
        clip: `(N,)` the index of the clip of each.
        person: `(N,)` the person's number in the clip.
        names: of the clips.
        unit: of the scores.

    >>> number = np.arange(12)
    >>> strangest_tracks(number * 1.0, number // 6, number % 6, ["hall", "door"], "bits")
    'the strangest tracks are person 5 of door (11.00 bits), 4 of door (10.00), 3 of door (9.00)'
    """
    tracks, track = np.unique(np.stack([clip, person]), axis=1, return_inverse=True)
    if tracks.shape[1] < _MIN_PEOPLE:
        return ""
    medians = np.array([np.median(scores[track == number]) for number in range(tracks.shape[1])])
    highest = np.argsort(-medians, kind="stable")[:_STRANGEST]
    (index, number), score = tracks[:, highest].tolist(), medians[highest].tolist()
    first, *others = (
        (f"{n} of {names[i]}", f"{value:.2f}") for i, n, value in zip(index, number, score, strict=True)
    )
    rest = "".join(f", {who} ({value})" for who, value in others)
    return f"the strangest tracks are person {first[0]} ({first[1]} {unit}){rest}"


def seconds_with_people(windows: Windows, clip_fps: Sequence[float]) -> float:
    """Return for how long somebody was in the recordings: the frames that lie in any window, each once.

    Args:
        windows: of the recordings.
        clip_fps: frames per second of each clip.
    """
    seconds = 0.0
    for clip in np.unique(windows.clip):
        rows = np.flatnonzero(windows.clip == clip)
        rows = rows[np.argsort(windows.start[rows])]
        start, end = windows.start[rows], np.maximum.accumulate(windows.last[rows] + 1)
        frames = (end - np.maximum(start, np.concatenate([[0], end[:-1]]))).clip(min=0).sum()
        seconds += float(frames) / clip_fps[clip]
    return seconds


def enough_data(
    nll: npt.NDArray[np.float32], person: npt.NDArray[np.int64], tracks: int, minutes: float
) -> str:
    """Say whether there is enough normal data, with a number.

    Windows of one person overlap and resemble each other, so people count, not windows. The spread of the medians of
    their scores gives the standard error of the common median, and how many people it takes to know that within the
    tolerance. Whoever is more than three standard deviations away counts as if they were three.

    Args:
        nll: `(N,)` of normal windows by the flow, bits per dimension.
        person: `(N,)` whom they are of; tracks that continue each other are one person.
        tracks: the number of tracks.
        minutes: how long somebody was there.
    """
    medians = np.array([np.median(nll[person == who]) for who in np.unique(person)], dtype=np.float64)
    people = len(medians)
    count = f"{people} people"
    if tracks > people:
        count = f"{tracks} tracks, {people} people after joining tracks that continue each other"
    count = f"{count}, {minutes:.1f} minutes"
    if people < _MIN_PEOPLE or minutes < _MIN_MINUTES:
        return (
            f"WARNING: {count} are too few to know what is normal; {_MIN_PEOPLE} people and {_MIN_MINUTES:g} minutes "
            "are the minimum"
        )
    deviation = _robust_deviation(medians)
    enough = max(_MIN_PEOPLE, int(np.ceil((deviation / _TOLERANCE) ** 2)))
    known = (
        f"the medians of their scores differ by {deviation:.2f} bits/dim, so the normal score is known to "
        f"+-{deviation / people**0.5:.3f}"
    )
    if people >= enough:
        return f"enough normal data: {count}; {known} (+-{_TOLERANCE} is enough: {enough} people)"
    return (
        f"WARNING: {count} are little normal data: {known}. About {enough} people would make that +-{_TOLERANCE}; "
        "record more people, at other hours too."
    )


def _robust_deviation(values: npt.NDArray[np.float64]) -> float:
    """Return the standard deviation after what is far away was moved to three standard deviations."""
    middle = float(np.median(values))
    scale = 1.4826 * float(
        np.median(np.abs(values - middle))
    )  # of a normal distribution: its standard deviation
    return float(
        np.clip(values, middle - _MAX_DEVIATIONS * scale, middle + _MAX_DEVIATIONS * scale).std(ddof=1)
    )

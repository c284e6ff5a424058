"""The edge: a frame becomes people, people become windows, windows become scores, scores become alarms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from daflow.scorer import Scorer
from daflow.skeleton import to_openpose
from daflow.windows import normalise
from daflow.alarms import Alarm, AlarmRule, Change
from runtime.clock import StageClock
from runtime.memory import PoseMemory
from runtime.people import PeopleFinder
from runtime.sources import Frame, Keypoints, Source


@dataclass(frozen=True)
class Person:
    """A person in a frame: the id, 18 joints `(18, 3)` in pixels with confidence, and the score once there is one."""

    person: int
    keypoints: Keypoints
    score: float | None


@dataclass(frozen=True)
class Result:
    """What the edge knows of a frame.

    Attributes:
        frame: the frame.
        people: everybody in it.
        worst: the person with the highest score, None when nobody has one.
        alarm: whether the alarm is on.
        change: whether it begins or ends with this frame.
    """

    frame: Frame
    people: tuple[Person, ...]
    worst: Person | None
    alarm: bool
    change: Change | None

    @property
    def score(self) -> float | None:
        """The score of the worst person, bits per dimension."""
        return self.worst.score if self.worst else None


class Edge:
    """Scores one camera's frames in order.

    Args:
        scorer: scores windows; called once a frame for all people.
        finder: finds people in a frame.
        rule: when the alarm begins and ends.
        window: poses in a window.
        max_missing: frames that may be missing inside.
        clock: where the time of each stage is counted.
    """

    def __init__(
        self,
        scorer: Scorer,
        finder: PeopleFinder,
        rule: AlarmRule,
        window: int,
        max_missing: int,
        clock: StageClock,
    ) -> None:
        self._scorer = scorer
        self._finder = finder
        self._alarm = Alarm(rule)
        self._memory = PoseMemory(window, max_missing)
        self._clock = clock
        self.unusable = 0
        """Windows that could not be scored: NaN, infinite or spreadless coordinates, or a score that is not finite."""

    def process(self, frame: Frame) -> Result:
        """Take the next frame."""
        found = self._finder.find(frame, self._clock)
        skeletons = {person: np.asarray(to_openpose(k), dtype=np.float32) for person, k in found.items()}
        self._memory.add(frame.index, {person: s[:, :2] for person, s in skeletons.items()})
        ready, points = self._memory.windows()
        poses, kept = normalise(points, frame.size)
        self._clock.lap("window")
        scores: dict[int, float] = {}
        if len(poses):
            nll = self._scorer.score(poses)
            scored = zip(np.asarray(ready)[kept].tolist(), nll.tolist(), strict=True)
            scores = {person: score for person, score in scored if math.isfinite(score)}
        self.unusable += len(ready) - len(scores)
        self._clock.lap("score")
        people = tuple(Person(person, s, scores.get(person)) for person, s in skeletons.items())
        worst = max((p for p in people if p.score is not None), key=_score, default=None)
        change = self._alarm.update(worst.score if worst else None)
        self._clock.lap("alarm")
        return Result(frame, people, worst, self._alarm.active, change)


def _score(person: Person) -> float:
    return -math.inf if person.score is None else person.score


Sink = Callable[[Result], None]


def run(
    source: Source,
    edge: Edge,
    sinks: Iterable[Sink],
    clock: StageClock,
    stopped: Callable[[], bool],
) -> int:
    """Process a source to its end, or until `stopped` says so; return the number of frames."""
    sinks = list(sinks)
    frames = 0
    for frame in source:
        clock.lap("capture")
        result = edge.process(frame)
        for sink in sinks:
            sink(result)
        clock.lap("sinks")
        frames += 1
        if stopped():
            break
    return frames

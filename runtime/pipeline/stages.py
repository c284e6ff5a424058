"""The edge: a frame becomes people, people become windows, windows become scores, scores become alarms.

Everything up to the windows concerns one camera alone (`Observer`); then the windows of all cameras are scored in one
batch (`score_together`); then each camera has its own alarm (`AlarmDecider`). `Edge` is all three for a single camera.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.p_value import p_value
from daflow.core.alarms.rule import AlarmRule, AlarmState, Smoother
from daflow.core.data.skeleton import to_openpose
from daflow.core.data.windows import Poses, normalise
from daflow.core.scoring.scorer import Scorer
from runtime.pipeline.pose_memory import PoseMemory
from runtime.pipeline.results import FrameResult, Person
from runtime.poses.people import PeopleFinder
from runtime.sources.frames import Frame, Keypoints
from runtime.stage_clock import StageClock


@dataclass(frozen=True)
class Observation:
    """The people of a frame and those of their windows that can be scored.

    Attributes:
        frame: the frame.
        skeletons: 18 joints `(18, 3)` in pixels with confidence, of everybody.
        windows: the last poses `(2, T, 18)` in pixels of the people who are to be scored.
        poses: the same windows normalised, `(N, 2, T, 18)`, in the same order.
        unusable: windows that cannot be scored: NaN, infinite or spreadless coordinates.
    """

    frame: Frame
    skeletons: dict[int, Keypoints]
    windows: dict[int, Keypoints]
    poses: Poses
    unusable: int


_TURN = threading.Lock()
"""Python runs one thread at a time in any case. Many cameras' threads that sleep until it is their turn cost less than
threads that wrest the interpreter from each other: sixteen cameras on two cores have 1.7 times as many frames."""


class Observer:
    """Turns one camera's frames into windows, in order.

    Args:
        finder: finds people in a frame.
        window: poses in a window.
        max_missing: frames that may be missing inside.
        clock: where the time of each stage is counted.
    """

    def __init__(self, finder: PeopleFinder, window: int, max_missing: int, clock: StageClock) -> None:
        self._finder = finder
        self._memory = PoseMemory(window, max_missing)
        self._clock = clock

    def observe(self, frame: Frame) -> Observation:
        """Take the next frame."""
        found = self._finder.find(frame, self._clock)
        with _TURN:
            return self._windows(frame, found)

    def _windows(self, frame: Frame, found: Mapping[int, Keypoints]) -> Observation:
        skeletons = _in_model_joints(found)
        self._memory.add(frame.index, {person: s[:, :2] for person, s in skeletons.items()}, frame.size)
        ready, points = self._memory.windows()
        poses, kept = normalise(points, frame.size)
        windows = {person: points[row] for row, person in enumerate(ready) if kept[row]}
        self._clock.lap("window")
        return Observation(frame, skeletons, windows, poses, len(ready) - len(windows))


def _in_model_joints(found: Mapping[int, Keypoints]) -> dict[int, Keypoints]:
    """Bring everybody to 18 joints, in one step if all have the same layout, as they nearly always have."""
    if len({len(keypoints) for keypoints in found.values()}) != 1:
        return {person: np.asarray(to_openpose(k), dtype=np.float32) for person, k in found.items()}
    together = to_openpose(np.stack(list(found.values())))
    return dict(zip(found, np.asarray(together, dtype=np.float32), strict=True))


def score_together(scorer: Scorer, observations: Sequence[Observation]) -> list[dict[int, float]]:
    """Score the windows of many frames in one batch; return the nll by person for each frame.

    Scores that are not finite are left out.
    """
    batches = [observation.poses for observation in observations if len(observation.poses)]
    if not batches:
        return [{} for _ in observations]
    nll = scorer.score(batches[0] if len(batches) == 1 else np.concatenate(batches)).tolist()
    scores, first = [], 0
    for observation in observations:
        own = nll[first : first + len(observation.windows)]
        first += len(own)
        pairs = zip(observation.windows, own, strict=True)
        scores.append({person: score for person, score in pairs if math.isfinite(score)})
    return scores


class AlarmDecider:
    """Decides about one camera's alarm.

    Args:
        camera: its name.
        rule: when the alarm begins and ends.
        calibration: what p-values are taken from, None for none.
    """

    def __init__(self, camera: str, rule: AlarmRule, calibration: AlarmCalibration | None = None) -> None:
        self.camera = camera
        self.rule = rule
        self.unusable = 0
        """Windows that could not be scored: NaN, infinite or spreadless coordinates, or a score that is not finite."""
        self._calibration = calibration
        self._smoother = Smoother(rule.smoothing_seconds)
        self._alarm = AlarmState(rule)

    def forget_people(self) -> None:
        """Smooth nobody's scores with those of somebody else who has the same number now."""
        self._smoother = Smoother(self.rule.smoothing_seconds)

    def judge(self, observation: Observation, scores: dict[int, float]) -> FrameResult:
        """Take the scores of the next frame."""
        frame, windows = observation.frame, observation.windows
        self.unusable += observation.unusable + len(windows) - len(scores)
        smoothed = self._smoother.update(frame.time, scores)
        people = tuple(
            Person(
                person,
                skeleton,
                scores[person],
                smoothed[person],
                p_value(self._calibration, smoothed[person]) if self._calibration else None,
                windows[person],
            )
            if person in scores
            else Person(person, skeleton)
            for person, skeleton in observation.skeletons.items()
        )
        worst = max((person for person in people if person.smoothed is not None), key=_smoothed, default=None)
        change = self._alarm.update(frame.time, worst.smoothed if worst else None)
        return FrameResult(frame, people, worst, self._alarm.active, change, self.camera, self.rule.threshold)


def _smoothed(person: Person) -> float:
    return -math.inf if person.smoothed is None else person.smoothed


class Edge:
    """Scores one camera's frames in order, in the calling thread.

    Args:
        scorer: scores windows; called once a frame for all people.
        finder: finds people in a frame.
        rule: when the alarm begins and ends.
        window: poses in a window.
        max_missing: frames that may be missing inside.
        clock: where the time of each stage is counted.
        calibration: what p-values are taken from, None for none.
    """

    def __init__(
        self,
        scorer: Scorer,
        finder: PeopleFinder,
        rule: AlarmRule,
        window: int,
        max_missing: int,
        clock: StageClock,
        calibration: AlarmCalibration | None = None,
    ) -> None:
        self._scorer = scorer
        self._observer = Observer(finder, window, max_missing, clock)
        self._judge = AlarmDecider("camera", rule, calibration)
        self._clock = clock

    @property
    def unusable(self) -> int:
        """Windows that could not be scored."""
        return self._judge.unusable

    def process(self, frame: Frame) -> FrameResult:
        """Take the next frame."""
        observation = self._observer.observe(frame)
        (scores,) = score_together(self._scorer, [observation])
        self._clock.lap("score")
        result = self._judge.judge(observation, scores)
        self._clock.lap("alarm")
        return result


Sink = Callable[[FrameResult], None]

"""From the frames of one camera to windows of poses that are ready to be scored."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from daflow.core.alarms.zones import NO_ZONES, Zone, ZoneWatch
from daflow.core.data.missing_joints import seen_points
from daflow.core.data.skeleton import to_openpose
from daflow.core.data.windows import Poses, fill_and_normalise
from runtime.pipeline.pose_memory import PoseMemory
from runtime.poses.people import PeopleFinder
from runtime.sources.frames import Frame, Keypoints
from runtime.stage_clock import StageClock


@dataclass(frozen=True)
class Observation:
    """The people of a frame and those of their windows that can be scored.

    Attributes:
        frame: the frame.
        skeletons: 18 joints `(18, 3)` in pixels with confidence, of everybody.
        windows: the last poses `(2, T, 18)` in pixels of the people who are to be scored, hidden joints filled in.
        poses: the same windows normalised, `(N, 2, T, 18)`, in the same order.
        unusable: windows that cannot be scored: shoulders or hips are hidden for too long, or they have zero variance.
        hidden: how many of those are because of hidden shoulders or hips.
        ignored: people who are not to be scored where they are, because of the zones.
        zones: of the camera, by name.
    """

    frame: Frame
    skeletons: dict[int, Keypoints]
    windows: dict[int, Keypoints]
    poses: Poses
    unusable: int
    hidden: int = 0
    ignored: frozenset[int] = frozenset()
    zones: Mapping[str, Zone] = field(default_factory=dict)


class Observer:
    """Turns one camera's frames into windows, in order.

    Args:
        finder: finds people in a frame.
        window: poses in a window.
        max_missing: frames that may be missing inside.
        clock: where the time of each stage is counted.
        turn: the lock that is held while windows are made. Observers in several threads share one: Python runs one
            thread at a time anyway, and threads that wait for a lock cost less than threads that compete for the
            interpreter (measured: sixteen cameras on two cores process 1.7 times as many frames). None is a lock of
            its own.
        fps: frames per second that the model was trained at; None takes frames of any rate as they are.
        zones: of the camera, by name.
    """

    def __init__(
        self,
        finder: PeopleFinder,
        window: int,
        max_missing: int,
        clock: StageClock,
        turn: threading.Lock | None = None,
        fps: float | None = None,
        zones: Mapping[str, Zone] = NO_ZONES,
    ) -> None:
        self._zones = ZoneWatch(zones)
        self._finder = finder
        self._memory = PoseMemory(window, max_missing, fps=fps)
        self._clock = clock
        self._turn = turn or threading.Lock()

    @property
    def rate(self) -> float | None:
        """Frames per second of the last frames by their time stamps; None while there were too few."""
        return self._memory.rate

    @property
    def rate_reason(self) -> str | None:
        """Why nobody can be scored at this rate; None when it is near enough to the model's."""
        return self._memory.reason

    def set_zones(self, zones: Mapping[str, Zone]) -> None:
        """Take other zones from the next frame on; may be called from another thread."""
        self._zones = ZoneWatch(zones)

    def observe(self, frame: Frame) -> Observation:
        """Take the next frame."""
        found = self._finder.find(frame, self._clock)
        with self._turn:
            return self._make_windows(frame, found)

    def _make_windows(self, frame: Frame, found: Mapping[int, Keypoints]) -> Observation:
        skeletons = _in_model_joints(found)
        self._memory.add(frame.index, _points(found, skeletons), frame.size, frame.time)
        ready, points = self._memory.windows()
        zones = self._zones
        scored = zones.update(frame.time, skeletons, frame.size)
        if len(scored) < len(skeletons):
            rows = [row for row, person in enumerate(ready) if person in scored]
            ready, points = [ready[row] for row in rows], points[rows]
        made = fill_and_normalise(points, frame.size)
        windows = {person: made.points[row] for row, person in enumerate(ready) if made.kept[row]}
        self._clock.lap("window")
        unusable = len(ready) - len(windows)
        ignored = frozenset(skeletons.keys() - scored)
        return Observation(frame, skeletons, windows, made.poses, unusable, made.unseen, ignored, zones.zones)


def _points(found: Mapping[int, Keypoints], skeletons: Mapping[int, Keypoints]) -> dict[int, Keypoints]:
    """Return the places of the joints of everybody, `(18, 2)`, NaN where a joint was not seen."""
    return {
        person: skeletons[person][:, :2]
        if keypoints.all()
        else np.asarray(to_openpose(seen_points(keypoints)), dtype=np.float32)
        for person, keypoints in found.items()
    }


def _in_model_joints(found: Mapping[int, Keypoints]) -> dict[int, Keypoints]:
    """Convert everybody to 18 joints, in one step if all have the same layout, as they nearly always have."""
    if len({len(keypoints) for keypoints in found.values()}) != 1:
        return {person: np.asarray(to_openpose(k), dtype=np.float32) for person, k in found.items()}
    together = to_openpose(np.stack(list(found.values())))
    return dict(zip(found, np.asarray(together, dtype=np.float32), strict=True))

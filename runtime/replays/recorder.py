"""Remembers the skeletons of one camera's last seconds, and records those around its alarms."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from daflow.core.data.clip_tables import FrameSize
from runtime.pipeline.results import FrameResult
from runtime.replays.skeletons import AlarmSkeletons, RecordedFrame, RecordedPerson
from runtime.sources.frames import Keypoints

MAX_FRAMES = 800
"""Of a recording. Beyond, those in the middle of a long alarm are thinned."""

_THINNED_FRAMES = 700  # what is left of them then, at most

MAX_PEOPLE = 20
"""In a frame: those with the highest scores."""

_SPACING = 0.08
"""Seconds between two frames that are remembered: 12.5 per second are enough to see how somebody moves."""

_ROUNDING = 1e-3  # seconds; time stamps of 25 frames per second are not exactly 0.04 s apart
_WHOLE_SECONDS = 10.0
"""After the begin, and before and after the peak of a long alarm: here no frame is left out."""

_FIRST_SAVE, _MAX_SAVE = 1.0, 60.0  # seconds


class _Remembered(NamedTuple):
    """A frame as it is remembered: `(person, smoothed score, keypoints in pixels)` of each of its people."""

    time: float
    size: FrameSize
    people: list[tuple[int, float | None, Keypoints]]


@dataclass(frozen=True)
class Snapshot:
    """What was recorded of an alarm so far, cheap to take."""

    _facts: AlarmSkeletons
    _began: float
    _frames: tuple[_Remembered, ...]

    @property
    def id(self) -> str:
        """The id of the alarm."""
        return self._facts.id

    @property
    def complete(self) -> bool:
        """As in `AlarmSkeletons`."""
        return self._facts.complete

    def skeletons(self) -> AlarmSkeletons:
        """Return the skeletons; may be called in another thread, since it takes some milliseconds."""
        return replace(self._facts, frames=tuple(_in_fractions(frame, self._began) for frame in self._frames))


class SkeletonRecorder:
    """Records the skeletons around the alarms of one camera.

    While nothing happens it only remembers the frames of the last seconds, which costs about a microsecond for each.

    Args:
        camera: its name.
        before_seconds: of stream time that are recorded before an alarm begins.
        after_seconds: and after it has ended.
    """

    def __init__(self, camera: str, before_seconds: float, after_seconds: float) -> None:
        self._camera = camera
        self._before = before_seconds
        self._after = after_seconds
        self._past: deque[_Remembered] = deque(maxlen=math.ceil(before_seconds / _SPACING) + 2)
        self._next = -math.inf
        self._last = -math.inf
        self._open: list[_Recording] = []

    def see(self, result: FrameResult) -> list[Snapshot]:
        """Take the result of the next frame; return the recordings that are to be stored now, perhaps again."""
        time = result.frame.time
        if time < self._last:  # of another recording, or a source that starts again
            self._past.clear()
            self._next = -math.inf
        self._last = time
        if result.absence is None and time >= self._next:
            self._next = time + _SPACING - _ROUNDING
            self._remember(result)
        return self._follow(result) if self._open else []

    def begin(
        self,
        id: str,  # noqa: A002
        result: FrameResult,
        utc: float,
        outline: bytes | None = None,
    ) -> Snapshot:
        """Begin to record an alarm; return what was before it.

        Args:
            id: of the alarm.
            result: of the frame with which it begins, which `see` has taken.
            utc: of that frame, seconds since 1970.
            outline: of the scene, as in `AlarmSkeletons`.
        """
        frames = [frame for frame in self._past if frame.time >= result.frame.time - self._before]
        recording = _Recording(id, self._camera, result, utc, frames, outline)
        self._open.append(recording)
        return recording.snapshot(complete=False)

    def end(self, id: str, complete: bool | None = None) -> Snapshot | None:  # noqa: A002
        """Note that an alarm has ended with the last frame; it is recorded for some seconds more.

        Args:
            id: of the alarm.
            complete: given when no frames follow: whether nothing is missing then, because the source has ended.

        Returns:
            What was recorded; None of an unknown alarm.
        """
        for recording in self._open:
            if recording.id == id:
                recording.end(self._last)
                if complete is not None:
                    self._open.remove(recording)
                return recording.snapshot(bool(complete))
        return None

    def close(self, complete: bool = False) -> list[Snapshot]:
        """End all recordings; return them.

        Args:
            complete: whether nothing is missing, because the source has no more frames.
        """
        recordings, self._open = self._open, []
        return [recording.snapshot(complete) for recording in recordings]

    def _remember(self, result: FrameResult) -> None:
        people = result.people
        if len(people) > MAX_PEOPLE:
            by_score = sorted(people, key=lambda p: math.inf if p.smoothed is None else -p.smoothed)
            people = tuple(sorted(by_score[:MAX_PEOPLE], key=lambda p: p.person))
        frame = _Remembered(
            result.frame.time, result.frame.size, [(p.person, p.smoothed, p.keypoints) for p in people]
        )
        self._past.append(frame)
        for recording in self._open:
            recording.add(frame)

    def _follow(self, result: FrameResult) -> list[Snapshot]:
        due = []
        for recording in list(self._open):
            recording.follow(result)
            if recording.ended is not None and result.frame.time >= recording.ended + self._after:
                self._open.remove(recording)
                due.append(recording.snapshot(complete=True))
            elif recording.is_due(result.frame.time):
                due.append(recording.snapshot(complete=False))
        return due


class _Recording:
    """An alarm that is on, or has ended shortly ago."""

    def __init__(
        self,
        id_: str,
        camera: str,
        first: FrameResult,
        utc: float,
        frames: Sequence[_Remembered],
        outline: bytes | None,
    ) -> None:
        self.id = id_
        self.ended: float | None = None
        self._camera = camera
        # Without the result itself, which holds a picture.
        self._size, self._threshold, self._unit = first.frame.size, first.threshold, first.unit
        self._utc = utc
        self._outline = outline
        self._frames = list(frames)
        self._began = first.frame.time
        self._peak: tuple[float, float] | None = None
        self._raised: set[int] = set()
        self._wait, self._saved, self._stride = _FIRST_SAVE, self._began, _SPACING
        self.follow(first)

    def add(self, frame: _Remembered) -> None:
        """Record a frame."""
        self._frames.append(frame)
        if len(self._frames) > MAX_FRAMES:
            self._thin()

    def follow(self, result: FrameResult) -> None:
        """Note the peak, and who raised the alarm, while it is on."""
        worst, score = result.worst, result.score
        if self.ended is not None or worst is None or score is None or not math.isfinite(score):
            return
        if self._peak is None or score > self._peak[0]:
            self._peak = score, result.frame.time
        if score > result.threshold:
            self._raised.add(worst.person)

    def end(self, time: float) -> None:
        """Note that the alarm has ended."""
        self.ended = time

    def is_due(self, time: float) -> bool:
        """Whether it is to be stored again: a process that is killed loses at most half, and not much is written."""
        if time < self._saved + self._wait:
            return False
        self._saved, self._wait = time, min(2 * self._wait, _MAX_SAVE)
        return True

    def snapshot(self, complete: bool) -> Snapshot:
        """Return what was recorded so far."""
        facts = AlarmSkeletons(
            id=self.id,
            camera=self._camera,
            began_utc=self._utc,
            frame_size=self._size,
            threshold=self._threshold,
            unit=self._unit,
            peak=None if self._peak is None else self._peak[1] - self._began,
            seconds=None if self.ended is None else self.ended - self._began,
            complete=complete,
            raised=frozenset(self._raised),
            frames=(),
            outline=self._outline,
        )
        return Snapshot(facts, self._began, tuple(self._frames))

    def _thin(self) -> None:
        """Leave out frames that are nearer than a stride, which grows, but those around the begin and the peak."""
        peak = self._began if self._peak is None else self._peak[1]
        length = self._frames[-1].time - self._began
        self._frames = self._strided(peak)
        while len(self._frames) > _THINNED_FRAMES and self._stride < length:
            self._stride *= 2
            self._frames = self._strided(peak)
        if len(self._frames) > MAX_FRAMES:  # time stamps that jump may put more there than there is room for
            del self._frames[::2]

    def _strided(self, peak: float) -> list[_Remembered]:
        kept: list[_Remembered] = []
        for frame in self._frames:
            near_begin = frame.time <= self._began + _WHOLE_SECONDS
            near_peak = abs(frame.time - peak) <= _WHOLE_SECONDS
            if near_begin or near_peak or frame.time >= kept[-1].time + self._stride - _ROUNDING:
                kept.append(frame)
        return kept


def _in_fractions(frame: _Remembered, began: float) -> RecordedFrame:
    scale = np.array([1 / frame.size[0], 1 / frame.size[1], 1], dtype=np.float32)
    people = (RecordedPerson(person, score, keypoints * scale) for person, score, keypoints in frame.people)
    return RecordedFrame(frame.time - began, tuple(people))

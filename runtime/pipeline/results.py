"""The result of a frame: its people, their scores, and the alarm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from daflow.core.alarms.reasons import Reason, why
from daflow.core.alarms.rule import AlarmChange
from daflow.core.alarms.zones import Zone
from daflow.core.evidence import FLOW, unit_of
from runtime.sources.frames import Frame, Keypoints

Absence = Literal["camera_lost", "source_ended"]
"""Why a camera gives no frames: it is lost or being restarted, or its recording has ended."""


@dataclass(frozen=True)
class Person:
    """A person in a frame.

    Attributes:
        person: the id, unique within the camera.
        keypoints: 18 joints `(18, 3)` in pixels with confidence.
        score: of the window that ends here, in the unit of the result; None without a window.
        smoothed: the score after causal smoothing, which decides the alarm.
        p_value: how often normal people of this camera score as high or higher; None without a calibration.
        window: the last poses `(2, T, 18)` in pixels that were scored, None without a score.
        beyond_normal: whether the score is above all scores of the calibration: the p-value is an upper bound then.
        reasons: what each channel of evidence says of the window, the strongest first; none of the flow alone.
        lasting_seconds: the time constant of the mean that `smoothed` is, where what lasted raised it; 0 where it is of
            this moment.
        ignored: whether they are not to be scored where they are, because of the zones of the camera.
    """

    person: int
    keypoints: Keypoints
    score: float | None = None
    smoothed: float | None = None
    p_value: float | None = None
    window: Keypoints | None = None
    beyond_normal: bool = False
    reasons: tuple[Reason, ...] = ()
    lasting_seconds: float = 0.0
    ignored: bool = False

    @property
    def why(self) -> str | None:
        """What raised the score, in words; None of the flow alone, and where nothing is unusual."""
        return why(self.reasons, self.lasting_seconds)


@dataclass(frozen=True)
class FrameResult:
    """The result of a frame.

    Attributes:
        frame: the frame.
        people: everybody in it.
        worst: the person with the highest smoothed score, None when nobody has one. For `hold_seconds` it may be
            somebody as they were scored last, who is not in the frame any more.
        alarm: whether the alarm is on.
        change: `begin` or `end` when the alarm begins or ends with this frame, else None.
        camera: the name of the camera.
        threshold: the alarm threshold of the camera.
        provisional: whether the threshold is a guess that promises no rate of false alarms.
        absence: why there is no frame of the camera behind this result, None when there is one.
        unit: of scores and threshold.
        zones: of the camera, by name.
    """

    frame: Frame
    people: tuple[Person, ...]
    worst: Person | None
    alarm: bool
    change: AlarmChange | None
    camera: str = "camera"
    threshold: float = float("inf")
    provisional: bool = False
    absence: Absence | None = None
    unit: str = unit_of(FLOW)
    zones: Mapping[str, Zone] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """The smoothed score of the worst person."""
        return self.worst.smoothed if self.worst else None


Sink = Callable[[FrameResult], None]
"""Takes the result of each frame."""

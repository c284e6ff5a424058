"""From the scores of one camera's people to its alarm."""

from __future__ import annotations

import math
from collections.abc import Sequence

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.p_value import is_beyond_normal, p_value
from daflow.core.alarms.reasons import Reason, reasons
from daflow.core.alarms.rule import AlarmRule, AlarmState, Held
from daflow.core.evidence import FLOW, EvidenceFacts, unit_of
from runtime.pipeline.batch_scoring import FrameScores
from runtime.pipeline.observer import Observation
from runtime.pipeline.results import FrameResult, Person


class AlarmDecider:
    """Decides whether one camera's alarm is on.

    Args:
        camera: its name.
        rule: when the alarm begins and ends.
        calibration: what p-values are computed from; None for no p-values.
        evidence: what the scores are made of; None for the nll of the flow.
        misfit: why the calibration is not one for the camera as it is now; None when it is.
    """

    def __init__(
        self, camera: str, rule: AlarmRule, calibration: AlarmCalibration | None = None,
        evidence: EvidenceFacts | None = None, misfit: str | None = None,
    ) -> None:  # fmt: skip
        self.camera = camera
        self.misfit = misfit
        self.rule = rule
        self.unusable = 0
        """Windows that could not be scored: hidden joints, zero variance, or a score that is not finite."""
        self.hidden = 0
        """How many of those are because of hidden shoulders or hips."""
        self.calibration = calibration
        self._evidence = evidence
        self._unit = unit_of(evidence.channels if evidence else FLOW)
        self._smoother = rule.smoother()
        self._held: Held[Person] = Held(rule.hold_seconds)
        self._alarm = AlarmState(rule)

    @property
    def is_calibrated(self) -> bool:
        """Whether the threshold is the calibrated one of this camera, and no guess."""
        known = self.calibration
        return known is not None and known.threshold == self.rule.threshold and not self.rule.provisional

    def forget_people(self) -> None:
        """Restart the smoothing, and hold nobody: from now on the same numbers mean other people."""
        self._smoother = self.rule.smoother()
        self._held = Held(self.rule.hold_seconds)

    def decide(self, observation: Observation, found: FrameScores) -> FrameResult:
        """Take the next frame and the scores of its people."""
        frame, windows, scores = observation.frame, observation.windows, found.scores
        self.unusable += observation.unusable + len(windows) - len(scores)
        self.hidden += observation.hidden
        smoothed = self._smoother.update(frame.time, scores)
        people = tuple(
            Person(
                person,
                skeleton,
                scores[person],
                smoothed[person],
                p_value(self.calibration, smoothed[person]) if self.calibration else None,
                windows[person],
                self.calibration is not None and is_beyond_normal(self.calibration, smoothed[person]),
                self._reasons(found.surprise.get(person)),
                self.rule.lasting_seconds if person in self._smoother.lasting else 0.0,
            )
            if person in scores
            else Person(person, skeleton, ignored=person in observation.ignored)
            for person, skeleton in observation.skeletons.items()
        )
        scored = {person.person: person for person in people if person.smoothed is not None}
        worst = max(self._held.update(frame.time, scored).values(), key=_smoothed, default=None)
        change = self._alarm.update(frame.time, worst.smoothed if worst else None)
        return FrameResult(
            frame,
            people,
            worst,
            self._alarm.active,
            change,
            self.camera,
            self.rule.threshold,
            self.rule.provisional,
            unit=self._unit,
            zones=observation.zones,
        )

    def _reasons(self, surprise: Sequence[float] | None) -> tuple[Reason, ...]:
        return reasons(self._evidence, surprise) if self._evidence and surprise else ()


def _smoothed(person: Person) -> float:
    return -math.inf if person.smoothed is None else person.smoothed

"""One camera, from a frame to its result, in the calling thread."""

from __future__ import annotations

from collections.abc import Mapping

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.rule import AlarmRule
from daflow.core.alarms.zones import NO_ZONES, Zone
from daflow.core.evidence import EvidenceFacts
from daflow.core.scoring.scorer import Scorer
from runtime.pipeline.alarm_decider import AlarmDecider
from runtime.pipeline.batch_scoring import score_batch
from runtime.pipeline.observer import Observer
from runtime.pipeline.results import FrameResult
from runtime.poses.people import PeopleFinder
from runtime.sources.frames import Frame
from runtime.stage_clock import StageClock


class CameraPipeline:
    """Observes, scores and decides for one camera; the service does the same for many, in several threads.

    Args:
        scorer: scores windows; called once per frame for all people.
        finder: finds people in a frame.
        rule: when the alarm begins and ends.
        window: poses in a window.
        max_missing: frames that may be missing inside.
        clock: where the time of each stage is counted.
        calibration: what p-values are computed from; None for no p-values.
        camera: the name of the camera in its results.
        fps: frames per second that the model was trained at; None takes frames of any rate as they are.
        evidence: what the scores are made of; None for the nll of the flow.
        zones: of the camera, by name.
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
        camera: str = "camera",
        fps: float | None = None,
        evidence: EvidenceFacts | None = None,
        zones: Mapping[str, Zone] = NO_ZONES,
    ) -> None:
        self._scorer = scorer
        self._observer = Observer(finder, window, max_missing, clock, fps=fps, zones=zones)
        self._decider = AlarmDecider(camera, rule, calibration, evidence)
        self._clock = clock

    @property
    def unusable(self) -> int:
        """Windows that could not be scored."""
        return self._decider.unusable

    @property
    def hidden(self) -> int:
        """Those of them that do not show the shoulders and hips."""
        return self._decider.hidden

    @property
    def rate_reason(self) -> str | None:
        """Why nobody can be scored at the rate of the frames; None when it is near enough to the model's."""
        return self._observer.rate_reason

    def process(self, frame: Frame) -> FrameResult:
        """Take the next frame."""
        observation = self._observer.observe(frame)
        (scores,) = score_batch(self._scorer, [observation])
        self._clock.lap("score")
        result = self._decider.decide(observation, scores)
        self._clock.lap("alarm")
        return result

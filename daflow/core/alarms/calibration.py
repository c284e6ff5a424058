"""What is recorded of a calibration: the alarm threshold, how it was chosen, and what normal people score."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    model_validator,
)

from daflow.core.alarms.rule import AlarmRule
from daflow.core.data.tracks import DEFAULT_FPS
from daflow.core.scoring.comparison import Precision

CAMERA_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
"""What a camera may be called: it is a part of topics, paths and configuration keys."""
CameraName = Annotated[str, Field(pattern=f"^{CAMERA_NAME}$")]

_Seconds = Annotated[FiniteFloat, Field(ge=0, le=1e6)]


_Rate = Annotated[FiniteFloat, Field(ge=0)]


class ManifestPart(BaseModel):
    """A part of a manifest: read-only, and nothing in it that is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NormalScores(ManifestPart):
    """What normal people score at a random moment: order statistics of a sample, denser towards the high ones.

    Attributes:
        size: scores in the sample.
        scores: some of them, rising, the lowest and the highest among them.
        at_least: how many of the sample are as high as each of these, or higher.
    """

    size: Annotated[int, Field(ge=1)]
    scores: Annotated[tuple[FiniteFloat, ...], Field(min_length=1, max_length=4096)]
    at_least: tuple[int, ...]

    @model_validator(mode="after")
    def _is_a_sample(self) -> NormalScores:
        if len(self.scores) != len(self.at_least):
            raise ValueError("every score needs how many are at least as high")
        if any(low >= high for low, high in pairwise(self.scores)):
            raise ValueError("the scores must rise")
        if self.at_least[0] != self.size or any(low <= high for low, high in pairwise(self.at_least)):
            raise ValueError("the counts must fall from the size")
        if self.at_least[-1] < 1:
            raise ValueError("the highest score must be one of the sample")
        return self


class AlarmCalibration(ManifestPart):
    """The alarm threshold, what it was chosen with, and how often it is expected to be exceeded by normal behaviour.

    Attributes:
        threshold: smoothed nll in bits per dimension above which a person is abnormal.
        method: `pot`, a generalised Pareto distribution of the highest levels; `block-maxima`, an empirical quantile
            of the highest level of each block of time; `quantile`, of all scores.
        quantile: the fraction of the normal scores below the threshold; None unless that was the method.
        begin_seconds, end_seconds, cool_down_seconds, smoothing_seconds: of the `daflow.core.alarms.rule.AlarmRule`.
        target_per_day: false alarms a day that were asked for; None by `quantile`.
        expected_per_day: false alarms that the recordings lead one to expect in a day like them; None is not known.
        interval_per_day: its 95 % interval.
        promised: whether the recordings were long enough, and the fit good enough, to promise the target.
        hours: length of the recordings.
        fps: their frames a second.
        windows: normal windows that were scored.
        precision: the graph that scored them.
        normal: what p-values are taken from; None without a calibration on recordings.
    """

    threshold: FiniteFloat
    method: Literal["pot", "block-maxima", "quantile"] = "quantile"
    quantile: float | None = None
    begin_seconds: _Seconds = 0.1
    end_seconds: _Seconds = 0.5
    cool_down_seconds: _Seconds = 0.0
    smoothing_seconds: _Seconds = 0.0
    target_per_day: _Rate | None = None
    expected_per_day: _Rate | None = None
    interval_per_day: tuple[_Rate, _Rate] | None = None
    promised: bool = False
    hours: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    fps: Annotated[FiniteFloat, Field(gt=0)] = DEFAULT_FPS
    windows: int
    precision: Precision
    normal: NormalScores | None = None

    def rule(self) -> AlarmRule:
        """Return the rule that the threshold was calibrated with; its release is the threshold."""
        times = self.begin_seconds, self.end_seconds, self.cool_down_seconds, self.smoothing_seconds
        return AlarmRule(self.threshold, self.threshold, *times)

"""A provisional threshold from the normal scores that training held out, for a bundle that nobody calibrated yet.

With it an exported bundle runs at once. It is a guess at the scale of normal scores and promises no rate of false
alarms; `daflow-calibrate alarm` replaces it (docs/alarms.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, FiniteFloat, ValidationError, model_validator

from daflow.core.alarms.calibration import COOL_DOWN_SECONDS, AlarmCalibration, ManifestPart
from daflow.core.alarms.rule import AlarmRule
from daflow.core.data.tracks import DEFAULT_FPS

SUMMARY = "held_out_scores"
"""The key of `HeldOutScores` in the summary of a training."""


class HeldOutScores(ManifestPart):
    """A summary of the scores of normal windows that a training held out.

    Attributes:
        windows: how many were scored.
        people: of so many tracks.
        median, q99, q999, highest: their quantiles 0.5, 0.99, 0.999 and 1.
        separate: whether they are of recordings of their own, with other people, cameras and pose estimators than those
            of the training.
    """

    windows: Annotated[int, Field(ge=1)]
    people: Annotated[int, Field(ge=1)]
    median: FiniteFloat
    q99: FiniteFloat
    q999: FiniteFloat
    highest: FiniteFloat
    separate: bool = False

    @model_validator(mode="after")
    def _rises(self) -> HeldOutScores:
        if not self.median <= self.q99 <= self.q999 <= self.highest:
            raise ValueError("the quantiles must not fall")
        return self

    @classmethod
    def of(cls, nll: npt.NDArray[np.float32], people: int, separate: bool = False) -> HeldOutScores | None:
        """Summarise the scores `(N,)` of the windows of so many people; None when none is finite."""
        finite = nll[np.isfinite(nll)].astype(np.float64)
        if not len(finite):
            return None
        median, q99, q999, highest = np.quantile(finite, (0.5, 0.99, 0.999, 1)).tolist()
        return cls(
            windows=len(finite), people=people, median=median, q99=q99, q999=q999, highest=highest,
            separate=separate,
        )  # fmt: skip

    @property
    def threshold(self) -> float:
        """The highest of separate recordings; else as far above the 0.999 quantile as that is above the median."""
        return self.highest if self.separate else 2 * self.q999 - self.median


def provisional_alarm(training: Mapping[str, Any], fps: float | None = None) -> AlarmCalibration | None:
    """Return a provisional calibration from the summary of a training, None when it held nothing out.

    It holds no normal scores, so there are no p-values and no drift detection with it.

    Args:
        training: the summary.
        fps: frames per second of the training; None when that is not known.

    >>> scores = HeldOutScores(windows=400, people=9, median=1.0, q99=1.5, q999=2.0, highest=2.25)
    >>> alarm = provisional_alarm({SUMMARY: scores.model_dump()})
    >>> alarm.threshold, alarm.provisional, provisional_alarm({})
    (3.0, True, None)
    """
    try:
        scores = HeldOutScores.model_validate(training.get(SUMMARY))
    except ValidationError:  # none, or of another version
        return None
    return AlarmCalibration(
        threshold=scores.threshold,
        method="provisional",
        cool_down_seconds=COOL_DOWN_SECONDS,
        hold_seconds=AlarmRule.hold_seconds,
        windows=scores.windows,
        precision="fp32",
        fps=fps or DEFAULT_FPS,
    )

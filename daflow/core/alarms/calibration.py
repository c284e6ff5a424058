"""The record of a calibration: the alarm threshold, how it was chosen, and the scores of normal people."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, model_validator
from pydantic_core import PydanticCustomError

from daflow.core.alarms.rule import AlarmRule
from daflow.core.alarms.zones import Zone, Zones, same_zones
from daflow.core.data.frame_rate import Fps
from daflow.core.data.tracks import DEFAULT_FPS
from daflow.core.log import shortened
from daflow.core.schema import Count
from daflow.core.scoring.comparison import Precision

_MAX_NAME_LETTERS, _MAX_NAME_BYTES = 64, 128  # names of files may have 255 bytes
_MARKS_IN_NAMES = " -_.()&"


def camera_name_error(name: str) -> str | None:
    """Return why a camera cannot have a name, None when it can.

    A name is a part of topics, file names, configuration keys and `NAME=SOURCE` on the command line.

    >>> camera_name_error("Küche 1"), camera_name_error("客厅")
    (None, None)
    >>> camera_name_error("a/b")
    "A camera cannot be named 'a/b': use letters and digits of any script, spaces and - _ . ( ) &."
    """
    shown = repr(shortened(name, _MAX_NAME_LETTERS))
    kinds = [unicodedata.category(letter)[0] for letter in name]
    if not all(kind in "LMN" or letter in _MARKS_IN_NAMES for kind, letter in zip(kinds, name, strict=True)):
        why = "use letters and digits of any script, spaces and - _ . ( ) &"
    elif not name or kinds[0] not in "LN" or name[-1] in " .":
        why = "it must begin with a letter or a digit, and not end with a space or a dot"
    elif len(name) > _MAX_NAME_LETTERS or len(name.encode()) > _MAX_NAME_BYTES:
        why = f"it must have at most {_MAX_NAME_LETTERS} letters, and {_MAX_NAME_BYTES} bytes in UTF-8"
    elif not unicodedata.is_normalized("NFC", name):
        why = "its accents are characters of their own; write it in Unicode's normal form NFC"
    else:
        return None
    return f"A camera cannot be named {shown}: {why}."


def _checked_camera_name(name: str) -> str:
    error = camera_name_error(name)
    if error is not None:
        raise PydanticCustomError("camera_name", "{error}", {"error": error})
    return name


CameraName = Annotated[str, AfterValidator(_checked_camera_name)]

COOL_DOWN_SECONDS = 10.0
"""How long after an alarm the next one may begin, unless somebody chooses; the rule itself has none."""


def duration_text(hours: float) -> str:
    """Return a length of time in words.

    >>> duration_text(0.25), duration_text(36)
    ('15 minutes', '36 hours')
    """
    return f"{hours:.3g} hours" if hours >= 1 else f"{hours * 60:.3g} minutes"


MAX_EXTRAPOLATION = 4.0
"""A fitted tail may be extrapolated to alarms so many times rarer than one in the recordings; a convention."""


def least_hours(per_day: float) -> float:
    """Return how many hours of recordings a calibration for a rate of false alarms needs at least.

    >>> least_hours(per_day=1.0)
    6.0
    """
    return 24 / per_day / MAX_EXTRAPOLATION


_Seconds = Annotated[FiniteFloat, Field(ge=0, le=1e6)]
_Rate = Annotated[FiniteFloat, Field(ge=0)]


class ManifestPart(BaseModel):
    """A part of a manifest: read-only; unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NormalScores(ManifestPart):
    """Scores of normal people at random moments: order statistics of a sample, denser towards high scores.

    Attributes:
        size: scores in the sample.
        scores: some of them in rising order, with the lowest and the highest.
        at_least: for each of these, how many scores of the sample are as high or higher.
    """

    size: Annotated[Count, Field(ge=1)]
    scores: Annotated[tuple[FiniteFloat, ...], Field(min_length=1, max_length=4096)]
    at_least: tuple[Count, ...]

    @model_validator(mode="after")
    def _is_a_sample(self) -> NormalScores:
        if len(self.scores) != len(self.at_least):
            raise ValueError("scores and at_least must have the same length")
        if any(low >= high for low, high in pairwise(self.scores)):
            raise ValueError("scores must rise")
        if self.at_least[0] != self.size or any(low <= high for low, high in pairwise(self.at_least)):
            raise ValueError("at_least must start at size and fall")
        if self.at_least[-1] < 1:
            raise ValueError("the last value of at_least must be 1 or more")
        return self


class AlarmCalibration(ManifestPart):
    """The alarm threshold, how it was chosen, and how often normal behaviour is expected to exceed it.

    Attributes:
        threshold: smoothed score above which a person is abnormal, in the unit of the bundle.
        method: `pot`, a generalised Pareto distribution of the highest levels; `block-maxima`, an empirical quantile
            of the highest level of each block of time; `quantile`, of all scores; `provisional`, a guess from what
            training held out (`daflow.core.alarms.provisional`), until `daflow-calibrate alarm` replaces it.
        quantile: the fraction of the normal scores below the threshold; None with another method.
        begin_seconds, end_seconds, cool_down_seconds, smoothing_seconds, hold_seconds, lasting_seconds: of the
            `daflow.core.alarms.rule.AlarmRule`. A calibration from before scores were held, or before what lasts
            counted more, was made without.
        target_per_day: the requested false alarms per day; None by `quantile`.
        expected_per_day: false alarms per day expected from the recordings; None when unknown.
        interval_per_day: its 95 % interval.
        promised: whether the recordings support the target rate: they are long enough and the rate varies little
            enough.
        supported_per_day: where they do not, a higher rate that they support; None when there is none.
        hours: length of the recordings.
        fps: frames per second of the recordings.
        windows: normal windows that were scored.
        precision: the graph that scored them.
        normal: the scores that p-values are computed from; None without a calibration on recordings.
        zones: of the camera, by name: only people in them were scored.
    """

    threshold: FiniteFloat
    method: Literal["pot", "block-maxima", "quantile", "provisional"] = "quantile"
    quantile: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = None
    begin_seconds: _Seconds = AlarmRule.begin_seconds
    end_seconds: _Seconds = AlarmRule.end_seconds
    cool_down_seconds: _Seconds = AlarmRule.cool_down_seconds
    smoothing_seconds: _Seconds = AlarmRule.smoothing_seconds
    hold_seconds: _Seconds = 0.0
    lasting_seconds: _Seconds = 0.0
    target_per_day: _Rate | None = None
    expected_per_day: _Rate | None = None
    interval_per_day: tuple[_Rate, _Rate] | None = None
    promised: bool = False
    supported_per_day: _Rate | None = None
    hours: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    fps: Fps = DEFAULT_FPS
    windows: Count
    precision: Precision
    normal: NormalScores | None = None
    zones: Zones = Field(default_factory=dict)

    def misfit(self, zones: Mapping[str, Zone]) -> str | None:
        """Return why the threshold is not calibrated for a camera with these zones; None when it is.

        A threshold that training guessed is of no camera, so zones make no difference.

        >>> alarm = AlarmCalibration(threshold=5, windows=9, precision="fp32")
        >>> alarm.misfit({"desk": Zone(kind="ignore", points=((0, 0), (1, 0), (1, 1)))})
        'the calibration was made without zones, and the camera has zones (desk)'
        """
        if self.method == "provisional" or same_zones(self.zones, zones):
            return None
        if self.zones and zones:
            return f"the zones of the camera ({', '.join(zones)}) are not those of its calibration"
        if zones:
            return f"the calibration was made without zones, and the camera has zones ({', '.join(zones)})"
        return f"the calibration was made with zones ({', '.join(self.zones)}), and the camera has none"

    @property
    def provisional(self) -> bool:
        """Whether the threshold is a guess: nobody calibrated it, or the recordings do not support the target rate."""
        return self.method == "provisional" or (self.target_per_day is not None and not self.promised)

    @property
    def why_provisional(self) -> str:
        """What a provisional threshold is based on.

        >>> alarm = AlarmCalibration(threshold=5, target_per_day=1, hours=0.5, windows=9, precision="fp32")
        >>> alarm.why_provisional
        'from 30 minutes of recordings, which do not support 1 false alarm per day'
        """
        if self.method == "provisional":
            return f"from {self.windows} windows that training held out"
        alarms = f"{self.target_per_day:g} false alarm{'' if self.target_per_day == 1 else 's'} per day"
        return f"from {duration_text(self.hours)} of recordings, which do not support {alarms}"

    def rule(self) -> AlarmRule:
        """Return the rule that the threshold was calibrated with; its release is the threshold."""
        return AlarmRule(
            self.threshold, self.threshold, self.begin_seconds, self.end_seconds, self.cool_down_seconds,
            self.smoothing_seconds, self.hold_seconds, self.lasting_seconds, provisional=self.provisional,
        )  # fmt: skip

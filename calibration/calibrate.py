"""Calibrate the alarm of a bundle: from recordings of normal behaviour to the record of a calibration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.enough_recordings import reason_against_quantile, reason_against_rate
from calibration.recordings import read_signals
from calibration.threshold import ThresholdChoice, choose_quantile, choose_threshold
from daflow.core.alarms.calibration import COOL_DOWN_SECONDS, AlarmCalibration, least_hours
from daflow.core.alarms.p_value import normal_scores
from daflow.core.alarms.replay import Signal
from daflow.core.alarms.rule import LASTING_SECONDS, AlarmRule
from daflow.core.alarms.zones import NO_ZONES, Zone
from daflow.core.bundle import Bundle, require_evidence, update_manifest
from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.track_files import Paths
from daflow.core.errors import InputError

FALSE_ALARMS_PER_DAY = 1.0
_MAX_SUPPORTED = 1440.0  # an alarm a minute


@dataclass(frozen=True)
class CalibrationResult:
    """A calibration, and how it was found.

    Attributes:
        alarm: the record for the manifest of the bundle.
        choice: the threshold and the fit that it is based on.
        reason: why the recordings do not support the requested rate or quantile; None when they do. The alarm knows
            which rate they do support.
    """

    alarm: AlarmCalibration
    choice: ThresholdChoice
    reason: str | None


def calibrate_alarm(
    bundle: Bundle,
    poses: Paths,
    false_alarms_per_day: float | None = None,
    quantile: float | None = None,
    fps: float | None = None,
    begin_seconds: float = AlarmRule.begin_seconds,
    end_seconds: float = AlarmRule.end_seconds,
    cool_down_seconds: float = COOL_DOWN_SECONDS,
    smoothing_seconds: float = AlarmRule.smoothing_seconds,
    hold_seconds: float = AlarmRule.hold_seconds,
    lasting_seconds: float | None = None,
    frame_size: FrameSize | None = None,
    clips: Sequence[str] = (),
    zones: Mapping[str, Zone] = NO_ZONES,
) -> CalibrationResult:
    """Choose the alarm threshold of a bundle from recordings of normal behaviour; `write_calibration` saves it.

    Args:
        bundle: whose FP32 graph scores.
        poses: folder of pose tracks of normal behaviour, or several.
        false_alarms_per_day: the requested rate; None is 1, unless there is a quantile.
        quantile: instead of a rate, the fraction of the normal scores that stay below the threshold.
        fps: frames per second of all recordings; None as `calibration.recordings.read_signals`.
        begin_seconds: how long the score must stay above the threshold.
        end_seconds: how long it must stay below before the alarm ends.
        cool_down_seconds: how long after an alarm the next one may begin.
        smoothing_seconds: time constant of the smoothing of scores.
        hold_seconds: how long the last score of somebody counts who has none any more.
        lasting_seconds: time constant of the mean in which what lasts counts more; None is 5 with evidence beside the
            flow, and 0 of the flow alone, whose scores have no zero.
        frame_size: width and height in pixels of all clips; None as `daflow.core.data.tracks.find_tracks`.
        clips: patterns of the names of the clips to calibrate on; none takes all.
        zones: of the camera, by name; the record keeps them.

    Raises:
        InputError: both a rate and a quantile are given, lasting seconds of the flow alone, or the recordings cannot be
            read or scored.
    """
    if false_alarms_per_day is not None and quantile is not None:
        raise InputError("Give a rate of false alarms or a quantile, not both.")
    if lasting_seconds is None:
        lasting_seconds = LASTING_SECONDS if bundle.manifest.evidence else 0.0
    rule = AlarmRule(
        math.inf, math.inf, begin_seconds, end_seconds, cool_down_seconds, smoothing_seconds, hold_seconds,
        lasting_seconds,
    )  # fmt: skip
    require_evidence(bundle, rule)
    signals = read_signals(bundle, poses, fps, rule, frame_size, clips, zones)
    seconds = sum(signal.seconds for signal in signals)
    hours = seconds / 3600
    windows = sum(len(signal.people) for signal in signals)
    if quantile is None:
        per_day = FALSE_ALARMS_PER_DAY if false_alarms_per_day is None else false_alarms_per_day
        choice = choose_threshold(signals, rule, per_day)
        reason = reason_against_rate(choice, hours, per_day)
        supported = _supported_rate(signals, rule, hours, per_day) if reason else None
    else:
        per_day, supported = None, None
        choice = choose_quantile(signals, rule, quantile)
        reason = reason_against_quantile(windows, quantile)
    alarm = AlarmCalibration(
        threshold=choice.threshold,
        method=choice.method,
        quantile=quantile,
        begin_seconds=begin_seconds,
        end_seconds=end_seconds,
        cool_down_seconds=cool_down_seconds,
        smoothing_seconds=smoothing_seconds,
        hold_seconds=hold_seconds,
        lasting_seconds=lasting_seconds,
        target_per_day=per_day,
        expected_per_day=choice.expected_per_day,
        interval_per_day=choice.interval_per_day,
        promised=quantile is None and reason is None,
        supported_per_day=supported,
        hours=hours,
        fps=sum(len(signal.times) for signal in signals) / seconds,
        windows=windows,
        precision="fp32",
        zones=dict(zones),
        normal=normal_scores(np.concatenate([signal.sample for signal in signals])),
    )
    return CalibrationResult(alarm, choice, reason)


def _supported_rate(signals: Sequence[Signal], rule: AlarmRule, hours: float, per_day: float) -> float | None:
    """Return a round rate above `per_day` that the recordings support; None when there is none to an alarm a minute."""
    for power, digit in itertools.product(range(-3, 4), (1, 2, 5)):
        rate = digit * 10.0**power
        possible = per_day < rate <= _MAX_SUPPORTED and hours >= least_hours(rate)
        if possible and reason_against_rate(choose_threshold(signals, rule, rate), hours, rate) is None:
            return rate
    return None


def write_calibration(bundle: Bundle, alarm: AlarmCalibration, camera: str | None = None) -> None:
    """Write a calibration to the manifest of a bundle.

    Args:
        bundle: the bundle that was calibrated; only its manifest is changed, and in it only this calibration.
        alarm: the calibration.
        camera: the camera that it is for; None is every camera without its own.

    Raises:
        InputError: the bundle was exported again in the meantime.
        OSError: the manifest cannot be written.
    """
    update_manifest(
        bundle,
        lambda now: {"alarm": alarm} if camera is None else {"cameras": {**now.cameras, camera: alarm}},
    )

"""How often normal behaviour raises the alarm of a bundle, and whether that refutes the rate of its calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibration import poisson_interval as poisson
from calibration.recordings import read_signals
from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.replay import Signal, episodes
from daflow.core.alarms.zones import Zone
from daflow.core.bundle import Bundle
from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.track_files import Paths
from daflow.core.errors import InputError

SIGNIFICANCE = 0.05
"""The expected rate is refuted when so many alarms or more have at most this probability."""


@dataclass(frozen=True)
class ClipCheck:
    """The alarms of one recording.

    Attributes:
        clip: its name.
        seconds: its length.
        alarms: how many began.
        highest: its highest level; None when nobody was scored for long enough.
        times: when each alarm began and ended, in seconds since the first frame with people.
    """

    clip: str
    seconds: float
    alarms: int
    highest: float | None
    times: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class FalseAlarmCheck:
    """The false alarms of all recordings.

    Attributes:
        clips: one by one.
        hours: their length.
        alarms: how many began.
        per_day: the measured rate.
        interval_per_day: its 95 % interval, as if alarms came independently of each other.
        expected_per_day: the rate that the calibration expects; None when it expects none.
        probability: of so many alarms or more at that rate, as well as the calibration knows it; None without a rate.
        refuted: whether that is too unlikely.
    """

    clips: tuple[ClipCheck, ...]
    hours: float
    alarms: int
    per_day: float
    interval_per_day: tuple[float, float]
    expected_per_day: float | None
    probability: float | None
    refuted: bool

    def summary(self, promised: bool) -> str:
        """Return the result as a sentence.

        Args:
            promised: `AlarmCalibration.promised`.
        """
        low, high = self.interval_per_day
        measured = (
            f"{self.alarms} false alarms in {self.hours:.3g} hours: {self.per_day:.3g} per day "
            f"(95 % interval {low:.3g} to {high:.3g})"
        )
        if self.expected_per_day is None or self.probability is None:
            return f"{measured}; the calibration expects no rate"
        support = "" if promised else ", though its recordings do not support the rate"
        result = "refuted" if self.refuted else "consistent"
        return (
            f"{measured}; the calibration expects {self.expected_per_day:.3g} per day{support}: {result} "
            f"(so many or more alarms have a probability of {self.probability:.2g})"
        )


def calibration_of(bundle: Bundle, camera: str | None = None) -> AlarmCalibration:
    """Return the calibration of a camera; None is that of every camera without its own.

    Raises:
        InputError: the bundle has no such calibration.
    """
    cameras = bundle.manifest.cameras
    if camera is not None:
        if camera not in cameras:
            there = ", ".join(cameras) or "none"
            raise InputError(f"{bundle.folder} has no calibration of a camera {camera}; it has: {there}.")
        return cameras[camera]
    if bundle.manifest.alarm is None:
        raise InputError(
            f"{bundle.folder} is not calibrated: run 'daflow-calibrate alarm --bundle {bundle.folder} --poses DIR' "
            "first."
        )
    return bundle.manifest.alarm


def check_alarm(
    bundle: Bundle,
    poses: Paths,
    alarm: AlarmCalibration,
    fps: float | None = None,
    frame_size: FrameSize | None = None,
    clips: Sequence[str] = (),
    zones: Mapping[str, Zone] | None = None,
) -> FalseAlarmCheck:
    """Replay normal recordings through the alarm and compare the number of alarms with the expected rate.

    Args:
        bundle: whose FP32 graph scores.
        poses: folder of pose tracks, or several, that the model was neither trained nor calibrated on.
        alarm: the calibration, such as `calibration_of(bundle)`.
        fps: frames per second of all recordings; None as `calibration.recordings.read_signals`.
        frame_size: width and height in pixels of all clips; None as `daflow.core.data.tracks.find_tracks`.
        clips: patterns of the names of the clips to replay; none replays all.
        zones: of the camera, by name; None takes those of the calibration.

    Raises:
        InputError: the recordings cannot be read or scored.
    """
    zones = alarm.zones if zones is None else zones
    return check_signals(read_signals(bundle, poses, fps, alarm.rule(), frame_size, clips, zones), alarm)


def check_signals(signals: Sequence[Signal], alarm: AlarmCalibration) -> FalseAlarmCheck:
    """Count the alarms of replayed recordings and compare their number with the expected rate.

    Args:
        signals: of recordings that were not calibrated on.
        alarm: the calibration; its rate is compared when a rate was requested.
    """
    rule = alarm.rule()
    clips = []
    for signal in signals:
        known = [level for level in signal.levels.tolist() if not math.isnan(level)]
        times = tuple((_time(signal, each.first), _time(signal, each.end)) for each in episodes(signal, rule))
        clips.append(ClipCheck(signal.name, signal.seconds, len(times), max(known, default=None), times))
    days = sum(clip.seconds for clip in clips) / 86400
    count = sum(clip.alarms for clip in clips)
    low, high = poisson.interval(count)
    expected = alarm.expected_per_day if alarm.target_per_day is not None else None
    probability = None
    if expected is not None:
        high = alarm.interval_per_day[1] if alarm.interval_per_day else expected
        probability = poisson.at_least(count, expected * days, high / expected if expected else 1.0)
    return FalseAlarmCheck(
        clips=tuple(clips),
        hours=days * 24,
        alarms=count,
        per_day=count / days,
        interval_per_day=(low / days, high / days),
        expected_per_day=expected,
        probability=probability,
        refuted=probability is not None and probability <= SIGNIFICANCE,
    )


def _time(signal: Signal, frame: int) -> float:
    return float(signal.times[frame]) if frame < len(signal.times) else signal.seconds

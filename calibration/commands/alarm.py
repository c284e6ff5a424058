"""`daflow-calibrate alarm`: set the threshold of a bundle from recordings of normal behaviour."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

import click

from calibration.calibrate import (
    CalibrationResult,
    calibrate_alarm,
    write_calibration,
)
from calibration.commands.options import POSITIVE, SECONDS, camera_option, clips_option, zones_option
from calibration.threshold import REJECTED_GOODNESS
from calibration.zones_file import read_zones
from daflow.core.alarms.calibration import COOL_DOWN_SECONDS, AlarmCalibration
from daflow.core.alarms.rule import AlarmRule
from daflow.core.bundle import MANIFEST, read_bundle
from daflow.core.command_line import (
    FOLDER,
    Command,
    FiniteRange,
    fps_option,
    frame_size_option,
    json_option,
    require_folder_for,
    write_json,
)
from daflow.core.data.clip_tables import FrameSize
from daflow.core.errors import CheckFailed
from daflow.core.evidence import unit_of
from daflow.core.shipped import bundle_or_default, is_shipped, make_own_copy


@click.command(cls=Command)
@click.option(
    "--bundle",
    "given",
    type=FOLDER,
    help="The bundle to calibrate; its manifest is rewritten. Without it a copy of the model of the package, among "
    "your data, which every command without --bundle uses from then on.",
)
@click.option(
    "--poses",
    type=FOLDER,
    required=True,
    multiple=True,
    help="Folder of pose tracks of normal behaviour, best from the same camera and from several days; folders "
    "in it are read too. May be repeated.",
)
@clips_option
@camera_option
@zones_option
@click.option(
    "--false-alarms-per-day",
    "per_day",
    type=POSITIVE,
    help="False alarms per day that normal behaviour may cause.  [default: 1, unless --quantile is given]",
)
@click.option(
    "--quantile",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Instead of a rate, the fraction of the normal scores that stay below the threshold; for short recordings.",
)
@click.option(
    "--begin-seconds",
    default=AlarmRule.begin_seconds,
    type=SECONDS,
    help="How long the score must stay above the threshold.",
)
@click.option(
    "--end-seconds",
    default=AlarmRule.end_seconds,
    type=SECONDS,
    help="How long it must stay below before the alarm ends.",
)
@click.option(
    "--cool-down-seconds",
    default=COOL_DOWN_SECONDS,
    type=SECONDS,
    help="How long after an alarm the next one may begin.",
)
@click.option(
    "--smoothing-seconds",
    default=AlarmRule.smoothing_seconds,
    type=SECONDS,
    help="Time constant of the causal smoothing of scores. The 24 poses of a score already average over a second; "
    "smoothing delays alarms, and helps where poses are very noisy.",
)
@click.option(
    "--hold-seconds",
    default=AlarmRule.hold_seconds,
    type=SECONDS,
    help="How long the last score of somebody counts who has none any more: who falls is often lost.",
)
@click.option(
    "--lasting-seconds",
    type=SECONDS,
    help="Time constant of a mean of each person's scores, in which what is a little unusual for long counts as much "
    "as what is very unusual for a moment; 0 is without. It needs evidence beside the flow.  [default: 5, and 0 of "
    "the flow alone]",
)
@click.option(
    "--require-promise",
    is_flag=True,
    help="Fail, and do not change the bundle, when the recordings do not support the rate.",
)
@json_option("the result")
@frame_size_option
@fps_option
def alarm(
    given: Path | None, poses: tuple[Path, ...], clips: tuple[str, ...], camera: str | None,
    zones_file: Path | None, per_day: float | None, quantile: float | None,
    begin_seconds: float, end_seconds: float, cool_down_seconds: float, smoothing_seconds: float,
    hold_seconds: float, lasting_seconds: float | None, require_promise: bool, json_target: str | None,
    frame_size: FrameSize | None, fps: float | None,
) -> None:  # fmt: skip
    """Set the alarm threshold by how often normal behaviour may exceed it.

    The recordings are replayed as daflow-edge sees a camera. A distribution is fitted to the highest scores of normal
    people and extrapolated to the rate. When the recordings are too short to support the rate, the threshold is
    written as a provisional one, and the output says how many hours are needed, and which rate they do support.
    """
    if per_day is not None and quantile is not None:
        raise click.UsageError("Give --false-alarms-per-day or --quantile, not both.")
    if require_promise and quantile is not None:
        raise click.UsageError(
            "A quantile is not a rate of false alarms. Remove --quantile or --require-promise."
        )
    folder = bundle_or_default(given)
    bundle = read_bundle(folder)
    require_folder_for(folder / MANIFEST)
    zones = read_zones(zones_file, camera) if zones_file else {}
    result = calibrate_alarm(
        bundle, poses, per_day, quantile, fps, begin_seconds, end_seconds, cool_down_seconds, smoothing_seconds,
        hold_seconds, lasting_seconds, frame_size, clips, zones,
    )  # fmt: skip
    if result.reason and require_promise:
        raise CheckFailed(f"{result.reason[0].upper()}{result.reason[1:]}. {folder} was not changed.")
    if result.reason:
        logging.getLogger(__name__).warning(result.reason)
    if is_shipped(folder):
        folder = make_own_copy()
        bundle = read_bundle(folder)
    write_calibration(bundle, result.alarm, camera)
    if json_target:
        content = {**result.alarm.model_dump(mode="json"), "camera": camera}
        write_json(json_target, {**content, "choice": dataclasses.asdict(result.choice)})
    if json_target != "-":
        for line in _lines(folder, camera, result, unit_of(bundle.manifest.channels)):
            click.echo(line)
        if given is None:
            click.echo(f"commands without --bundle use {folder} from now on; remove it to undo this")


def _lines(folder: Path, camera: str | None, result: CalibrationResult, unit: str) -> Iterator[str]:
    alarm = result.alarm
    of = f" of camera {camera}" if camera else ""
    yield f"{folder}: threshold{of} {alarm.threshold:.4f} {unit}, {_method(result)}"
    yield (
        f"{alarm.hours:.3g} hours at {alarm.fps:.3g} frames per second, {alarm.windows} windows; "
        f"expected false alarms per day: {_rate(alarm)}"
    )
    if alarm.zones:
        names = ", ".join(f"{name} ({zone.kind})" for name, zone in alarm.zones.items())
        yield f"people are scored by the zones: {names}"
    if alarm.target_per_day is not None:
        yield _support(alarm)


def _support(alarm: AlarmCalibration) -> str:
    if alarm.promised:
        return "the recordings support this rate"
    if alarm.supported_per_day is None:
        return "PROVISIONAL: the recordings support no rate of false alarms; see the warning"
    return (
        "PROVISIONAL: the recordings do not support this rate; they support "
        f"--false-alarms-per-day {alarm.supported_per_day:g}"
    )


def _method(result: CalibrationResult) -> str:
    alarm, choice = result.alarm, result.choice
    if alarm.method == "quantile":
        return f"the {alarm.quantile:g} quantile of {alarm.windows} windows"
    if choice.tail is None or choice.goodness is None:
        return (
            f"from the highest levels of {choice.episodes} blocks of time; every fitted tail was rejected "
            f"(goodness of fit {REJECTED_GOODNESS:g} or less, or too few episodes)"
        )
    return (
        f"by a generalised Pareto tail (shape {choice.tail.shape:.2f}, goodness of fit {choice.goodness:.2f}) of the "
        f"{choice.episodes} episodes above {choice.level:.4f}"
    )


def _rate(alarm: AlarmCalibration) -> str:
    if alarm.expected_per_day is None:
        return "unknown"
    rate = f"{alarm.expected_per_day:.3g}"
    if alarm.interval_per_day is None:
        return rate
    low, high = alarm.interval_per_day
    return f"{rate} (95 % interval {low:.3g} to {high:.3g})"

"""`daflow-calibrate alarm`: set the threshold of a bundle from recordings of normal behaviour."""

from __future__ import annotations

import dataclasses
import logging
import math
from pathlib import Path

import click
import numpy as np

from calibration.commands.options import POSITIVE, SECONDS, camera_option
from calibration.enough_recordings import objection
from calibration.replay import read_signals
from calibration.threshold import REFUSED, Choice, choose_quantile, choose_threshold
from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.p_value import normal_scores
from daflow.core.alarms.rule import AlarmRule
from daflow.core.bundle import Bundle, read_bundle, write_manifest
from daflow.core.command_line import FOLDER, Command, FiniteRange, frame_size_option, json_option, write_json
from daflow.core.data.tracks import DEFAULT_FPS, FrameSize
from daflow.core.errors import CheckFailed

_BEYOND = 10
"""Scores that should lie beyond a quantile before it is more than a guess."""


@click.command(cls=Command)
@click.option(
    "--bundle",
    "folder",
    type=FOLDER,
    required=True,
    help="The bundle to calibrate; its manifest is rewritten.",
)
@click.option(
    "--poses",
    type=FOLDER,
    required=True,
    help="Folder of pose tracks of normal behaviour, best from the same camera and of several days.",
)
@camera_option
@click.option(
    "--false-alarms-per-day",
    "per_day",
    type=POSITIVE,
    help="False alarms a day that normal behaviour may raise.  [default: 1, unless --quantile is given]",
)
@click.option(
    "--quantile",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Instead of a rate, the fraction of the normal scores that stay below the threshold; for short recordings.",
)
@click.option("--fps", default=DEFAULT_FPS, type=POSITIVE, help="Frames per second of the recordings.")
@click.option(
    "--begin-seconds", default=0.1, type=SECONDS, help="How long the score must stay above the threshold."
)
@click.option(
    "--end-seconds", default=0.5, type=SECONDS, help="How long it must stay below before the alarm ends."
)
@click.option(
    "--cool-down-seconds", default=10.0, type=SECONDS, help="How long after an alarm the next one may begin."
)
@click.option(
    "--smoothing-seconds",
    default=0.0,
    type=SECONDS,
    help="Time constant of the causal smoothing of scores. The 24 poses of a score already average a second; smoothing "
    "delays alarms, and helps where poses are very noisy.",
)
@click.option(
    "--require-promise",
    is_flag=True,
    help="Fail, and leave the bundle as it is, when the recordings are too short to promise the rate.",
)
@json_option("the result")
@frame_size_option
def alarm(
    folder: Path, poses: Path, camera: str | None, per_day: float | None, quantile: float | None, fps: float,
    begin_seconds: float, end_seconds: float, cool_down_seconds: float, smoothing_seconds: float,
    require_promise: bool, json_target: str | None, frame_size: FrameSize | None,
) -> None:  # fmt: skip
    """Set the alarm threshold by how often normal behaviour may exceed it.

    The recordings are followed as the edge follows a camera, and the highest of what normal people score is fitted and
    extrapolated. When the recordings are too short to promise the rate, the threshold is written all the same, marked
    as not promised, and the warning says how many hours are needed.
    """
    if per_day is not None and quantile is not None:
        raise click.UsageError("Give --false-alarms-per-day or --quantile, not both.")
    if require_promise and quantile is not None:
        raise click.UsageError("A quantile promises no rate: leave --quantile or --require-promise out.")
    bundle = read_bundle(folder)
    rule = AlarmRule(math.inf, math.inf, begin_seconds, end_seconds, cool_down_seconds, smoothing_seconds)
    signals = read_signals(bundle, poses, fps, rule, frame_size)
    hours = sum(s.seconds for s in signals) / 3600
    windows = sum(len(s.people) for s in signals)
    if quantile is None:
        per_day = 1.0 if per_day is None else per_day
        choice = choose_threshold(signals, rule, per_day)
        doubt = objection(choice, hours, per_day)
    else:
        choice = choose_quantile(signals, rule, quantile)
        doubt = _few(windows, quantile)
    if doubt and require_promise:
        raise CheckFailed(f"{doubt[0].upper()}{doubt[1:]}. {folder} is left as it was.")
    entry = AlarmCalibration(
        threshold=choice.threshold, method=choice.method, quantile=quantile, begin_seconds=begin_seconds,
        end_seconds=end_seconds, cool_down_seconds=cool_down_seconds, smoothing_seconds=smoothing_seconds,
        target_per_day=per_day, expected_per_day=choice.expected_per_day, interval_per_day=choice.interval_per_day,
        promised=quantile is None and doubt is None, hours=hours, fps=fps, windows=windows, precision="fp32",
        normal=normal_scores(np.concatenate([s.sample for s in signals])),
    )  # fmt: skip
    if doubt:
        logging.getLogger(__name__).warning(doubt)
    _write(bundle, camera, entry)
    if json_target:
        write_json(
            json_target,
            {**entry.model_dump(mode="json"), "camera": camera, "choice": dataclasses.asdict(choice)},
        )
    if json_target != "-":
        for line in _lines(folder, camera, entry, choice):
            click.echo(line)


def _few(windows: int, quantile: float) -> str | None:
    wanted = round(_BEYOND / (1 - quantile))
    if windows >= wanted:
        return None
    return (
        f"{windows} windows are few for the quantile {quantile:g}: about {wanted} are wanted, "
        "and the threshold may be far from the true quantile"
    )


def _write(bundle: Bundle, camera: str | None, entry: AlarmCalibration) -> None:
    manifest = bundle.manifest
    update = {"alarm": entry} if camera is None else {"cameras": {**manifest.cameras, camera: entry}}
    write_manifest(bundle.folder, manifest.model_copy(update=update))


def _lines(folder: Path, camera: str | None, entry: AlarmCalibration, choice: Choice) -> list[str]:
    of = f" of camera {camera}" if camera else ""
    lines = [
        f"{folder}: threshold{of} {entry.threshold:.4f} bits/dim, {_why(entry, choice)}",
        f"{entry.hours:.3g} hours, {entry.windows} windows; expected false alarms a day: {_rate(entry)}",
    ]
    if entry.target_per_day is not None:
        lines.append("promised" if entry.promised else "not promised: see the warning")
    return lines


def _why(entry: AlarmCalibration, choice: Choice) -> str:
    if entry.method == "quantile":
        return f"the {entry.quantile:g} quantile of {entry.windows} windows"
    if choice.tail is None or choice.goodness is None:
        return (
            f"from the highest levels of {choice.episodes} blocks of time; every fitted tail was refused "
            f"(goodness of fit {REFUSED:g} or less, or too few episodes)"
        )
    return (
        f"by a generalised Pareto tail (shape {choice.tail.shape:.2f}, goodness of fit {choice.goodness:.2f}) of the "
        f"{choice.episodes} episodes above {choice.level:.4f}"
    )


def _rate(entry: AlarmCalibration) -> str:
    if entry.expected_per_day is None:
        return "not known"
    rate = f"{entry.expected_per_day:.3g}"
    if entry.interval_per_day is None:
        return rate
    low, high = entry.interval_per_day
    return f"{rate} (95 % interval {low:.3g} to {high:.3g})"

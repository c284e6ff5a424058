"""`daflow-calibrate check`: replay normal recordings and compare the false alarms with what was promised."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from calibration.commands.options import POSITIVE, camera_option
from calibration.false_alarm_rate import check as check_signals
from calibration.replay import read_signals
from daflow.core.bundle import read_bundle
from daflow.core.command_line import FOLDER, Command, frame_size_option, json_option, write_json
from daflow.core.data.tracks import FrameSize
from daflow.core.errors import CheckFailed, InputError


@click.command(cls=Command)
@click.option("--bundle", "folder", type=FOLDER, required=True, help="The calibrated bundle.")
@click.option(
    "--poses",
    type=FOLDER,
    required=True,
    help="Folder of pose tracks of normal behaviour that the bundle was neither trained nor calibrated on.",
)
@camera_option
@click.option(
    "--fps", type=POSITIVE, help="Frames a second of the recordings.  [default: as the bundle was calibrated]"
)
@json_option("the result")
@frame_size_option
def check(
    folder: Path, poses: Path, camera: str | None, fps: float | None, json_target: str | None,
    frame_size: FrameSize | None,
) -> None:  # fmt: skip
    """Replay held-out normal recordings through the alarm and report the rate that really came.

    Fails with exit code 1 when so many false alarms are too unlikely (5 %) at the rate that the calibration states.
    """
    bundle = read_bundle(folder)
    if camera is not None and camera not in bundle.manifest.cameras:
        there = ", ".join(bundle.manifest.cameras) or "none"
        raise InputError(f"{folder} has no calibration of a camera {camera}; it has: {there}.")
    alarm = bundle.manifest.alarm if camera is None else bundle.alarm_for(camera)
    if alarm is None:
        raise InputError(
            f"{folder} is not calibrated: run 'daflow-calibrate alarm --bundle {folder} --poses DIR' first."
        )
    result = check_signals(read_signals(bundle, poses, fps or alarm.fps, alarm.rule(), frame_size), alarm)
    if json_target:
        content = dataclasses.asdict(result)
        write_json(
            json_target,
            {**content, "promised": alarm.promised, "threshold": alarm.threshold, "camera": camera},
        )
    verdict = result.verdict(alarm.promised)
    if json_target != "-":
        width = max(len(clip.clip) for clip in result.clips)
        click.echo(f"{'clip':<{width}}  minutes  alarms  highest (threshold {alarm.threshold:.3f})")
        for clip in result.clips:
            highest = "-" if clip.highest is None else f"{clip.highest:.3f}"
            click.echo(f"{clip.clip:<{width}}  {clip.seconds / 60:7.2f}  {clip.alarms:6d}  {highest}")
        if not result.refuted:
            click.echo(verdict)
    if result.refuted:
        raise CheckFailed(f"{verdict}. Calibrate again on more recordings of what is normal there.")

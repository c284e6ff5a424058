"""`daflow-calibrate check`: replay normal recordings and compare the false alarms with the calibration."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

import click

from calibration.commands.options import camera_option, clips_option, zones_option
from calibration.false_alarm_rate import FalseAlarmCheck, calibration_of, check_alarm
from calibration.zones_file import read_zones
from daflow.core.bundle import read_bundle
from daflow.core.command_line import FOLDER, Command, fps_option, frame_size_option, json_option, write_json
from daflow.core.data.clip_tables import FrameSize
from daflow.core.errors import CheckFailed
from daflow.core.shipped import bundle_or_default


@click.command(cls=Command)
@click.option(
    "--bundle",
    "given",
    type=FOLDER,
    help="The calibrated bundle.  [default: the model of the package, or your calibrated copy]",
)
@click.option(
    "--poses",
    type=FOLDER,
    required=True,
    multiple=True,
    help="Folder of pose tracks of normal behaviour that the bundle was neither trained nor calibrated on; "
    "folders in it are read too. May be repeated.",
)
@clips_option
@camera_option
@zones_option
@json_option("the result")
@frame_size_option
@fps_option
def check(
    given: Path | None, poses: tuple[Path, ...], clips: tuple[str, ...], camera: str | None,
    zones_file: Path | None, json_target: str | None, frame_size: FrameSize | None, fps: float | None,
) -> None:  # fmt: skip
    """Replay held-out normal recordings through the alarm and report the measured rate of false alarms.

    People are scored by the zones of the calibration, or by those of --zones.

    Fails with exit code 1 when so many false alarms are too unlikely (5 %) at the rate that the calibration expects.
    """
    bundle = read_bundle(bundle_or_default(given))
    alarm = calibration_of(bundle, camera)
    zones = read_zones(zones_file, camera) if zones_file else None
    if zones is not None and (misfit := alarm.misfit(zones)):
        logging.getLogger(__name__).warning("%s: calibrate with the same --zones", misfit)
    result = check_alarm(bundle, poses, alarm, fps, frame_size, clips, zones)
    if json_target:
        content = {**dataclasses.asdict(result), "promised": alarm.promised, "threshold": alarm.threshold,
                   "provisional": alarm.provisional}  # fmt: skip
        write_json(json_target, {**content, "camera": camera})
    summary = result.summary(alarm.promised)
    if json_target != "-":
        for line in _table(result, alarm.rule().threshold_text):
            click.echo(line)
        if not result.refuted:
            click.echo(summary)
    if result.refuted:
        raise CheckFailed(f"{summary}. Calibrate again on more recordings of what is normal there.")


def _table(result: FalseAlarmCheck, threshold: str) -> Iterator[str]:
    width = max(len(clip.clip) for clip in result.clips)
    yield f"{'clip':<{width}}  minutes  alarms  highest ({threshold})"
    for clip in result.clips:
        highest = "-" if clip.highest is None else f"{clip.highest:.3f}"
        yield f"{clip.clip:<{width}}  {clip.seconds / 60:7.2f}  {clip.alarms:6d}  {highest}"

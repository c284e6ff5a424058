"""`daflow evaluate --videos`: tracks as daflow-edge finds them, and the online (causal) evaluation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import numpy as np

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.rule import AlarmRule
from daflow.core.command_line import FILE, FOLDER, FiniteRange
from daflow.core.data.frame_masks import Labels
from daflow.core.errors import InputError
from daflow.evaluation.text import percent

if TYPE_CHECKING:
    from daflow.evaluation.alarms import AlarmEvaluation, CausalEvaluation

logger = logging.getLogger(__name__)

_RATES = (0, 1, 6, 20, 60)  # false alarms per hour

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


@dataclass(frozen=True)
class VideoOptions:
    """The options of `--videos`; None is not given.

    Attributes:
        tracks: the folder that keeps the pose tracks.
        people: whom to look for, `auto`, `one`, `few` or `many`.
        max_people: how many are found at most.
        estimator: what finds poses.
        pose_bundle: its networks.
        pose_model: MediaPipe's.
        threshold: of the alarm.
        workers: processes on this machine.
        offline: whether no pose model may be fetched.
    """

    tracks: Path | None
    people: str | None
    max_people: int | None
    estimator: str | None
    pose_bundle: Path | None
    pose_model: Path | None
    threshold: float | None
    workers: int | None
    offline: bool | None

    def require_none(self, alarms: bool) -> None:
        """Fail where one of them is given without `--videos`; a threshold also goes with `--alarms`.

        Raises:
            InputError: one is.
        """
        for name, value in vars(self).items():
            where = "--videos or --alarms" if name == "threshold" else "--videos"
            if value is not None and not (alarms and name == "threshold"):
                raise InputError(f"--{name.replace('_', '-')} needs {where}.")


_POSE_OPTIONS = ("people", "max_people", "estimator", "pose_bundle", "pose_model")
_OPTIONS = (
    click.option(
        "--tracks",
        type=FOLDER,
        help="With --videos: folder that keeps the pose tracks, so that a second evaluation is quick; tracks that "
        "'daflow poses' made of the same videos in the same way are used.",
    ),
    click.option(
        "--people",
        type=click.Choice(["auto", "one", "few", "many"]),
        help="With --videos: whom to look for, as with daflow-edge.  [default: auto]",
    ),
    click.option("--max-people", type=click.IntRange(1, 100), help="With --videos: as with daflow-edge."),
    click.option(
        "--estimator",
        help="With --videos: what finds poses: bundle, mediapipe or the name of a plug-in.  [default: the pose bundle "
        "where one is given or there, else mediapipe]",
    ),
    click.option(
        "--pose-bundle",
        type=FOLDER,
        help="With --videos: pose bundle of 'daflow-export pose'.  [default: pose.bundle among the fetched models]",
    ),
    click.option(
        "--pose-model",
        type=FILE,
        help="With --videos: MediaPipe pose model (.task).  [default: the one of 'daflow models fetch', "
        "which is fetched when it is missing]",
    ),
    click.option(
        "--threshold",
        type=FiniteRange(-1e9, 1e9),
        help="With --videos or --alarms: alarm threshold, in the unit of the model.  [default: the calibrated one of "
        "the bundle]",
    ),
    click.option(
        "--workers", type=click.IntRange(1), help="With --videos: processes.  [default: one for each core]"
    ),
    click.option(
        "--offline",
        is_flag=True,
        default=None,
        help="With --videos: fetch no pose model, but fail when it is missing.",
    ),
)


def video_options(command: _Decorated) -> _Decorated:
    """The options of `VideoOptions`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def alarm_rule(alarm: AlarmCalibration | None, threshold: float | None) -> AlarmRule | None:
    """Return the calibrated alarm, with another threshold if one is given; None when there is no threshold at all."""
    rule = alarm.rule() if alarm else None
    if threshold is None:
        if alarm and alarm.provisional:
            logger.warning("the alarm has a provisional threshold, %s", alarm.why_provisional)
        return rule
    return replace(
        rule or AlarmRule(threshold, threshold), threshold=threshold, release=threshold, provisional=False
    )


def track_videos(
    videos: Path,
    tracks: Path,
    labels: dict[str, Labels],
    options: VideoOptions,
    broken: list[str],
    fps: float | None = None,
) -> dict[str, float]:
    """Find the tracks of the labelled videos, fit `labels` to the videos, and return the frames per second by clip.

    Args:
        videos: the folder of the videos.
        tracks: the folder of the tracks.
        labels: by clip name.
        options: how people are found.
        broken: takes the message of each video that cannot be used.
        fps: frames per second of the videos; None is their own rate.

    Raises:
        InputError: no labelled video can be used, or there is no pose model and it cannot be fetched.
    """
    from runtime.batch.video_tracks import track_videos as find_tracks
    from runtime.commands.models import bring_pose_model

    people = {name: getattr(options, name) for name in _POSE_OPTIONS} | {"fps": fps}
    given = {name: value for name, value in people.items() if value is not None}
    bring_model = partial(bring_pose_model, bool(options.offline))
    found = find_tracks(videos, tracks, labels.__contains__, given, options.workers, bring_model)
    broken += found.failed.values()
    if found.kept:
        click.echo(f"{found.kept} of {len(found.fps)} clips already have their tracks", err=True)
    for name in sorted(set(labels) - set(found.fps)):
        if name not in found.failed:
            logger.warning("clip %s has no video and is skipped", name)
        del labels[name]
    if not labels:
        raise InputError(
            f"No recording of {videos} has labels; a clip has the name of its video, without the extension, or of its "
            "folder of images."
        )
    for name, mask in labels.items():
        frames = found.frames.get(name, len(mask))
        if len(mask) > frames:
            logger.warning("%d frames of %s are labelled, but its video has %d", len(mask), name, frames)
        labels[name] = np.pad(mask[:frames], (0, max(0, frames - len(mask))), constant_values=-1)
    return dict(found.fps)


def print_causal(causal: CausalEvaluation) -> None:
    """Print how well the scores separate the frames online, and what the alarm does."""
    micro, scored = causal.micro, causal.scored
    click.echo(
        f"online (causal) evaluation, each frame by what is known at that time: AUC {percent(micro.auc)}; "
        f"over the {scored.frames} of {micro.frames} frames in which somebody has a score: {percent(scored.auc)}"
    )
    click.echo(
        f"for comparison, the frame number alone: AUC {percent(causal.by_position.auc)}; over the frames with a score: "
        f"{percent(causal.scored_by_position.auc)}"
    )
    if causal.alarms is None:
        click.echo(
            "the alarm was not evaluated: there is no threshold (give --threshold, or a calibrated bundle)"
        )
    else:
        _print_alarms(causal.alarms)
    _print_curve(causal)


def _print_alarms(alarms: AlarmEvaluation) -> None:
    click.echo(f"{'clip':<24}{'abnormal from':>14}{'delay, s':>10}{'false alarms':>14}{'normal, s':>11}")
    for clip, found in alarms.clips.items():
        firsts = ", ".join(str(event.first) for event in found.events) or "-"
        delays = ", ".join(_delay(event.delay, event.on_before) for event in found.events) or "-"
        click.echo(f"{clip:<24}{firsts:>14}{delays:>10}{found.false_alarms:>14}{found.normal_seconds:>11.1f}")
    click.echo(str(alarms))


def _print_curve(causal: CausalEvaluation) -> None:
    """Print delay against false alarms, at the lowest thresholds that keep to some rates."""
    from daflow.evaluation.alarms import within_rate

    if not causal.curve:
        return
    click.echo("delay against false alarms, with thresholds chosen on these labels:")
    click.echo(
        f"{'false alarms per hour':<24}{'threshold':>14}{'alarms':>10}{'on before':>14}{'delay, s':>11}"
    )
    for per_hour in _RATES:
        point = within_rate(causal.curve, per_hour)
        if point:
            delay = "-" if point.median_delay is None else f"{point.median_delay:.2f}"
            click.echo(
                f"{f'{per_hour} at most':<24}{point.threshold:>14.3f}{point.events:>10}{point.on_before:>14}{delay:>11}"
            )


def _delay(delay: float | None, on_before: bool) -> str:
    if delay is None:
        return "none"
    return "on before" if on_before else f"{delay:.2f}"

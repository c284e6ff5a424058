"""The command `daflow-edge`: score a camera or a recording and raise alarms."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click

from daflow.bundle import Bundle, read_bundle
from daflow.command import FILE, FOLDER, Command, FiniteRange, version_option
from daflow.errors import InputError
from daflow.progress import track
from daflow.alarms import AlarmRule
from runtime.clock import StageClock
from runtime.people import MediaPipePoses, PeopleFinder
from runtime.pipeline import Edge, Sink, run
from runtime.scorers import PRECISIONS, SCORERS, open_scorer
from runtime.sinks import EventLog, ScoreLog
from runtime.sources import Frame, Source, open_source
from runtime.video import AnnotatedVideo

_LARGEST_SCORE = 1e9


def pose_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that finds people in pictures."""
    for option in (
        click.option(
            "--pose-model",
            type=FILE,
            help="MediaPipe pose model (.task).  [default: what 'daflow models fetch' brought]",
        ),
        click.option(
            "--max-people",
            default=1,
            type=click.IntRange(1, 20),
            help="People looked for in a picture; each one that is not there costs the time of a detection.",
        ),
    ):
        command = option(command)
    return command


@click.command(cls=Command)
@click.option(
    "--bundle",
    "folder",
    type=FOLDER,
    required=True,
    help="The bundle that daflow-export wrote and daflow-calibrate calibrated.",
)
@click.option(
    "--source",
    "uri",
    required=True,
    metavar="SRC",
    help="A video file, the number of a camera, tracks:FILE, or synthetic: (such as synthetic:seed=3,event=fall).",
)
@click.option("--scorer", type=click.Choice(SCORERS), default="onnxruntime", help="What runs the model.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    help="Which graph; auto is fp32 on onnxruntime and the engine's own on tensorrt.",
)
@click.option("--events", type=FILE, help="Append alarm events to this JSON lines file.")
@click.option("--scores", type=FILE, help="Append every frame's score to this CSV file.")
@click.option("--video", type=FILE, help="Write an annotated video (MP4) to this file.")
@click.option(
    "--threshold",
    type=FiniteRange(-1e9, 1e9),
    help="Alarm threshold in bits/dim.  [default: the calibrated one of the bundle]",
)
@click.option(
    "--release",
    type=FiniteRange(-1e9, 1e9),
    help="Score in bits/dim below which an alarm may end.  [default: the threshold]",
)
@click.option(
    "--begin-frames",
    default=3,
    type=click.IntRange(1),
    help="Frames in a row above the threshold that begin an alarm.",
)
@click.option(
    "--end-frames",
    default=12,
    type=click.IntRange(1),
    help="Frames in a row below the release that end it.",
)
@click.option("--max-frames", type=click.IntRange(1), help="Stop after so many frames.")
@pose_options
@version_option()
def main(
    folder: Path, uri: str, scorer: str, precision: str, events: Path | None, scores: Path | None,
    video: Path | None, threshold: float | None, release: float | None, begin_frames: int, end_frames: int,
    max_frames: int | None, max_people: int, pose_model: Path | None,
) -> None:  # fmt: skip
    """Score everybody in a source frame by frame, and raise an alarm when someone moves abnormally.

    Ctrl-C or SIGTERM ends the run with everything written.
    """
    bundle = read_bundle(folder)
    rule = alarm_rule(bundle, threshold, release, begin_frames, end_frames)
    clock = StageClock()
    with contextlib.ExitStack() as stack:
        stopped = stack.enter_context(_stop_signals())
        source = stack.enter_context(open_source(uri))
        finder = stack.enter_context(people_finder(uri, source, pose_model, max_people))
        opened = stack.enter_context(open_scorer(bundle, scorer, precision))
        edge = Edge(opened, finder, rule, bundle.manifest.window, bundle.manifest.max_missing, clock)
        log = stack.enter_context(EventLog(events, rule.threshold))
        sinks: list[Sink] = [log]
        if scores:
            sinks.append(stack.enter_context(ScoreLog(scores)))
        if video:
            sinks.append(stack.enter_context(AnnotatedVideo(video, source.fps, rule.threshold)))
        began = time.monotonic()
        frames = run(_Limited(source, max_frames), edge, sinks, clock, stopped)
        seconds = time.monotonic() - began
    unusable = f", {edge.unusable} windows could not be scored (NaN or no spread)" if edge.unusable else ""
    click.echo(
        f"{uri}: {frames} frames in {seconds:.1f} s ({frames / max(seconds, 1e-9):.0f} a second), "
        f"{log.alarms} alarms at threshold {rule.threshold:.3f}, {opened.name}{unusable}"
    )


def alarm_rule(
    bundle: Bundle,
    threshold: float | None,
    release: float | None,
    begin_frames: int,
    end_frames: int,
) -> AlarmRule:
    """Combine the options with the bundle's calibration.

    Raises:
        InputError: there is no threshold, or the release is above it.
    """
    if threshold is None:
        if bundle.manifest.alarm is None:
            raise InputError(
                f"{bundle.folder} has no alarm threshold: run 'daflow-calibrate alarm --bundle {bundle.folder} "
                "--poses DIR', or give --threshold."
            )
        threshold = bundle.manifest.alarm.threshold
    release = threshold if release is None else release
    if not abs(threshold) < _LARGEST_SCORE:
        raise InputError(
            f"The threshold {threshold:g} bits/dim is beyond any score, which are mostly below 100."
        )
    if not release <= threshold:
        raise InputError(f"--release {release:g} must not be above the threshold {threshold:g}.")
    return AlarmRule(threshold, release, begin_frames, end_frames)


def people_finder(uri: str, source: Source, pose_model: Path | None, max_people: int) -> PeopleFinder:
    """Return what finds the people of a source; recorded and generated sources need no pose model.

    Raises:
        InputError: a pose model is needed and none is there.
    """
    if uri.startswith(("tracks:", "synthetic:")):
        return PeopleFinder(None, source.fps)
    if pose_model is None:
        from runtime.pose_models import find_pose_model

        pose_model = find_pose_model()
    if pose_model is None:
        raise InputError("No pose model is here: run 'daflow models fetch', or give --pose-model FILE.")
    return PeopleFinder(MediaPipePoses(pose_model, max_people), source.fps)


class _Limited:
    """A source that ends after some frames and shows its progress."""

    def __init__(self, source: Source, max_frames: int | None) -> None:
        self._source = source
        self.fps = source.fps
        known = [n for n in (source.frames, max_frames) if n is not None]
        self.frames = min(known) if known else None
        self._max = max_frames

    def __iter__(self) -> Iterator[Frame]:
        for done, frame in enumerate(track(self._source, "frames", self.frames), start=1):
            yield frame
            if done == self._max:
                return

    def __enter__(self) -> _Limited:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a question that the loop asks after each frame."""
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        received.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    main()

"""Do so many cameras with people before them keep up with their frame rate, poses included?

    python -m benchmarks.paced_cameras --bundle bundle/ --pose-bundle pose.bundle/ --video people.avi

Every camera plays the video again and again as if it were live, each from another place on, since real cameras do not
see the same at once: so many of its frames per second, and late frames are dropped and counted. All cameras keep up
when their rate is the asked one and nothing is dropped.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click

from benchmarks.cameras import NEVER, run_for
from daflow.core.command_line import FILE, FOLDER, Command, FiniteRange, json_option, write_json
from daflow.core.errors import CheckFailed, InputError
from runtime.config.schema import Config
from runtime.service.service import Service
from runtime.sources.uri import open_source

_WARM_UP = 10.0  # seconds: networks are opened and everybody is found
_KEEPS_UP = 0.98  # of the rate


@contextmanager
def paced(video: Path, cameras: int, fps: float, seconds: float) -> Iterator[list[Path]]:
    """Give a folder of pictures for each camera: so many frames of a video a second, repeated.

    Raises:
        InputError: the video has fewer frames per second.
    """
    import cv2

    with tempfile.TemporaryDirectory(prefix="daflow-") as name, open_source(str(video)) as source:
        step = source.fps / fps
        if step < 1:
            raise InputError(
                f"{video} has {source.fps:g} frames per second, fewer than the {fps:g} of --fps."
            )
        folder = Path(name)
        kept: list[Path] = []
        for index, frame in enumerate(source):
            if index >= len(kept) * step:
                assert frame.image is not None
                kept.append(folder / f"{len(kept)}.jpg")
                cv2.imwrite(str(kept[-1]), frame.image[..., ::-1])
        folders = [folder / f"camera{number}" for number in range(cameras)]
        for number, frames in enumerate(folders):
            frames.mkdir()
            first = number * len(kept) // cameras
            for index, picture in enumerate(islice(cycle(kept), first, first + round(fps * seconds))):
                (frames / f"{index}.jpg").symlink_to(picture)
        yield folders


def keep_up(
    bundle: Path, pose_bundle: Path, folders: Sequence[Path], fps: float, seconds: float
) -> dict[str, Any]:
    """Return the rate of the slowest camera, the share of dropped frames, and the delay of a result in milliseconds."""
    cameras = {
        folder.name: {
            "source": str(folder), "fps": fps, "realtime": True, "policy": "latest", "pose_bundle": pose_bundle,
        }
        for folder in folders
    }  # fmt: skip
    config = Config.model_validate({
        "bundle": bundle, "cameras": cameras, "alarm": {"threshold": NEVER}, "log": {"level": "warning"},
    })  # fmt: skip
    with Service(config) as service:
        service.start()
        run_for(service, _WARM_UP)
        before, dropped, began = _counts(service, "frames"), _counts(service, "dropped"), time.monotonic()
        processor = time.process_time()
        run_for(service, seconds)
        passed, processor = time.monotonic() - began, time.process_time() - processor
        frame_counts = [now - then for now, then in zip(_counts(service, "frames"), before, strict=True)]
        lost = sum(_counts(service, "dropped")) - sum(dropped)
        delay = service.health()["stages"]["delay"]
    return {
        "cameras": len(cameras), "frames_per_second": fps, "slowest_camera": min(frame_counts) / passed,
        "dropped": lost / max(lost + sum(frame_counts), 1), "delay_p50_ms": delay["p50_ms"],
        "delay_p99_ms": delay["p99_ms"], "cores": processor / passed,
    }  # fmt: skip


def _counts(service: Service, fact: str) -> Sequence[int]:
    return [facts[fact] for facts in service.health()["cameras"].values()]


@click.command(cls=Command)
@click.option("--bundle", type=FOLDER, required=True, help="The bundle to run.")
@click.option("--pose-bundle", type=FOLDER, required=True, help="The pose bundle that finds the people.")
@click.option("--video", type=FILE, required=True, help="What every camera sees, repeated.")
@click.option("--cameras", default=8, type=click.IntRange(1, 256), help="Cameras side by side.")
@click.option("--fps", default=5.0, type=FiniteRange(0.1), help="Frames per second of each camera.")
@click.option("--seconds", default=60.0, type=FiniteRange(1), help="How long to measure, after 10 s.")
@json_option("the figures")
def main(
    bundle: Path,
    pose_bundle: Path,
    video: Path,
    cameras: int,
    fps: float,
    seconds: float,
    json_target: str | None,
) -> None:
    """Measure whether many cameras with people keep up with their frame rate; the exit code is 1 when they do not."""
    with paced(video, cameras, fps, seconds + 2 * _WARM_UP) as folders:
        found = keep_up(bundle, pose_bundle, folders, fps, seconds)
    if json_target:
        write_json(json_target, found)
    if json_target != "-":
        click.echo(
            f"{cameras} cameras at {fps:g} frames per second: the slowest has {found['slowest_camera']:.2f}, "
            f"{100 * found['dropped']:.2f} % of the frames were dropped, a result came after "
            f"{found['delay_p50_ms']:.0f} ms (p99 {found['delay_p99_ms']:.0f} ms), {found['cores']:.2f} cores were busy"
        )
    if found["slowest_camera"] < _KEEPS_UP * fps or found["dropped"] > 1 - _KEEPS_UP:
        raise CheckFailed("The cameras do not keep up.")


if __name__ == "__main__":
    main()

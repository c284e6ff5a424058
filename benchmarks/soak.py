"""Does memory grow over time? Synthetic people come and go at full speed while memory, threads and events are watched.

    python -m benchmarks.soak --bundle bundle/ [--frames 500000] [--cameras 4]

The whole service runs: several cameras, one scorer, alarms that begin and end, the event store with a small limit, a
JSON lines delivery and the live page with a reader. It prints the resident memory of each tenth of the
run, and exits with 1 when the last tenth has over 5 % more than the second, or threads or stored events grew.
"""

from __future__ import annotations

import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from daflow.core.command_line import FOLDER, Command, json_option, write_json
from daflow.core.errors import CheckFailed
from runtime.config.schema import Config
from runtime.machine.board import memory_mb
from runtime.service.service import Service

_KEPT_MESSAGES = 200
_MAX_GROWTH = 0.05


@dataclass(frozen=True)
class Tenth:
    """A tenth of the run: median resident memory in MB, most threads, messages in the store, frames per second."""

    memory_mb: float
    threads: int
    messages: int
    frames_per_second: float


def soak(bundle: Path, frames: int, cameras: int, folder: Path) -> list[Tenth]:
    """Run so many frames, of all cameras together, and return what each tenth of the run was like."""
    each = -(-frames // cameras)
    config = Config.model_validate({
        "bundle": bundle,
        "cameras": {
            f"camera{number}": {
                "source": f"synthetic:frames={each},people={1 + number % 4},seed={number},"
                f"event={'fall' if number % 2 else 'none'}"
            }
            for number in range(cameras)
        },
        "events": folder / "events.jsonl",
        "store": {"path": folder / "events.db", "keep_messages": _KEPT_MESSAGES},
        "serve": {"address": "127.0.0.1:0"},
        "log": {"level": "warning"},
    })  # fmt: skip
    with Service(config) as service:
        runner = threading.Thread(target=service.run, name="soak")
        runner.start()
        tenths = list(_watch(service, each * cameras, runner))
        runner.join()
    return tenths


def _watch(service: Service, frames: int, runner: threading.Thread) -> Iterator[Tenth]:
    began, done = time.monotonic(), 0
    memory: list[float] = []
    threads = 0
    for tenth in range(1, 11):
        while (now := _frames(service)) < frames * tenth / 10 and runner.is_alive():
            time.sleep(0.1)
            memory.append(memory_mb() or 0.0)
            threads = max(threads, threading.active_count())
            if len(memory) % 20 == 0:
                _visit(service)
        seconds = max(time.monotonic() - began, 1e-9)
        median = sorted(memory)[len(memory) // 2] if memory else memory_mb() or 0.0
        yield Tenth(round(median, 2), threads, service.store.count(), round((now - done) / seconds, 1))
        began, done, memory, threads = time.monotonic(), now, [], 0


def _frames(service: Service) -> int:
    return sum(int(facts["frames"]) for facts in service.health()["cameras"].values())


def _visit(service: Service) -> None:
    """Look at the page's data and the metrics, as a visitor and Prometheus do."""
    for path in ("api/health", "metrics", "api/alarms?limit=20"):
        urllib.request.urlopen(f"{service.url}{path}", timeout=10).read()  # noqa: S310  our own server


def growth(tenths: list[Tenth]) -> list[str]:
    """Say what grew: the last tenth against the second."""
    second, last = tenths[1], tenths[-1]
    found = []
    if last.memory_mb > (1 + _MAX_GROWTH) * second.memory_mb:
        found.append(f"memory grew from {second.memory_mb} to {last.memory_mb} MB")
    if last.threads > second.threads:
        found.append(f"threads grew from {second.threads} to {last.threads}")
    if last.messages > 2 * _KEPT_MESSAGES:
        found.append(f"the store holds {last.messages} messages")
    return found


@click.command(cls=Command)
@click.option("--bundle", type=FOLDER, required=True, help="The bundle to run.")
@click.option("--frames", default=500_000, type=click.IntRange(1000), help="Frames of all cameras together.")
@click.option("--cameras", default=4, type=click.IntRange(1, 64), help="Cameras side by side.")
@json_option("the tenths")
def main(bundle: Path, frames: int, cameras: int, json_target: str | None) -> None:
    """Run the edge for long at full speed and see whether anything grows."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tenths = soak(bundle, frames, cameras, Path(folder))
    seconds = time.monotonic() - began
    if json_target:
        write_json(json_target, {"seconds": seconds, "tenths": [vars(tenth) for tenth in tenths]})
    if json_target != "-":
        click.echo(f"{frames} frames of {cameras} cameras in {seconds:.0f} s")
        click.echo(f"{'tenth':>5}{'memory, MB':>12}{'threads':>9}{'messages':>10}{'frames/s':>10}")
        for number, tenth in enumerate(tenths, start=1):
            click.echo(
                f"{number:>5}{tenth.memory_mb:>12.1f}{tenth.threads:>9}{tenth.messages:>10}"
                f"{tenth.frames_per_second:>10.0f}"
            )
    if found := growth(tenths):
        raise CheckFailed(f"Something grew: {', '.join(found)}.")


if __name__ == "__main__":
    main()

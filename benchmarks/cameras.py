"""How many frames per second can many cameras have, without pose estimation?

    python -m benchmarks.cameras --bundle bundle/ [--cameras 16] [--people 4] [--seconds 20]

Synthetic cameras run side by side in one process at full speed, as `daflow-edge` runs them; the rate of one camera
alone is measured before and after in the same run, as the baseline.
"""

from __future__ import annotations

import time
from pathlib import Path

import click

from daflow.core.command_line import FOLDER, Command, FiniteRange, json_option, write_json
from runtime.config.schema import Config
from runtime.service.service import Service

NEVER = 1e6
"""A threshold in bits/dim that no score reaches: alarms are not what is measured."""

_WARM_UP = 3500  # frames of each camera: the generator makes its people in the first 3,000


def rate(bundle: Path, cameras: int, people: int, seconds: float) -> dict[str, float]:
    """Return frames per second of all cameras together, of the slowest, and the p99 of a batch in milliseconds."""
    sources = {
        f"camera{number}": {"source": f"synthetic:frames=0,people={people},seed={number},event=none"}
        for number in range(cameras)
    }
    config = Config.model_validate({
        "bundle": bundle, "cameras": sources, "alarm": {"threshold": NEVER}, "log": {"level": "warning"},
    })  # fmt: skip
    with Service(config) as service:
        service.start()
        while min(_frames(service).values()) < _WARM_UP:
            service.supervise(0.2)
        before, began = _frames(service), time.monotonic()
        run_for(service, seconds)
        after, passed = _frames(service), time.monotonic() - began
        p99 = service.health()["stages"]["score"]["p99_ms"]
    each = [(after[name] - before[name]) / passed for name in after]
    return {"frames_per_second": sum(each), "slowest_camera": min(each), "score_p99_ms": p99}


def run_for(service: Service, seconds: float) -> None:
    """Let the service run for so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        service.supervise(0.2)


def _frames(service: Service) -> dict[str, int]:
    return {name: facts["frames"] for name, facts in service.health()["cameras"].items()}


@click.command(cls=Command)
@click.option("--bundle", type=FOLDER, required=True, help="The bundle to run.")
@click.option("--cameras", default=16, type=click.IntRange(1, 256), help="Cameras side by side.")
@click.option("--people", default=4, type=click.IntRange(1, 100), help="People before each camera.")
@click.option("--seconds", default=20.0, type=FiniteRange(1), help="How long to measure.")
@json_option("the figures")
def main(bundle: Path, cameras: int, people: int, seconds: float, json_target: str | None) -> None:
    """Measure the sustained rate of many cameras in one process against one alone."""
    alone = rate(bundle, 1, people, seconds / 2)["frames_per_second"]
    many = rate(bundle, cameras, people, seconds)
    alone = (alone + rate(bundle, 1, people, seconds / 2)["frames_per_second"]) / 2
    ratio = many["frames_per_second"] / alone
    if json_target:
        write_json(
            json_target, {"cameras": cameras, "people": people, "alone": alone, "ratio": ratio, **many}
        )
    if json_target != "-":
        total = many["frames_per_second"]
        click.echo(
            f"{cameras} cameras with {people} people: {total:.0f} frames per second in all, {total / cameras:.0f} for "
            f"each ({many['slowest_camera']:.0f} for the slowest), {total * people:.0f} person-frames; one camera "
            f"alone {alone:.0f}, ratio {ratio:.2f}"
        )


if __name__ == "__main__":
    main()

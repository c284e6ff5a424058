"""What the edge must keep to on two processor cores, each with its target, what was measured, and the verdict."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.edge import EdgeCost
from benchmarks.material import Material, command, run
from benchmarks.timing import Effort, Spread, turns
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import find_tracks, write_clips
from daflow.core.data.windows import LENGTH
from daflow.core.errors import CheckFailed

_CROWD = 8
_IMPORT = "import time; t = time.perf_counter(); import runtime.cli; print(time.perf_counter() - t)"


@dataclass(frozen=True)
class Target:
    """A target and what was measured.

    Attributes:
        name: of what is measured.
        unit: of target and figure.
        target: the bound.
        at_least: whether the figure must be above it, else below.
        measured: the figure over the rounds.
        how: how it was measured.
    """

    name: str
    unit: str
    target: float
    at_least: bool
    measured: Spread
    how: str

    @property
    def met(self) -> bool:
        """Whether the median keeps to the target."""
        return self.measured.median >= self.target if self.at_least else self.measured.median <= self.target

    @property
    def sure(self) -> bool:
        """Whether the quartiles lie on the same side of the target as the median."""
        return not self.measured.low < self.target < self.measured.high

    @property
    def used(self) -> float:
        """What share of the allowance is used: above 1 the target is missed."""
        figure = max(self.measured.median, 1e-12)
        return self.target / figure if self.at_least else figure / self.target


@dataclass(frozen=True)
class _Ran:
    """A run of `daflow-edge`: seconds from the start of the process to its end, and its largest resident memory."""

    seconds: float
    memory_mb: float


def measure(material: Material, effort: Effort, edge: EdgeCost | None) -> list[Target]:
    """Measure each; the overhead beside pose estimation is taken from `edge`, if that was measured."""
    poses, frames = (2_000, 500) if effort.quick else (40_000, 10_000)
    memory: list[float] = []
    reading: list[float] = []

    def recorded(file: Path, count: int) -> float:
        ran = _run_edge(material.bundle, f"tracks:{file}")
        reading.append(ran.memory_mb)
        return count / ran.seconds

    def generated() -> float:
        ran = _run_edge(material.bundle, f"synthetic:frames={frames},people=3,event=fall,seed=1")
        memory.append(ran.memory_mb)
        return ran.seconds

    alone, alone_poses = _tracks(material.folder / "alone", poses, 1)
    crowd, crowd_poses = _tracks(material.folder / "crowd", poses, _CROWD)
    short, _ = _tracks(material.folder / "short", 4 * LENGTH, 1)
    forms: dict[str, Callable[[], float]] = {
        "import": _import_seconds,
        "first score": lambda: (
            _run_edge(material.bundle, f"tracks:{short}", "--max-frames", LENGTH + 1).seconds
        ),
        "alone": functools.partial(recorded, alone, alone_poses),
        "crowd": functools.partial(recorded, crowd, crowd_poses),
        "generated": generated,
    }
    timed = {name: Spread.of(row) for name, row in turns(forms, effort.rounds, "targets").items()}
    how = "`daflow-edge --source tracks:`, {:,} person-frames, from the start of the process to its end"
    targets = [
        Target("one person before the camera", "person-frames/s", 5000, True, timed["alone"], how.format(alone_poses)),
        Target(
            f"{_CROWD} people before the camera", "person-frames/s", 5000, True, timed["crowd"], how.format(crowd_poses)
        ),
        Target("importing the edge", "s", 0.4, False, timed["import"], "`import runtime.cli` in a new process"),
        Target(
            "start to first score", "s", 2, False, timed["first score"],
            f"`daflow-edge --max-frames {LENGTH + 1}`, from the start of the process to its end",
        ),
        Target(
            "resident memory without pose estimation", "MB", 150, False, Spread.of(memory),
            f"the most that `daflow-edge --source synthetic:` takes in {frames:,} frames with three people; with the "
            f"files of the first two lines, which are read whole, it is {min(reading):.0f} to {max(reading):.0f}",
        ),
        _allocations(material, effort),
    ]  # fmt: skip
    if edge is not None:
        in_percent = Spread(*(100 * value for value in vars(edge.wall_overhead).values()))
        targets.append(
            Target(
                "overhead around the pose estimator, one person", "%", 4, False, in_percent,
                "time of a frame, whole edge against pose-only loop, paired by rounds",
            )
        )  # fmt: skip
    return targets


def _tracks(folder: Path, poses: int, people: int) -> tuple[Path, int]:
    """Write tracks of about so many poses; return the file and how many there are."""
    clip, _ = generate_clip("01_0001", 3, Scene(frames=poses // people, people=people))
    write_clips(folder, [clip])
    (file,) = find_tracks(folder)
    return file.path, clip.poses


def _run_edge(bundle: Path, source: str, *options: object) -> _Ran:
    """Run the real command and look at its memory while it runs."""
    words = command("runtime.cli", "--bundle", bundle, "--source", source, *options)
    most, began = 0.0, time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while True:
            most = max(most, _peak_mb(process.pid))
            try:
                said, _ = process.communicate(timeout=0.01)
                break
            except subprocess.TimeoutExpired:
                continue
    seconds = time.perf_counter() - began
    if process.returncode:
        raise CheckFailed(
            f"daflow-edge failed: {said.strip().splitlines()[-1] if said else 'it said nothing'}"
        )
    return _Ran(seconds, most)


def _peak_mb(process: int) -> float:
    """Return the most memory that a process has had, in MB; 0 once it is over, or where /proc is not there."""
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    peak = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(peak[1]) * 1024 / 1e6 if peak else 0.0


def _import_seconds() -> float:
    done = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True)
    return float(done.stdout)


def _allocations(material: Material, effort: Effort) -> Target:
    looks = (2000, 4000) if effort.quick else (2000, 10_000)
    words = ("--bundle", material.bundle, "--first", looks[0], "--last", looks[1])
    before, after = json.loads(run("benchmarks.allocations", *words))
    growth = (after - before) / (looks[1] - looks[0])
    how = (
        f"tracemalloc: {before:,} bytes after {looks[0]:,} frames with three people who come and go, {after:,} after "
        f"{looks[1]:,}"
    )
    return Target(
        "memory that stays allocated", "bytes a frame", 1, False, Spread(growth, growth, growth), how
    )

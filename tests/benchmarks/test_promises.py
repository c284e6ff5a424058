"""Promised against came: how thresholds are chosen on one half and counted on the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import promises
from benchmarks.promises import METHODS, PER_HOUR, main, split
from daflow.core.alarms.replay import Signal, make_signal
from daflow.core.errors import InputError

FPS = 10.0


def recordings(seed: int, count: int, seconds: float = 120.0) -> list[Signal]:
    """Recordings of four cameras; one person each, whose scores are smooth noise."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        noise = np.convolve(rng.normal(size=int(seconds * FPS) + 9), np.ones(10) / np.sqrt(10), "valid")
        frames = [{1: float(score)} for score in noise]
        found.append(make_signal(f"{number % 4:02d}_{number:04d}", frames, FPS, promises.RULE))
    return found


@pytest.mark.parametrize("method", [name for name in METHODS if name != "e-detector, its bound from theory"])
def test_a_rate_comes_on_average(method: str) -> None:
    signals = recordings(1, 60)
    choose = METHODS[method]
    rng = np.random.default_rng(2)
    ratios = []
    for _ in range(4):
        chosen_on, counted_on = split(signals, False, rng)
        ratios.append(choose(chosen_on, 60.0)(counted_on) / promises.hours(counted_on) / 60.0)
    assert 0.6 < np.mean(ratios) < 1.6


def test_an_e_detector_keeps_its_bound() -> None:
    # Levels two seconds apart are independent here, so that no more alarms come than the bound allows.
    chosen_on, counted_on = recordings(3, 60), recordings(4, 60)
    came = METHODS["e-detector, its bound from theory"](chosen_on, 60.0)(counted_on)
    assert 0 < came <= 60.0 * promises.hours(counted_on)


def test_halves_hold_whole_cameras_and_everything_once() -> None:
    signals = recordings(5, 12, seconds=5.0)
    first, second = split(signals, True, np.random.default_rng(0))
    cameras = [{promises.camera_of(signal.name) for signal in half} for half in (first, second)]
    assert not cameras[0] & cameras[1]
    assert sorted(s.name for s in first + second) == sorted(s.name for s in signals)
    with pytest.raises(InputError, match="two cameras or more"):
        split(signals[:1], True, np.random.default_rng(0))


def test_the_table_has_every_method_and_rate(exported: Path, dataset: Path, tmp_path: Path) -> None:
    target = tmp_path / "promises.md"
    arguments = ["--bundle", exported, "--poses", dataset / "train", "--splits", "2", "-o", target]
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    rows = target.read_text().splitlines()[2:]
    assert len(rows) % (len(METHODS) * len(PER_HOUR)) == 0
    assert len(rows) > 0

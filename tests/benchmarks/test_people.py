"""The benchmark of people found: its counts, and its answer when there is nothing to measure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import people
from benchmarks.people import SETS, Counts, Seconds, Walked, has_data, main
from runtime.sources.frames import Frame, Keypoints


def test_who_is_hidden_counts_neither_as_missed_nor_as_false() -> None:
    drawn = np.array(
        [[0, 0, 10, 30, 0], [20, 0, 30, 30, 0], [40, 0, 50, 30, 1], [60, 0, 70, 30, 1]], np.float32
    )
    found = np.array([[1, 1, 11, 31], [41, 0, 51, 30], [200, 0, 210, 30]], np.float32)
    counts = Counts()
    counts.add(drawn, found)
    assert (counts.right, counts.missed, counts.false) == (1, 1, 1)
    assert (counts.recall, counts.precision) == (0.5, 0.5)


def test_an_id_that_comes_back_changes_twice_and_a_gap_is_no_change() -> None:
    walked = Walked({"a": [1, None, 1, 2, 1], "b": [3, 3, 3, 3, None]})
    assert (walked.switches("a"), walked.switches("b"), walked.all_switches) == (2, 0, 2)
    assert walked.recall == 0.8


class Slow:
    """An estimator with a network, whose clock is turned by hand."""

    def __init__(self, seconds: Seconds) -> None:
        self.now, self.seconds = 0.0, seconds

    def estimate(self, frame: Frame) -> Keypoints:
        self.now += 0.05
        self.seconds.add("pose", 0.03)
        return np.zeros((0, 17, 3), np.float32)

    def close(self) -> None:
        """Nothing to release."""


def test_the_time_around_the_networks_is_that_of_the_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = Seconds()
    slow = Slow(seconds)
    monkeypatch.setattr(people.time, "perf_counter", lambda: slow.now)
    estimator = people._TimedEstimator(slow, "crop", seconds, slow.close)
    before = replace(seconds)
    for index in range(4):
        estimator.estimate(Frame(index, 0.0, (640, 480)))
    assert seconds.since(before).per_frame() == pytest.approx(
        {"detect": 0, "crop": 20, "pose": 30, "track": 0}
    )


def test_every_set_is_of_the_shared_data(shared: Path) -> None:
    assert all(has_data(name, shared / "data") for name in SETS)


def test_with_nothing_to_measure_it_says_what_to_give(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--data", str(tmp_path)])
    assert result.exit_code == 2
    assert "give --pose-bundle or --pose-model" in result.stderr
    assert not any(has_data(name, tmp_path) for name in SETS)

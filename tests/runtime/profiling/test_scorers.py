from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from daflow.core.bundle import Bundle
from runtime.profiling.run import doubts, engine_seconds
from runtime.profiling.scorers import Candidate, bottleneck, measure, open_candidates


class Counting:
    """A scorer that notes the order of its calls, and tells the phases of a call."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self._log = name, log

    def score(self, poses: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self._log.append(f"{self.name} {len(poses)}")
        return np.zeros(len(poses), dtype=np.float32)

    def phases(self, poses: npt.NDArray[np.float32]) -> dict[str, float]:
        return {"to_device": 1e-6, "compute": 5e-6, "to_host": 2e-6}

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_scorers_take_turns_and_another_begins_each_round() -> None:
    log: list[str] = []
    candidates = [Candidate(Counting(name, log), 0.01, "fp32") for name in ("a", "b")]
    found = measure(candidates, 24, (1, 2), 1e-6, 4)
    turns = [entry for number, entry in enumerate(log) if number == 0 or entry != log[number - 1]]
    whole = ["a 1", "b 1", "a 2", "b 2"]
    assert turns[:4] == whole  # the warm-up
    assert turns[4:8] == whole
    assert turns[8:12] == ["b 1", "a 2", "b 2", "a 1"]
    assert found["scorers"]["a"]["open_ms"] == pytest.approx(10)
    for row in found["scorers"]["b"]["batches"].values():
        assert len(row["call"]["rounds_ms"]) == 4
        assert row["compute"]["p50_ms"] == pytest.approx(0.005)
    assert len(found["yardstick"]["rounds_ms"]) == 4


def row(milliseconds: float, **phases: float) -> dict[str, Any]:
    names = ("to_device", "compute", "to_host")
    return {
        "call": {"p50_ms": milliseconds, "rounds_ms": [milliseconds]},
        **{name: {"p50_ms": phases[name]} if phases else None for name in names},
    }


def test_the_bottleneck_is_told_from_the_sizes() -> None:
    fixed = bottleneck({"1": row(0.11), "8": row(0.18), "32": row(0.42)})
    assert "91 % of a call with 1 window is there whatever their number" in fixed
    assert "each further window adds 10 us" in fixed
    assert "each takes 100 us" in bottleneck({"1": row(0.11), "8": row(0.81), "32": row(3.21)})
    assert "measure several" in bottleneck({"1": row(0.1)})


@pytest.mark.parametrize(
    ("phases", "words"),
    [
        ({"to_device": 0.01, "compute": 0.06, "to_host": 0.01}, "computing takes 0.060 of the 0.100 ms"),
        ({"to_device": 0.05, "compute": 0.02, "to_host": 0.01}, "copying to the GPU takes 0.050"),
        ({"to_device": 0.01, "compute": 0.02, "to_host": 0.01}, "Python and launching takes 0.060"),
    ],
)
def test_the_bottleneck_is_told_from_the_phases(phases: dict[str, float], words: str) -> None:
    assert words in bottleneck({"1": row(0.1, **phases)})


def test_every_scorer_that_runs_here_is_opened_and_the_others_are_named(bundle: Bundle) -> None:
    left_out: list[str] = []
    with open_candidates(bundle, (), (), left_out) as candidates:
        assert [candidate.scorer.name for candidate in candidates][:1] == ["onnxruntime fp32"]
        assert all(candidate.opened > 0 for candidate in candidates)
    left_out.clear()
    with open_candidates(bundle, ("onnxruntime", "tensorrt"), ("fp32",), left_out) as candidates:
        assert len(candidates) + len(left_out) == 2


def profile(rounds: list[float], **cost: Any) -> dict[str, Any]:
    batches = {"1": {"call": {"rounds_ms": rounds}}}
    return {
        "scorer_alone": {"scorers": {"onnxruntime fp32": {"batches": batches}}},
        "cost": {"throttled": None, "clock_mhz": None, **cost},
    }


def test_what_speaks_against_the_figures_is_said() -> None:
    assert doubts(profile([1.0, 1.01, 1.0, 1.02])) == []
    (spread,) = doubts(profile([1.0, 1.5, 1.0, 1.5]))
    assert "The rounds differ by 40 % (onnxruntime fp32 with 1 window" in spread
    assert "taskset" in spread
    hot, moved = doubts(profile([1.0], throttled=3, clock_mhz=[900.0, 1500.0]))
    assert "3 times because of heat" in hot
    assert "from 900 to 1500 MHz" in moved


def test_a_bundle_without_engines_has_no_build_times(bundle: Bundle) -> None:
    assert engine_seconds(bundle.folder) == {}

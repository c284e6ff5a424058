from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from daflow.core.bundle import Bundle
from daflow.core.evidence import Scored
from runtime.profiling.profile import BatchTiming, Profile, ScorerComparison, ScorerTiming
from runtime.profiling.run import engine_seconds, measurement_advice
from runtime.profiling.scorers import (
    Candidate,
    find_bottleneck,
    measure_scorers,
    open_candidates,
    scorers_of_this_machine,
)
from runtime.profiling.statistics import Timing, summarize


class Counting:
    """A scorer that records the order of its calls, and reports the phases of a call."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self._log = name, log

    def score(self, poses: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self._log.append(f"{self.name} {len(poses)}")
        return np.zeros(len(poses), dtype=np.float32)

    def judge(self, poses: npt.NDArray[np.float32]) -> Scored:
        return Scored(self.score(poses))

    def phases(self, poses: npt.NDArray[np.float32]) -> dict[str, float]:
        return {"to_device": 1e-6, "compute": 5e-6, "to_host": 2e-6}

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_scorers_take_turns_and_another_begins_each_round() -> None:
    log: list[str] = []
    candidates = [Candidate(Counting(name, log), 0.01, "fp32") for name in ("a", "b")]
    found = measure_scorers(candidates, 24, (1, 2), 1e-6, 4, baseline="b")
    turns = [entry for number, entry in enumerate(log) if number == 0 or entry != log[number - 1]]
    whole = ["a 1", "b 1", "a 2", "b 2"]
    assert turns[:4] == whole  # the warm-up
    assert turns[4:8] == whole
    assert turns[8:12] == ["b 1", "a 2", "b 2", "a 1"]
    assert found.scorers["a"].open_ms == pytest.approx(10)
    for size, batch in found.scorers["a"].batches.items():
        baseline = found.scorers["b"].batches[size]
        assert len(batch.call.rounds_ms) == 4
        assert batch.compute
        assert batch.compute.p50_ms == pytest.approx(0.005)
        assert batch.ratio == pytest.approx(batch.call.p50_ms / baseline.call.p50_ms)
        assert batch.windows_per_second == pytest.approx(1000 * size / batch.call.p50_ms)
    assert len(found.reference_workload.rounds_ms) == 4


def row(milliseconds: float, **phases: float) -> BatchTiming:
    def timing(value: float | None) -> Timing | None:
        return None if value is None else summarize([[value / 1000]])

    return BatchTiming(
        call=summarize([[milliseconds / 1000]]), to_device=timing(phases.get("to_device")),
        compute=timing(phases.get("compute")), to_host=timing(phases.get("to_host")), windows_per_second=1.0, ratio=1.0,
    )  # fmt: skip


def test_the_bottleneck_follows_from_the_sizes() -> None:
    fixed = find_bottleneck({1: row(0.11), 8: row(0.18), 32: row(0.42)})
    assert "which is 91 % of a call with 1 window" in fixed
    assert "each further window adds 10 us" in fixed
    assert "each takes 100 us" in find_bottleneck({1: row(0.11), 8: row(0.81), 32: row(3.21)})
    assert "measure several" in find_bottleneck({1: row(0.1)})


@pytest.mark.parametrize(
    ("phases", "words"),
    [
        ({"to_device": 0.01, "compute": 0.06, "to_host": 0.01}, "computing takes 0.060 of the 0.100 ms"),
        ({"to_device": 0.05, "compute": 0.02, "to_host": 0.01}, "copying to the GPU takes 0.050"),
        ({"to_device": 0.01, "compute": 0.02, "to_host": 0.01}, "Python and launching takes 0.060"),
    ],
)
def test_the_bottleneck_follows_from_the_phases(phases: dict[str, float], words: str) -> None:
    assert words in find_bottleneck({1: row(0.1, **phases)})


def test_every_scorer_that_runs_here_is_opened_and_the_others_are_named(bundle: Bundle) -> None:
    skipped: list[str] = []
    with open_candidates(bundle, scorers_of_this_machine(skipped), (), skipped) as candidates:
        assert [candidate.scorer.name for candidate in candidates][:1] == ["onnxruntime fp32"]
        assert all(candidate.opened > 0 for candidate in candidates)
    skipped.clear()
    with open_candidates(bundle, ("onnxruntime", "tensorrt"), ("fp32",), skipped) as candidates:
        assert len(candidates) + len(skipped) == 2


def advice(old_profile: Profile, rounds: list[float], **cost: Any) -> list[str]:
    call = row(1.0).call.model_copy(update={"rounds_ms": rounds})
    batch = row(1.0).model_copy(update={"call": call})
    scorer = ScorerTiming(open_ms=1.0, precision="fp32", batches={1: batch}, bottleneck="")
    scorers = ScorerComparison(reference_workload=call, scorers={"onnxruntime fp32": scorer})
    return measurement_advice(scorers, old_profile.cost.model_copy(update=cost))


def test_a_noisy_measurement_has_advice(old_profile: Profile) -> None:
    assert advice(old_profile, [1.0, 1.01, 1.0, 1.02]) == []
    (spread,) = advice(old_profile, [1.0, 1.5, 1.0, 1.5])
    assert "The rounds differ by 40 % (onnxruntime fp32 with 1 window" in spread
    assert "taskset" in spread
    hot, varied = advice(old_profile, [1.0], throttled=3, clock_mhz=(900.0, 1500.0))
    assert "3 times because of heat" in hot
    assert "from 900 to 1500 MHz" in varied


def test_a_bundle_without_engines_has_no_build_times(bundle: Bundle) -> None:
    assert engine_seconds(bundle.folder) == {}

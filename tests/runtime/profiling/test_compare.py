from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result

from daflow.core.bundle import Bundle
from daflow.core.errors import InputError
from daflow.core.scoring.onnx import OnnxScorer
from runtime.profiling import main
from runtime.profiling.compare import Change, compare, read_profile
from runtime.profiling.scorers import Candidate, measure

Make = Callable[..., dict[str, Any]]

STEADY = [1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 0.99, 1.0]
YARDSTICK = [0.1, 0.101, 0.099, 0.1, 0.1, 0.1, 0.1, 0.101, 0.099, 0.1]


def times(factor: float, rounds: list[float]) -> list[float]:
    return [factor * value for value in rounds]


def only(before: dict[str, Any], after: dict[str, Any], tolerance: float = 0.1) -> Change:
    (change,) = compare(before, after, tolerance)
    return change


def test_a_slower_scorer_is_slower_and_a_faster_one_faster(make_profile: Make) -> None:
    before = make_profile(STEADY, YARDSTICK)
    slower = only(before, make_profile(times(1.3, STEADY), YARDSTICK))
    assert slower.state == "slower"
    assert slower.ratio == pytest.approx(1.3)
    assert slower.steady_ratio == pytest.approx(1.3, rel=0.02)
    assert only(before, make_profile(times(0.7, STEADY), YARDSTICK)).state == "faster"
    assert only(before, before).state == "same"


def test_what_is_within_the_tolerance_is_the_same(make_profile: Make) -> None:
    before, after = make_profile(STEADY, YARDSTICK), make_profile(times(1.3, STEADY), YARDSTICK)
    assert only(before, after, tolerance=0.4).state == "same"
    assert only(before, make_profile(times(1.05, STEADY), YARDSTICK)).state == "same"


def test_rounds_that_overlap_are_noise(make_profile: Make) -> None:
    wild = [0.7, 1.9, 0.8, 1.8, 1.4, 1.3, 1.5, 0.9, 1.6, 1.3]
    change = only(make_profile(STEADY, YARDSTICK), make_profile(wild, YARDSTICK))
    assert change.overlap is False or change.state == "within noise"
    both = only(make_profile(wild, YARDSTICK), make_profile(times(1.25, wild), YARDSTICK))
    assert both.overlap
    assert both.state == "within noise"


def test_a_machine_that_was_slower_as_a_whole_is_no_regression(make_profile: Make) -> None:
    before = make_profile(STEADY, YARDSTICK)
    after = make_profile(times(1.5, STEADY), times(1.5, YARDSTICK))
    change = only(before, after)
    assert change.ratio == pytest.approx(1.5)
    assert change.steady_ratio == pytest.approx(1.0, rel=0.02)
    assert change.state == "within noise"


def test_few_rounds_prove_nothing(make_profile: Make) -> None:
    before, after = make_profile(STEADY[:3], YARDSTICK[:3]), make_profile(times(2, STEADY[:3]), YARDSTICK[:3])
    assert only(before, after).state == "within noise"


def test_microseconds_are_no_regression(make_profile: Make) -> None:
    assert only(make_profile(times(0.003, STEADY)), make_profile(times(0.006, STEADY))).state != "slower"


def test_profiles_that_share_nothing_are_refused(make_profile: Make) -> None:
    other = make_profile(STEADY)
    other["scorer_alone"]["scorers"] = {
        "tensorrt fp16": other["scorer_alone"]["scorers"].pop("onnxruntime fp32")
    }
    with pytest.raises(InputError, match="share no figure"):
        compare(make_profile(STEADY), other, 0.1)


def run(folder: Path, before: dict[str, Any], after: dict[str, Any], *words: str) -> Result:
    for name, profile in (("a", before), ("b", after)):
        (folder / f"{name}.json").write_text(json.dumps(profile))
    paths = [str(folder / "a.json"), str(folder / "b.json")]
    return CliRunner().invoke(main, ["compare", *paths, *words])


def test_the_command_says_no_by_its_exit_code(make_profile: Make, tmp_path: Path) -> None:
    before, after = make_profile(STEADY, YARDSTICK), make_profile(times(1.3, STEADY), YARDSTICK)
    good = run(tmp_path, before, before)
    assert good.exit_code == 0
    assert "Nothing is worse by more than 10 %" in good.output
    bad = run(tmp_path, before, after, "--json", str(tmp_path / "verdict.json"))
    assert bad.exit_code == 1
    assert "SLOWER" in bad.output
    assert "Slower: onnxruntime fp32, 1 window." in bad.output
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["regressions"] == ["onnxruntime fp32, 1 window"]
    assert verdict["changes"][0]["ratio"] == pytest.approx(1.3)
    assert run(tmp_path, before, after, "--tolerance", "0.5").exit_code == 0
    printed = run(tmp_path, before, before, "--json", "-")
    assert json.loads(printed.stdout)["regressions"] == []


def test_other_machines_and_power_modes_are_refused(make_profile: Make, tmp_path: Path) -> None:
    before, after = make_profile(STEADY), make_profile(STEADY, power_mode="MAXN")
    refused = run(tmp_path, before, after)
    assert refused.exit_code == 2
    assert "power mode: 25W and MAXN" in refused.output
    allowed = run(tmp_path, before, after, "--anyway")
    assert allowed.exit_code == 0
    assert "different: power mode: 25W and MAXN" in allowed.output
    newer = run(tmp_path, before, make_profile(STEADY, python="3.12.1"))
    assert newer.exit_code == 0
    assert "different: python: 3.10.12 and 3.12.1" in newer.output


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 99}', "\0"])
def test_what_is_no_profile_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match="is no profile of this version"):
        read_profile(tmp_path / "a.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, ["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")])
    assert ran.exit_code == 2
    assert "a.json: No such file" in ran.output


class Slowed:
    """A scorer that really takes longer."""

    name = "onnxruntime fp32"

    def __init__(self, scorer: OnnxScorer, seconds: float) -> None:
        self._scorer, self._seconds = scorer, seconds

    def score(self, poses: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        time.sleep(self._seconds)
        return self._scorer.score(poses)

    def __enter__(self) -> Slowed:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def take(bundle: Bundle, make_profile: Make) -> Callable[..., dict[str, Any]]:
    """Return a function that really measures the scorer of the bundle, slowed down if wanted."""

    def measure_it(slow: float | None = None, seconds: float = 0.5) -> dict[str, Any]:
        with OnnxScorer(bundle.graph("fp32")) as scorer:
            wanted = scorer if slow is None else Slowed(scorer, slow)
            alone = measure([Candidate(wanted, 0.0, "fp32")], bundle.manifest.window, (1, 8), seconds, 10)
        return {**make_profile(STEADY), "scorer_alone": alone}

    return measure_it


def test_a_scorer_that_sleeps_is_caught(take: Callable[..., dict[str, Any]]) -> None:
    states = {change.name: change.state for change in compare(take(), take(slow=0.001), 0.1)}
    assert states == {"onnxruntime fp32, 1 window": "slower", "onnxruntime fp32, 8 windows": "slower"}


def test_ten_repeated_runs_do_not_cry_wolf(take: Callable[..., dict[str, Any]]) -> None:
    profiles = [take() for _ in range(10)]
    for before, after in itertools.pairwise(profiles):
        assert [change for change in compare(before, after, 0.1) if change.state == "slower"] == []

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from daflow.core.errors import InputError
from runtime.profiling import main
from runtime.profiling.compare import Change, compare
from runtime.profiling.profile import Profile, read_profile

Make = Callable[..., Profile]
NAME = "onnxruntime fp32, 1 window"
STEADY = [1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 0.99, 1.0]
REFERENCE = [0.1, 0.101, 0.099, 0.1, 0.1, 0.1, 0.1, 0.101, 0.099, 0.1]


def times(factor: float, rounds: list[float]) -> list[float]:
    return [factor * value for value in rounds]


def change_of(before: Profile, after: Profile, tolerance: float = 0.1) -> Change:
    return {change.name: change for change in compare(before, after, tolerance)}[NAME]


def test_a_slower_scorer_is_slower_and_a_faster_one_faster(make_profile: Make) -> None:
    before = make_profile(STEADY, REFERENCE)
    slower = change_of(before, make_profile(times(1.3, STEADY), REFERENCE))
    assert slower.state == "slower"
    assert slower.ratio == pytest.approx(1.3)
    assert slower.normalized_ratio == pytest.approx(1.3, rel=0.02)
    assert change_of(before, make_profile(times(0.7, STEADY), REFERENCE)).state == "faster"


def test_what_is_within_the_tolerance_is_the_same(make_profile: Make) -> None:
    before, after = make_profile(STEADY, REFERENCE), make_profile(times(1.3, STEADY), REFERENCE)
    assert change_of(before, after, tolerance=0.4).state == "same"
    assert change_of(before, make_profile(times(1.05, STEADY), REFERENCE)).state == "same"


def test_rounds_that_overlap_are_noise(make_profile: Make) -> None:
    wild = [0.7, 1.9, 0.8, 1.8, 1.4, 1.3, 1.5, 0.9, 1.6, 1.3]
    change = change_of(make_profile(wild, REFERENCE), make_profile(times(1.25, wild), REFERENCE))
    assert change.overlap
    assert change.state == "within noise"


def test_a_machine_that_was_slower_as_a_whole_is_no_regression(make_profile: Make) -> None:
    before = make_profile(STEADY, REFERENCE)
    change = change_of(before, make_profile(times(1.5, STEADY), times(1.5, REFERENCE)))
    assert change.ratio == pytest.approx(1.5)
    assert change.normalized_ratio == pytest.approx(1.0, rel=0.02)
    assert change.state == "within noise"


def test_three_rounds_prove_nothing(make_profile: Make) -> None:
    before, after = make_profile(STEADY[:3], REFERENCE[:3]), make_profile(times(2, STEADY[:3]), REFERENCE[:3])
    assert change_of(before, after).state == "within noise"


def test_microseconds_are_no_regression(make_profile: Make) -> None:
    before, after = make_profile(times(0.003, STEADY)), make_profile(times(0.006, STEADY))
    assert change_of(before, after).state == "within noise"


def _draw(make: Make, rng: np.random.Generator, factor: float, drift: float) -> Profile:
    """Ten rounds with 8 % noise, on a machine that is slower or faster as a whole by `drift` (standard deviation)."""
    machine = np.exp(drift * rng.standard_normal())
    call = factor * machine * np.exp(0.08 * rng.standard_normal(10))
    return make(call.tolist(), (0.1 * machine * np.exp(0.03 * rng.standard_normal(10))).tolist())


@pytest.mark.parametrize(("factor", "drift", "lowest", "highest"), [
    (1.0, 0.0, 0.0, 0.01), (1.0, 0.3, 0.0, 0.01), (1.3, 0.0, 0.99, 1.0),
])  # fmt: skip
def test_equal_profiles_are_hardly_ever_slower_and_30_percent_is_found(
    make_profile: Make, factor: float, drift: float, lowest: float, highest: float
) -> None:
    rng = np.random.default_rng(0)
    draws = 150
    slower = sum(
        change_of(_draw(make_profile, rng, 1.0, drift), _draw(make_profile, rng, factor, drift)).state
        == "slower"
        for _ in range(draws)
    )
    assert lowest <= slower / draws <= highest


def test_profiles_that_share_nothing_are_refused(make_profile: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.profiling.compare._series", lambda profile: iter(()))
    with pytest.raises(InputError, match="share no figure"):
        compare(make_profile(STEADY), make_profile(STEADY), 0.1)


def run(folder: Path, before: Profile, after: Profile, *words: str) -> Result:
    for name, profile in (("a", before), ("b", after)):
        (folder / f"{name}.json").write_text(json.dumps(profile.as_json()))
    paths = [str(folder / "a.json"), str(folder / "b.json")]
    return CliRunner().invoke(main, ["compare", *paths, *words])


def test_the_exit_code_is_1_when_something_is_slower(make_profile: Make, tmp_path: Path) -> None:
    before, after = make_profile(STEADY, REFERENCE), make_profile(times(1.3, STEADY), REFERENCE)
    good = run(tmp_path, before, before)
    assert good.exit_code == 0
    assert "Nothing is worse by more than 10 %" in good.output
    bad = run(tmp_path, before, after, "--json", str(tmp_path / "verdict.json"))
    assert bad.exit_code == 1
    assert "SLOWER" in bad.output
    assert f"Slower: {NAME}." in bad.output
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["regressions"] == [NAME]
    assert verdict["changes"][0]["ratio"] == pytest.approx(1.3)
    assert verdict["changes"][0]["steady_ratio"] == pytest.approx(1.3, rel=0.02)
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


def test_a_profile_of_an_older_version_is_compared(old_profile_file: Path, tmp_path: Path) -> None:
    """Its keys `yardstick` and `left_out` are read; what is written has the new ones."""
    old = json.loads(old_profile_file.read_text())
    assert "yardstick" in old["edge"]
    profile = read_profile(old_profile_file)
    assert profile.edge.reference_workload.rounds_ms == old["edge"]["yardstick"]["rounds_ms"]
    assert profile.skipped == old["left_out"]
    (tmp_path / "new.json").write_text(json.dumps(profile.as_json()))
    assert read_profile(tmp_path / "new.json") == profile
    ran = CliRunner().invoke(main, ["compare", str(old_profile_file), str(tmp_path / "new.json")])
    assert ran.exit_code == 0, ran.output
    assert len([line for line in ran.stdout.splitlines() if line.endswith("same")]) == 11


def _without(profile: dict[str, Any], *keys: str) -> str:
    *path, last = keys
    part = profile
    for key in path:
        part = part[key]
    del part[last]
    return json.dumps(profile)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda _: "", "is damaged or not a profile"),
        (lambda _: "[" * 100_000, "is damaged or not a profile"),
        (lambda profile: json.dumps(profile)[:5000], "is damaged or not a profile"),
        (lambda _: "[]", "is not a profile"),
        (lambda _: "{}", "is not a profile"),
        (lambda _: '{"format": 99}', "is a profile of format 99, and this version reads 1"),
        (lambda _: '{"format": 1}', "is damaged or of an older version"),
        (lambda profile: _without(profile, "edge", "processor"), "older version (edge.processor: Field required)"),
        (lambda profile: json.dumps(profile).replace('"rounds_ms": [', '"rounds_ms": [NaN, '), "finite number"),
        (lambda profile: json.dumps({**profile, "stages": {"pose": {"rounds_ms": []}}}), "stages.pose"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_sentence_and_exit_code_2(
    old_profile_file: Path, tmp_path: Path, damage: Callable[[Any], str], message: str
) -> None:
    damaged = tmp_path / "a.json"
    damaged.write_text(damage(json.loads(old_profile_file.read_text())))
    ran = CliRunner().invoke(main, ["compare", str(damaged), str(old_profile_file)])
    assert ran.exit_code == 2
    (line,) = [line for line in ran.output.splitlines() if "Error" in line]
    assert message in line
    assert "measure again with 'daflow-profile --bundle BUNDLE --json a.json'" in line


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, ["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")])
    assert ran.exit_code == 2
    assert "a.json: No such file" in ran.output

"""People found by a real pose bundle in real pictures, against boxes that somebody drew by eye."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.people import Seconds, bundle_finder, count_people, watch_walkers


@pytest.mark.everything
@pytest.mark.parametrize(
    ("name", "min_recall", "min_precision"),
    [("ped2", 0.79, 0.92), ("vtest", 0.93, 0.8), ("fights", 0.64, 0.7)],
)
def test_people_are_found_where_somebody_saw_them(
    pose_bundle: Path, shared: Path, name: str, min_recall: float, min_precision: float
) -> None:
    counts = count_people(name, shared / "data", bundle_finder(pose_bundle, "fp32", Seconds()))
    assert counts.recall >= min_recall
    assert counts.precision >= min_precision


@pytest.mark.everything
def test_nearly_all_walkers_of_a_surveillance_view_are_followed_under_one_id(
    pose_bundle: Path, shared: Path
) -> None:
    seconds = Seconds()
    walked, _ = watch_walkers(shared / "data", bundle_finder(pose_bundle, "fp32", seconds))
    assert sum(map(len, walked.ids.values())) == 458
    assert walked.recall >= 0.95
    assert walked.all_switches <= 7
    assert min(seconds.per_frame().values()) > 0

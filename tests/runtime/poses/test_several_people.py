"""Finding and tracking several people on real videos, against positions that were checked by eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks.people import Seconds, Walked, mediapipe_finder, watch_walkers
from runtime.config.schema import CameraOptions
from runtime.poses.people import open_people
from runtime.sources.frames import Keypoints
from runtime.sources.uri import open_source
from runtime.stage_clock import StageClock

pytest.importorskip("mediapipe")

Found = Sequence[Mapping[int, Keypoints]]


def watch(path: Path, options: CameraOptions, frames: int) -> Found:
    """The people of the first frames of a video."""
    with open_source(str(path)) as source, open_people(options, source.fps, needs_poses=True) as finder:
        return [dict(finder.find(frame, StageClock())) for frame in islice(source, frames)]


@pytest.fixture(scope="module")
def full_model(shared: Path) -> Path:
    return shared / "models" / "pose_landmarker_full.task"


@pytest.fixture(scope="module")
def walkers(shared: Path, full_model: Path) -> tuple[Walked, Found]:
    return watch_walkers(shared / "data", mediapipe_finder(full_model, Seconds()))


@pytest.mark.everything
def test_most_people_of_a_surveillance_view_are_found(walkers: tuple[Walked, Found]) -> None:
    assert walkers[0].recall >= 0.85


@pytest.mark.everything
def test_few_ids_switch_while_people_cross_and_are_hidden(walkers: tuple[Walked, Found]) -> None:
    walked, _ = walkers
    assert walked.all_switches <= 8, walked.ids
    assert walked.switches("red jacket") == walked.switches("dark coat") == 0, walked.ids


@pytest.mark.everything
def test_joints_that_are_not_seen_are_guessed_and_never_at_zero(walkers: tuple[Walked, Found]) -> None:
    points = np.concatenate([np.stack(list(people.values())) for people in walkers[1] if people])
    assert np.isfinite(points).all()
    assert (np.abs(points[..., :2]).max(axis=-1) > 1).all()


@pytest.mark.everything
def test_most_of_three_who_exercise_are_found(shared: Path, full_model: Path) -> None:
    """They stand where they are, so that only parts of them move, and are there from the first frame on."""
    options = CameraOptions(people="many", max_people=8, pose_model=full_model)
    found = watch(shared / "data" / "video" / "felixchenfy_exercise.avi", options, 120)
    columns = [{np.searchsorted((140, 232), k[5:13, 0].mean()) for k in people.values()} for people in found]
    assert np.mean([len(those) >= 2 for those in columns]) >= 0.9
    ids = {person for people in found for person in people}
    assert len(ids) <= 8

"""Three people who exercise where they stand, so that only parts of them move."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from runtime.config.schema import CameraOptions
from runtime.poses.people import open_people
from runtime.sources.uri import open_source
from runtime.stage_clock import StageClock


@pytest.mark.everything
def test_all_of_them_are_found_and_keep_their_ids(pose_bundle: Path, shared: Path) -> None:
    video = shared / "data" / "video" / "felixchenfy_exercise.avi"
    options = CameraOptions(pose_bundle=pose_bundle)
    with open_source(str(video)) as source, open_people(options, source.fps, needs_poses=True) as finder:
        found = [dict(finder.find(frame, StageClock())) for frame in islice(source, 120)]
    columns = [{np.searchsorted((140, 232), k[5:13, 0].mean()) for k in people.values()} for people in found]
    assert np.mean([len(those) == 3 for those in columns]) >= 0.9
    assert len({person for people in found for person in people}) <= 4
    points = np.concatenate([np.stack(list(people.values())) for people in found if people])
    assert np.isfinite(points).all()
    assert (
        np.abs(points[..., :2]).max(axis=-1) > 1
    ).all()  # joints that are not seen are guessed, not at zero

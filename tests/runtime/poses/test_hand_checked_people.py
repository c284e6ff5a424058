"""People found by a real pose bundle in real pictures, against boxes that somebody drew by eye.

`hand_checked/NAME.json` holds for some frames the boxes of everybody in them, left, top, right, bottom in pixels, and 1
for those of whom more than half is hidden or cut off: they count neither as missed nor as false. One annotator drew
them before any detector was asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from runtime.config.schema import CameraOptions
from runtime.poses.boxes import Boxes, body_boxes, matches
from runtime.poses.estimators import open_estimator
from runtime.poses.people import open_people
from runtime.sources.frames import Frame
from runtime.sources.uri import open_source
from runtime.stage_clock import StageClock
from tests.conftest import BuildOnce

from .test_several_people import WALKERS, Found, identities

_OVERLAP = 0.4  # of a drawn box, two pixels more or less on people of thirty, and the box around the joints
_BEFORE = 20  # frames that are followed before the one that is compared


@pytest.fixture(scope="session")
def pose_bundle(build_once: BuildOnce, shared: Path) -> Path:
    """A pose bundle of MediaPipe's lite landmarks and NanoDet, exported by the command."""
    pytest.importorskip("tflite")
    pytest.importorskip("ai_edge_litert")

    def build(folder: Path) -> None:
        from export.cli import main

        words = [
            "pose", shared / "models" / "pose_landmarker_lite.task", "--detector", shared / "models" / "nanodet.json",
            "-o", folder / "pose.bundle", "--verify-on", shared / "data" / "video" / "opencv_vtest.avi", "--fp32",
            "--no-engine",
        ]  # fmt: skip
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exit_code == 0, result.output

    return build_once("pose-bundle", build) / "pose.bundle"


def found_in(bundle: Path, recording: Path, frame: str) -> Boxes:
    """The boxes of everybody in a frame, by the name of its picture or its number, after the frames before it."""
    estimator = open_estimator(CameraOptions(pose_bundle=bundle), 10.0)
    pictures = sorted(path.stem for path in recording.glob("*.jpg"))
    last = pictures.index(frame) if pictures else int(frame)
    with open_source(str(recording), fps=10.0 if pictures else None) as source:
        frames: Iterator[Frame] = islice(source, max(0, last - _BEFORE), last + 1)
        keypoints = [estimator.estimate(each) for each in frames][-1]
    estimator.close()
    return body_boxes(keypoints) if len(keypoints) else np.zeros((0, 4), np.float32)


def ped2(data: Path, key: str) -> tuple[Path, str]:
    clip, frame = key.split("/")
    return data / "ped2" / "testing" / clip, frame


def vtest(data: Path, key: str) -> tuple[Path, str]:
    return data / "video" / "opencv_vtest.avi", key


def fights(data: Path, key: str) -> tuple[Path, str]:
    name, frame = key.split(":")
    return data / "fights" / name, frame


@pytest.mark.everything
@pytest.mark.parametrize(
    ("place", "min_recall", "min_precision"), [(ped2, 0.7, 0.88), (vtest, 0.9, 0.7), (fights, 0.5, 0.7)]
)
def test_people_are_found_where_somebody_saw_them(
    pose_bundle: Path,
    shared: Path,
    place: Callable[[Path, str], tuple[Path, str]],
    min_recall: float,
    min_precision: float,
) -> None:
    truth = json.loads((Path(__file__).parent / "hand_checked" / f"{place.__name__}.json").read_text())
    right = missed = false = 0
    for key, people in truth.items():
        drawn = np.array(people, np.float32)
        whole = drawn[:, 4] == 0
        found = found_in(pose_bundle, *place(shared / "data", key))
        pairs = matches(np.ascontiguousarray(drawn[:, :4]), found, _OVERLAP)
        seen = np.zeros(len(drawn), bool)
        seen[[row for row, _ in pairs]] = True
        right += int((seen & whole).sum())
        missed += int((~seen & whole).sum())
        false += len(found) - len(pairs)
    recall, precision = right / (right + missed), right / (right + false)
    print(f"{place.__name__}: recall {recall:.3f}, precision {precision:.3f}")  # noqa: T201 - shown with -s
    assert recall >= min_recall
    assert precision >= min_precision


@pytest.mark.everything
def test_nearly_all_walkers_of_a_surveillance_view_are_followed_under_one_id(
    pose_bundle: Path, shared: Path
) -> None:
    path = shared / "data" / "video" / "opencv_vtest.avi"
    options = CameraOptions(pose_bundle=pose_bundle)
    with open_source(str(path)) as source, open_people(options, source.fps, needs_poses=True) as finder:
        found: Found = [dict(finder.find(frame, StageClock())) for frame in islice(source, 131)]
    ids = {name: list(identities(found, name)) for name in WALKERS}
    seen = [person is not None for people in ids.values() for person in people]
    switches = sum(
        a != b
        for people in ids.values()
        for a, b in pairwise(person for person in people if person is not None)
    )
    print(f"vtest: recall {np.mean(seen):.3f}, {switches} changes of id")  # noqa: T201
    assert np.mean(seen) >= 0.93
    assert switches <= 4

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from daflow.core.errors import InputError
from runtime.config.schema import CameraOptions
from runtime.poses.estimators import Plugin, installed, open_estimator, resolved
from runtime.poses.people import open_people
from runtime.sources.frames import Frame
from runtime.stage_clock import StageClock

pytest.importorskip("cv2")

PAGE = Path(__file__).parents[3] / "docs" / "pose-estimators.md"
PICTURE = np.zeros((120, 160, 3), dtype=np.uint8)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a module with entry points, as a wheel would, for one test."""

    def do(module: str, code: str, **names: str) -> None:
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        points = "".join(f"{name} = {value}\n" for name, value in names.items())
        (info / "entry_points.txt").write_text(f"[daflow.pose_estimators]\n{points}")
        monkeypatch.syspath_prepend(str(tmp_path))

    return do


class Returns:
    """A plug-in that returns what it is told."""

    def __init__(self, found: Any) -> None:
        self.found = found
        self.closed = False

    def estimate(self, frame: Frame) -> Any:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def close(self) -> None:
        self.closed = True


@pytest.mark.slow
def test_the_package_of_the_documentation_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    module, example = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    source, target = tmp_path / "thermal-poses", tmp_path / "installed"
    source.mkdir()
    (source / "pyproject.toml").write_text(project)
    (source / "thermal_poses.py").write_text(module)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True)
    monkeypatch.syspath_prepend(str(target))
    assert "thermal" in installed()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, str(PAGE), "exec"), {})  # noqa: S102 - the page's own code
    assert printed.getvalue() == "(17, 3)\n"


def test_an_unknown_estimator_lists_what_there_is(install: Callable[..., None]) -> None:
    install("mine", "Poses = print", mine="mine:Poses")
    with pytest.raises(InputError) as error:
        open_estimator(CameraOptions(estimator="yours"))
    assert error.value.message == "There is no pose estimator yours; installed are: bundle, mediapipe, mine."


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import a_package_that_is_not_there", r"cannot be opened: No module named 'a_package"),
        ("1 / 0", r"cannot be opened: division by zero"),
        ("Other = 1", r"cannot be opened: module 'broken' has no attribute 'Poses'"),
        ("class Poses:\n    pass", r"cannot be opened: Poses\(\) takes no arguments"),
        ("Poses = lambda options: 3", r"has no estimate and no close\(\)"),
    ],
)
def test_a_broken_plugin_is_one_sentence(
    install: Callable[..., None], monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    install("broken", code, broken="broken:Poses")
    with pytest.raises(InputError, match=rf"The pose estimator broken \(broken:Poses\) {reason}") as error:
        open_people(CameraOptions(estimator="broken"), 25, needs_poses=True)
    assert error.value.message.endswith("Other installed estimators: bundle, mediapipe.")
    assert "\n" not in error.value.message


def test_what_a_plugin_refuses_is_said_in_its_own_words(install: Callable[..., None]) -> None:
    code = (
        "from daflow.core.errors import InputError\n"
        "def open(options):\n    raise InputError('Its model is missing.')"
    )
    install("refusing", code, refusing="refusing:open")
    with pytest.raises(InputError, match=r"^Its model is missing\.$"):
        open_estimator(CameraOptions(estimator="refusing"))


def test_auto_is_the_pose_bundle_where_there_is_one_and_mediapipe_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAFLOW_MODELS", str(tmp_path))
    auto = CameraOptions()
    assert (resolved(auto).estimator, resolved(auto).people, resolved(auto).max_people) == (
        "mediapipe",
        "one",
        4,
    )
    given = resolved(CameraOptions(pose_bundle=Path("mine.bundle")))
    assert (given.estimator, given.pose_bundle) == ("bundle", Path("mine.bundle").resolve())
    bundle = tmp_path / "pose.bundle"
    bundle.mkdir()
    (bundle / "manifest.json").write_text('{"format": "daflow-pose-bundle"}')
    found = resolved(auto)
    assert (found.estimator, found.pose_bundle, found.people, found.max_people) == (
        "bundle",
        bundle,
        "auto",
        30,
    )
    assert resolved(CameraOptions(pose_model=Path("a.task"))).estimator == "mediapipe"
    assert resolved(CameraOptions(estimator="thermal", people="auto", max_people=7)).max_people == 7
    assert resolved(found) == found


def test_networks_of_people_who_cannot_be_followed_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Networks:
        closed = 0

        def close(self) -> None:
            self.closed += 1

    def refuse(*_: object) -> None:
        raise InputError("a package is missing")

    networks = Networks()
    bundle = SimpleNamespace(manifest=SimpleNamespace(networks={"detector": None, "landmarks": None}))
    monkeypatch.setattr("runtime.poses.estimators.read_pose_bundle", lambda folder: bundle)
    monkeypatch.setattr("runtime.poses.opened_networks.open_networks", lambda *_: networks)
    monkeypatch.setattr("runtime.poses.follower.PeopleFollower", refuse)
    with pytest.raises(InputError, match="a package is missing"):
        open_estimator(CameraOptions(pose_bundle=tmp_path))
    assert networks.closed == 1


def test_a_folder_that_is_no_pose_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a pose bundle"):
        open_people(CameraOptions(pose_bundle=tmp_path), 25, needs_poses=True)


@pytest.mark.parametrize("joints", [17, 18, 33])
def test_right_keypoints_pass(joints: int) -> None:
    found: npt.NDArray[np.float64] = np.random.default_rng(0).uniform(0, 99, (2, joints, 3))
    checked = Plugin("mine", Returns(found)).estimate(Frame(0, 0.0, (160, 120), PICTURE))
    assert checked.dtype == np.float32
    np.testing.assert_allclose(checked, found, rtol=1e-6)


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (None, "NoneType instead of a numpy array"),
        ([[[1.0, 2.0, 3.0]]], "list instead of a numpy array"),
        (np.zeros((17, 3)), r"shape \(17, 3\) instead of"),
        (np.zeros((2, 16, 3)), r"shape \(2, 16, 3\) instead of"),
        (np.zeros((2, 17, 2)), r"shape \(2, 17, 2\) instead of"),
        (np.zeros((2, 17, 3), dtype=np.int64), "type int64 instead of floating"),
        (np.full((1, 17, 3), np.nan), "NaN or infinite"),
        (np.full((1, 17, 3), 1e300), "NaN or infinite"),
    ],
)
def test_wrong_keypoints_are_named(found: Any, wrong: str) -> None:
    with pytest.raises(InputError, match=rf"pose estimator mine returned .*{wrong}.* for frame 7\."):
        Plugin("mine", Returns(found)).estimate(Frame(7, 0.0, (160, 120), PICTURE))


def test_a_plugin_that_fails_is_named() -> None:
    with pytest.raises(InputError, match=r"mine failed in frame 7: ValueError: no memory") as error:
        Plugin("mine", Returns(ValueError("no memory\nat all"))).estimate(Frame(7, 0.0, (160, 120), PICTURE))
    assert isinstance(error.value.__cause__, ValueError)


def test_a_plugin_is_closed() -> None:
    plugin = Returns(np.zeros((0, 17, 3)))
    Plugin("mine", plugin).close()
    assert plugin.closed


def test_people_that_the_source_knows_need_no_estimator() -> None:
    people = {4: np.ones((17, 3), dtype=np.float32)}
    with open_people(CameraOptions(estimator="unknown"), 25, needs_poses=False) as finder:
        assert finder.find(Frame(0, 0.0, (160, 120), people=people), StageClock()) is people

"""A Jetson installs the edge without compiling: each package has an aarch64 wheel, on JetPack 6 and 7 alike.

The two OpenCVs that mediapipe and trackers bring have one version, also without constraints.txt: they share a folder.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PLATFORMS = [f"manylinux{version}_aarch64" for version in ("2014", "_2_17", "_2_27", "_2_28")]
OPENCV = ("opencv-contrib-python", "opencv-python")


def needs_of(extra: str) -> list[str]:
    """The requirements of the package and of one of its extras, without their markers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = [*project["dependencies"], *project["optional-dependencies"][extra]]
    return [need.partition(";")[0].strip() for need in needs]


@pytest.mark.slow
@pytest.mark.parametrize(
    "python",
    ["3.10", pytest.param("3.12", marks=pytest.mark.everything)],
    ids=["JetPack 6", "JetPack 7"],
)
def test_the_edge_extra_resolves_to_wheels_for_aarch64_with_one_version_of_opencv(
    python: str, tmp_path: Path
) -> None:
    needs = needs_of("edge")
    assert any(need.startswith("mediapipe") for need in needs)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    platforms = [option for name in PLATFORMS for option in ("--platform", name)]
    report = tmp_path / "report.json"
    done = subprocess.run(
        [*pip, "install", "--dry-run", "--ignore-installed", "--quiet", "--only-binary=:all:", "--target", tmp_path,
         "--report", report, "--python-version", python, *platforms, *needs],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "No matching distribution found for click" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    found = [package["metadata"] for package in json.loads(report.read_text())["install"]]
    versions = {package["name"]: package["version"] for package in found if "opencv" in package["name"]}
    assert sorted(versions) == list(OPENCV)
    assert len(set(versions.values())) == 1


def test_every_opencv_has_one_version_here_and_in_the_constraints() -> None:
    pins = [need.split("==") for need in needs_of("edge") if need.startswith("opencv")]
    assert sorted(name for name, _ in pins) == list(OPENCV)
    constraints = re.findall(
        r"^(opencv-[a-z-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE
    )
    assert len(constraints) == 3
    assert len({version for _, version in (*pins, *constraints)}) == 1

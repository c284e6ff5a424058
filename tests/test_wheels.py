"""A Jetson installs the edge without compiling: each package has an aarch64 wheel, on JetPack 6 and 7 alike."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

PLATFORMS = [f"manylinux{version}_aarch64" for version in ("2014", "_2_17", "_2_27", "_2_28")]


def needs_of(extra: str) -> list[str]:
    """The requirements of the package and of one of its extras, without their markers."""
    needs = [need.partition(";") for need in importlib.metadata.requires("daflow") or ()]
    return [
        name.strip() for name, _, marker in needs if not marker.strip() or f'extra == "{extra}"' in marker
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "python",
    ["3.10", pytest.param("3.12", marks=pytest.mark.everything)],
    ids=["JetPack 6", "JetPack 7"],
)
def test_the_edge_extra_resolves_to_wheels_for_aarch64(python: str, tmp_path: Path) -> None:
    needs = needs_of("edge")
    assert any(need.startswith("mediapipe") for need in needs)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    platforms = [option for name in PLATFORMS for option in ("--platform", name)]
    done = subprocess.run(
        [*pip, "install", "--dry-run", "--ignore-installed", "--quiet", "--only-binary=:all:", "--target", tmp_path,
         "--python-version", python, *platforms, *needs],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "No matching distribution found for click" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr

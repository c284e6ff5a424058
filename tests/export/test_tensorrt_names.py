"""The names that our source uses are in TensorRT's bindings, also of the versions that cannot run here."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "tensorrt_names.py"
CONTENTS = {"8.6": b"\0Builder\0", "10.3": b"\0Builder\0progress_monitor\0STRONGLY_TYPED\0"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tensorrt_names", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def errors(script: ModuleType, tmp_path: Path, source: str) -> list[str]:
    path = tmp_path / "source.py"
    path.write_text(source)
    found: list[str] = script.check([path], CONTENTS)[1]
    return found


def test_a_name_that_all_versions_have_is_fine(script: ModuleType, tmp_path: Path) -> None:
    assert errors(script, tmp_path, "builder = trt.Builder(log)\n") == []


def test_a_misspelt_name_is_found_with_its_line(script: ModuleType, tmp_path: Path) -> None:
    (line,) = errors(script, tmp_path, "import os\nbuilder = trt.Bilder(log)\n")
    assert "source.py:2: Bilder is in no version of TensorRT" in line


def test_a_name_of_some_versions_must_be_checked_for(script: ModuleType, tmp_path: Path) -> None:
    (line,) = errors(script, tmp_path, "def watch(config):\n    config.progress_monitor = 1\n")
    assert "progress_monitor is not in TensorRT 8.6" in line
    checked = "def watch(config):\n    if hasattr(config, 'progress_monitor'):\n        config.progress_monitor = 1\n"
    assert errors(script, tmp_path, checked) == []


def test_members_of_enumerations_are_looked_up_too(script: ModuleType, tmp_path: Path) -> None:
    assert errors(script, tmp_path, "strong = member(trt.Builder, 'STRONGLY_TYPED')\n") == []
    (line,) = errors(script, tmp_path, "strong = member(trt.Builder, 'STRONGLYTYPED')\n")
    assert "STRONGLYTYPED is in no version of TensorRT" in line


def test_names_of_other_objects_are_ignored(script: ModuleType, tmp_path: Path) -> None:
    assert errors(script, tmp_path, "path.read_bytes()\nself._gpu.buffer(3)\n") == []


@pytest.mark.slow
def test_our_source_uses_only_names_that_are_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--cache", tmp_path, "--list"], capture_output=True, text=True, check=False
    )
    if done.returncode == 2:
        pytest.skip(f"TensorRT's bindings cannot be downloaded: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stdout
    assert "STRONGLY_TYPED                      10.3, 10.13, 11.4, RTX 1.7" in done.stdout
    wheels = list(tmp_path.glob("*.whl"))
    assert len(wheels) == 5
    assert all(zipfile.is_zipfile(wheel) for wheel in wheels)

"""The cold start: another process, whose own error is passed on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from daflow.core.bundle import Bundle, write_manifest
from daflow.core.errors import InputError
from runtime.profiling import cold_start
from runtime.profiling.cold_start import measure_cold_start
from runtime.profiling.edge import EdgeRun

PEOPLE = "synthetic:people=1,event=none"


def test_a_bundle_without_a_threshold_starts(bundle: Bundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "plain"))
    write_manifest(folder, bundle.manifest.model_copy(update={"alarm": None}))
    starts = measure_cold_start(EdgeRun(folder, PEOPLE, "onnxruntime", {}), rounds=1)
    assert starts.without_poses
    assert starts.without_poses.score


@pytest.mark.parametrize(
    ("run", "error"),
    [
        (EdgeRun(Path("nowhere"), PEOPLE, "onnxruntime", {}), "nowhere is not a bundle"),
        (EdgeRun(Path("BUNDLE"), PEOPLE, "tensorrt", {}), "scorer tensorrt needs"),
        (EdgeRun(Path("BUNDLE"), "tracks:nothing.json", "onnxruntime", {}), "nothing.json"),
    ],
    ids=["bundle", "scorer", "source"],
)
def test_the_error_of_the_process_is_passed_on(bundle: Bundle, run: EdgeRun, error: str) -> None:
    folder = bundle.folder if run.bundle.name == "BUNDLE" else run.bundle
    with pytest.raises(InputError, match=error) as raised:
        cold_start._start(EdgeRun(folder, run.source, run.scorer, {}))
    assert "\n" not in raised.value.message
    assert "Traceback" not in raised.value.message


def test_a_process_that_crashes_is_explained_by_its_last_line(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.exit('the disk is on fire')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(InputError, match="the disk is on fire"):
        cold_start._start(EdgeRun(bundle.folder, PEOPLE, "onnxruntime", {}))

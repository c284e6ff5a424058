"""Data flows one way, and a device needs no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "daflow": {"daflow"},
    "calibration": {"calibration", "daflow"},
    # Export takes INT8 ranges from calibration, and runs what it built on a device to prove it.
    "export": {"export", "calibration", "runtime", "daflow"},
    "runtime": {"runtime", "daflow"},
}
NEEDS_TRAINING = {
    "daflow.model.flow", "daflow.training.trainer", "daflow.model.checkpoint", "daflow.evaluation.auc", "daflow.model.skeleton_graph", "daflow.evaluation.scoring_model",
}  # fmt: skip


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_is_upstream_of_it(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        ours = {name.split(".")[0] for name in imported(path)} & set(MAY_IMPORT)
        assert ours <= MAY_IMPORT[package], path


def test_the_runtime_knows_only_the_numpy_half_of_daflow() -> None:
    for path in (ROOT / "runtime").rglob("*.py"):
        assert not imported(path) & NEEDS_TRAINING, path


def test_importing_the_runtime_brings_no_heavy_package() -> None:
    paths = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / "runtime").rglob("*.py"))
    modules = [".".join(path.parts) for path in paths if path.stem != "__init__"]
    modules += [
        "daflow.core.engines.builder",
        "daflow.core.engines.cache",
        "daflow.core.engines.file",
        "daflow.core.scoring.comparison",
    ]
    heavy = {
        "torch",
        "onnx",
        "matplotlib",
        "sklearn",
        "scipy",
        "mediapipe",
        "cv2",
        "av",
        "trackers",
        "tensorrt",
        "starlette",
        "uvicorn",
        "paho",
        "prometheus_client",
        "urllib3",
    }
    code = (
        f"import sys, importlib\nfor m in {modules}: importlib.import_module(m)\n"
        f"found = {heavy} & set(sys.modules)\nsys.exit(f'imported: {{found}}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

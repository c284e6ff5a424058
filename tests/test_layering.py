"""The layers: import-linter holds the imports that can be seen, these tests what it cannot see."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import write_clips

ROOT = Path(__file__).parents[1]
PACKAGES = ("daflow", "export", "calibration", "runtime")
IMPORTS_BY_NAME = {
    "daflow/__init__.py": "a name of the library is imported when it is first used",
    "daflow/core/command_line.py": "a subcommand is imported when it is asked for",
    "daflow/core/gpu.py": "TensorRT has one of two names",
    "daflow/studies/__init__.py": "a study is a module of its name",
}
"""The files that import a module by a name in a string, and why."""
HEAVY = {
    "torch", "onnx", "matplotlib", "sklearn", "scipy", "pyarrow", "ray", "tqdm", "mediapipe", "cv2", "av", "trackers",
    "tensorrt", "starlette", "uvicorn", "paho", "prometheus_client", "urllib3",
}  # fmt: skip


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the packages of a folder."""
    program = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [program, "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_contracts_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "what", "contract"),
    [
        ("runtime/pipeline/probe.py", "torch", "A device needs no training package"),
        ("runtime/pipeline/probe.py", "pyarrow", "A device needs no training package"),
        ("daflow/core/data/probe.py", "pyarrow.parquet", "A device needs no training package"),
        ("runtime/pipeline/probe.py", "daflow.training.trainer", "What a device needs is daflow.core"),
        ("calibration/probe.py", "daflow.formats.recognise", "What a device needs is daflow.core"),
        ("daflow/core/probe.py", "daflow.model.flow", "Data flows one way"),
        ("runtime/sources/probe.py", "runtime.service.service", "The edge"),
        (
            "runtime/poses/probe.py",
            "runtime.models.fetch",
            "Only a command that a person started fetches models",
        ),
        ("daflow/training/probe.py", "click", "The command line is a thin layer"),
        ("runtime/pipeline/probe.py", "click", "The command line is a thin layer"),
    ],
)
def test_an_import_through_another_module_breaks_a_contract(
    module: str, what: str, contract: str, tmp_path: Path
) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    probe = tmp_path / module
    probe.with_name("between.py").write_text(f"def later():\n    import {what}\n")
    probe.write_text(f"from {'.'.join(Path(module).parent.parts)} import between\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout
    assert re.search(rf"{re.escape(contract)}.* BROKEN", done.stdout), done.stdout


def test_modules_are_imported_by_name_only_where_that_is_known() -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"import_module|__import__", path.read_text(encoding="utf-8"))
    }
    assert found == set(IMPORTS_BY_NAME)


def test_each_module_that_is_named_in_a_string_is_there() -> None:
    pattern = re.compile(rf"((?:{'|'.join(PACKAGES)})(?:\.[a-z_0-9]+)+):([A-Za-z_]+)")
    named = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                text = node.value if isinstance(node, ast.Constant) else None
                if isinstance(text, str) and (match := pattern.fullmatch(text)):
                    named[text] = match
    assert named
    for name, match in named.items():
        assert hasattr(importlib.import_module(match[1]), match[2]), name


@pytest.mark.parametrize(("form", "loaded"), [("json", False), ("parquet", True)])
def test_only_a_parquet_file_loads_pyarrow(form: str, loaded: bool, tmp_path: Path) -> None:
    clip, _ = generate_clip("hall", 0, Scene(frames=60))
    write_clips(tmp_path, [clip], form)  # type: ignore[arg-type]
    code = (
        "import sys\nfrom daflow.core.data.tracks import read_clips, write_clips\n"
        f"clips = read_clips({str(tmp_path)!r})\nwrite_clips({str(tmp_path / 'again')!r}, clips)\n"
        f"assert clips[0].poses == {clip.poses}\nsys.exit(('pyarrow' in sys.modules) is not {loaded})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_runtime_brings_no_heavy_package() -> None:
    paths = [
        path.relative_to(ROOT).with_suffix("")
        for folder in ("runtime", "calibration", "daflow/core")
        for path in (ROOT / folder).rglob("*.py")
    ]
    modules = [".".join(path.parts) for path in paths if path.stem not in ("__init__", "__main__")]
    code = (
        f"import sys, importlib\nfor m in {modules}: importlib.import_module(m)\n"
        f"found = {HEAVY} & set(sys.modules)\nsys.exit(f'imported: {{found}}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_evaluating_a_bundle_brings_no_training_package(exported: Path, dataset: Path) -> None:
    words = ["evaluate", "--model", exported, "--poses", dataset / "test", "--masks", dataset / "masks"]
    code = (
        "import sys\nfrom daflow.cli import main\n"
        f"main({list(map(str, words))}, standalone_mode=False)\n"
        f"found = {HEAVY - {'tqdm'}} & set(sys.modules)\nsys.exit(f'imported: {{found}}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "all frames (micro)" in done.stdout

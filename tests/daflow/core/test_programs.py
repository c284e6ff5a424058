"""What lies in the working directory is not run: an attacker fills it with modules and programs of every name."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from daflow.core.programs import find_program, python_code, python_module

ROOT = Path(__file__).parents[3]
_PACKAGES = ("benchmarks", "calibration", "daflow", "export", "runtime")
_THEIRS = ("av", "click", "numpy", "onnxruntime", "pydantic", "sitecustomize", "usercustomize", *_PACKAGES)


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, in which every module and package leaves `ran` behind and ends the process."""
    code = f"open({str(tmp_path / 'ran')!r}, 'a').write(__name__ + '\\n')\nraise SystemExit(9)\n"
    for name in {*sys.stdlib_module_names, *_THEIRS}:
        (tmp_path / f"{name}.py").write_text(code)
    for name in ("runtime", "daflow", "pip", "json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", ".", *sys.path])
    return tmp_path


def test_the_folder_would_run_with_python_m(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    subprocess.run([sys.executable, "-m", "runtime"], capture_output=True, check=False)
    assert (hostile / "ran").exists()


@pytest.mark.parametrize(
    ("module", "arguments", "shown"),
    [
        ("pip", ["--version"], "pip "),
        ("runtime.cli", ["--help"], "runtime.cli"),
        ("daflow.cli", ["--help"], "daflow.cli"),
        ("runtime.profiling", ["--help"], "runtime.profiling"),
    ],
)
def test_a_module_runs_and_nothing_of_the_folder(
    hostile: Path, module: str, arguments: list[str], shown: str
) -> None:
    ran = subprocess.run(python_module(module, *arguments), capture_output=True, text=True, check=False)
    assert shown in ran.stdout, ran.stderr
    assert (ran.returncode, (hostile / "ran").exists()) == (0, False)


def test_code_runs_and_nothing_of_the_folder(hostile: Path) -> None:
    code = "import json, sys, av\nprint(json.dumps(sys.path))"
    ran = subprocess.run(python_code(code), capture_output=True, text=True, check=False)
    assert json.loads(ran.stdout) == [place for place in sys.path if place.startswith("/")], ran.stderr
    assert not (hostile / "ran").exists()


def test_the_arguments_and_the_exit_code_are_those_of_the_module(tmp_path: Path) -> None:
    (tmp_path / "said.py").write_text("import sys\nprint(__name__, sys.argv[1:])\nsys.exit(3)\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        command = python_module("said", "-c", "a b", "'")
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (3, "__main__ ['-c', 'a b', \"'\"]\n")


@pytest.mark.parametrize("path", ["", ":", ".", "bin", ":bin:."])
def test_no_program_is_found_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    for folder in (tmp_path, tmp_path / "bin"):
        folder.mkdir(exist_ok=True)
        (folder / "npm").write_text("#!/bin/sh\n")
        (folder / "npm").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", path)
    assert find_program("npm") is None
    monkeypatch.setenv("PATH", f"{path}:{tmp_path / 'bin'}")
    assert find_program("npm") == str(tmp_path / "bin/npm")


def test_every_child_of_this_python_is_started_by_this_module() -> None:
    starters = set()
    for path in (path for package in _PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.executable", "shutil.which"):
                starters.add(str(path.relative_to(ROOT)))
    assert starters == {"daflow/core/programs.py"}

"""A command without its extra says so first, with the extra's name, and writes nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

WITHOUT_EXTRAS = """
import importlib, importlib.abc, sys

OPTIONAL = set("torch onnx onnxruntime onnxscript onnxslim mediapipe av trackers supervision cv2 sklearn scipy "
    "matplotlib pyarrow ray starlette uvicorn paho prometheus_client urllib3 tensorrt_rtx tensorrt pycuda".split())

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in OPTIONAL:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
module, attribute = sys.argv[1].split(":")
sys.argv = sys.argv[1:]
getattr(importlib.import_module(module), attribute)(prog_name="command")
"""


def run(command: str, folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    entry = PROJECT["scripts"][command]
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, entry, *map(str, words)],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "extras"),
    [
        ("daflow demo -o out", "train,export,edge"),
        ("daflow demo -o out --video in.mp4", "train,export,edge"),
        ("daflow poses --source in.mp4 -o out", "edge"),
        ("daflow train --poses {data}/train -o out/m.pt", "train"),
        ("daflow import-stgnf in.tar -o out/m.pt", "train"),
        ("daflow evaluate --poses {data}/test --masks {data}/masks --model m.pt", "train"),
        ("daflow evaluate --videos videos --masks {data}/masks --model m.pt", "train,edge"),
        ("daflow score --poses {data}/test --model m.pt -o out", "train"),
        ("daflow study attention-vs-window --quick -o out", "train"),
        ("daflow-export m.pt -o out/bundle", "export"),
        ("daflow-export inspect {bundle}/scorer.fp32.onnx", "export"),
        ("daflow-calibrate alarm --bundle {bundle} --poses {data}/train", "edge"),
        ("daflow-edge --bundle {bundle} --source synthetic: --threshold 9", "edge"),
        ("daflow-profile --bundle {bundle}", "edge"),
    ],
)
def test_it_names_the_extra(
    command: str, extras: str, tmp_path: Path, dataset: Path, bundle_copy: Path
) -> None:
    words = command.format(data=dataset, bundle=bundle_copy).split()
    folder = tmp_path / "here"
    folder.mkdir()
    done = run(words[0], folder, *words[1:])
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert f"pip install 'daflow[{extras}]'" in done.stderr
    assert "Error: " in done.stderr.splitlines()[-1]
    assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "words",
    ["daflow --help", "daflow demo --help", "daflow study --help", "daflow-export --help", "daflow-edge --help",
     "daflow-calibrate alarm --help", "daflow-profile --help", "daflow generate -o out --train-clips 1 --test-clips 1",
     "daflow models list", "daflow-export inspect {bundle}"],
)  # fmt: skip
def test_what_needs_no_extra_runs_without(words: str, tmp_path: Path, bundle_copy: Path) -> None:
    command, *rest = words.format(bundle=bundle_copy).split()
    done = run(command, tmp_path, *rest)
    assert done.returncode == 0, done.stderr

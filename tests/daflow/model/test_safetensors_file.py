"""Checkpoints as safetensors: the same model as in torch's form, and what is damaged or strange is refused."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

import daflow
from daflow.cli import main
from daflow.core.errors import InputError
from daflow.model import safetensors_file
from daflow.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from daflow.model.flow import DAFlow
from daflow.model.flow_model import FlowModel

safetensors = pytest.importorskip("safetensors.torch")
FIRST = next(iter(DAFlow().state_dict()))


@pytest.fixture
def saved(evidence_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, load_checkpoint(evidence_file))
    return path


def opened(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors, and the facts in the metadata."""
    with sys.modules["safetensors"].safe_open(path, framework="pt") as file:
        return safetensors.load_file(path), json.loads(file.metadata()["daflow"])


def rewrite(path: Path, tensors: dict[str, Any], facts: object) -> None:
    path.write_bytes(safetensors.save(tensors, {"daflow": json.dumps(facts)}))


def test_it_is_the_same_model_as_in_the_form_of_torch(evidence_file: Path, saved: Path) -> None:
    expected, found = load_checkpoint(evidence_file), load_checkpoint(saved)
    assert found.model.config == expected.model.config
    assert (found.training, found.fps, found.channels) == (expected.training, 25.0, expected.channels)
    for one, other in ((found.model, expected.model), (found.evidence, expected.evidence)):
        assert one is not None
        assert other is not None
        assert not one.training
        for name, values in other.state_dict().items():
            assert torch.equal(one.state_dict()[name], values)


def test_tensors_have_prefixes_and_the_same_model_is_the_same_file(saved: Path) -> None:
    tensors, facts = opened(saved)
    assert {name.partition(".")[0] for name in tensors} == {"flow", "evidence"}
    assert (facts["format"], facts["version"]) == ("daflow-checkpoint", 2)
    assert "state" not in facts
    before = saved.read_bytes()
    save_checkpoint(saved, load_checkpoint(saved))
    assert saved.read_bytes() == before


def test_the_library_writes_and_opens_it(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    FlowModel(checkpoint).save(path)
    model = daflow.load(path)
    assert isinstance(model, FlowModel)
    assert model.channels == ("flow",)
    assert model.checkpoint.training == checkpoint.training


def test_train_writes_it(dataset: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.safetensors"
    words = ["train", "--poses", str(dataset / "train"), "-o", str(output), "--epochs", "1", "--stride", "40"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert load_checkpoint(output).training["epochs"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize("keep", [0, 4, 8, 40, 2000, -1])
def test_a_cut_file_is_refused(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(InputError, match="is not a checkpoint of daflow, or it is damaged") as caught:
        load_checkpoint(saved)
    assert len(str(caught.value).splitlines()) == 1


def test_torch_s_form_by_this_name_is_refused(evidence_file: Path, saved: Path) -> None:
    saved.write_bytes(evidence_file.read_bytes())
    with pytest.raises(InputError, match="is not a checkpoint of daflow"):
        load_checkpoint(saved)


def test_a_file_above_the_limit_is_not_read(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safetensors_file, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="is not a checkpoint of daflow"):
        load_checkpoint(saved)


def test_a_model_of_another_tool_is_refused(saved: Path) -> None:
    for metadata in (None, {"format": "pt"}, {"daflow": "[" * 100_000}, {"daflow": '{"a": 1, "a": 2}'}):
        saved.write_bytes(safetensors.save({"weight": torch.zeros(2)}, metadata))
        with pytest.raises(InputError, match="is not a checkpoint of daflow"):
            load_checkpoint(saved)


def _nan(tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    tensors["flow." + FIRST][...] = float("nan")


def _half(tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    tensors["flow." + FIRST] = tensors["flow." + FIRST].half()


def _missing(tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    del tensors["flow." + FIRST]


def _more(tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    tensors["flow.extra"] = torch.zeros(1)


def _shape(tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    tensors["evidence.others.motion.travel"] = torch.zeros(3)


def _stray(tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    tensors["other"] = torch.zeros(1)


def _no_evidence(tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    facts["evidence"] = None


def _state(tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    facts["state"] = {}


def _format(tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    facts["format"] = "other"


def _version(tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    facts["version"] = 3


def _window(tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    facts["config"]["window"] = 10**9


def _rate(tensors: dict[str, Any], facts: dict[str, Any]) -> None:
    facts["fps"] = float("nan")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_nan, "is NaN or infinite"),
        (_half, "is not a plain tensor of torch.float32"),
        (_missing, "is missing"),
        (_more, "which the model does not have"),
        (_shape, "others.motion.travel has the shape 3 instead of"),
        (_stray, "is not a checkpoint of daflow"),
        (_no_evidence, "is not a checkpoint of daflow"),
        (_state, "is not a checkpoint of daflow"),
        (_format, "is not a checkpoint of daflow"),
        (_version, "has checkpoint version 3"),
        (_window, "window: Input should be"),
        (_rate, "fps: Input should be"),
    ],
)
def test_what_does_not_fit_is_refused(
    saved: Path, change: Callable[[dict[str, Any], dict[str, Any]], None], reason: str
) -> None:
    tensors, facts = opened(saved)
    change(tensors, facts)
    rewrite(saved, tensors, facts)
    with pytest.raises(InputError, match=reason):
        load_checkpoint(saved)


def test_weights_that_share_memory_are_written(checkpoint: Checkpoint, tmp_path: Path) -> None:
    model = copy.deepcopy(checkpoint.model)
    model.steps[1].coupling.graph_conv = model.steps[0].coupling.graph_conv
    save_checkpoint(tmp_path / "m.safetensors", replace(checkpoint, model=model))
    assert load_checkpoint(tmp_path / "m.safetensors").training == checkpoint.training


def test_the_missing_package_is_named(
    evidence_file: Path, saved: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dataset: Path
) -> None:
    checkpoint = load_checkpoint(evidence_file)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    message = r"safetensors is not installed\. Install it with: pip install 'daflow\[train\]'"
    with pytest.raises(InputError, match=message):
        load_checkpoint(saved)
    with pytest.raises(InputError, match=message):
        save_checkpoint(tmp_path / "new.safetensors", checkpoint)
    assert not (tmp_path / "new.safetensors").exists()

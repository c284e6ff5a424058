from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from daflow.core.errors import InputError
from daflow.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from daflow.model.flow import DAFlow, ModelConfig


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    save_checkpoint(path, Checkpoint(DAFlow(ModelConfig(window=16)), {"windows": 7}))
    return path


def changed(path: Path, **fields: object) -> Path:
    torch.save({**torch.load(path, weights_only=True), **fields}, path)
    return path


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    model = DAFlow(ModelConfig(window=16, block="tcn")).eval()
    path = tmp_path / "model.pt"
    save_checkpoint(path, Checkpoint(model, {"windows": 7}))
    loaded = load_checkpoint(path)
    x = torch.randn(2, 2, 16, 18)
    assert loaded.model.config == model.config
    assert loaded.training == {"windows": 7}
    assert torch.equal(loaded.model.nll(x), model.nll(x))


def test_it_carries_versions_and_loads_with_weights_only(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    assert set(content["versions"]) == {"daflow", "torch"}


def test_a_pickle_bomb_does_not_go_off(tmp_path: Path, bomb: Callable[[Path], object]) -> None:
    exploded = tmp_path / "exploded"
    path = tmp_path / "bomb.pt"
    torch.save({"format": "daflow-checkpoint", "bomb": bomb(exploded)}, path)
    with pytest.raises(InputError, match="holds code, which is never run"):
        load_checkpoint(path)
    assert not exploded.exists()
    torch.load(path, weights_only=False)  # the bomb is a real one
    assert exploded.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken zip", b"\x80\x02."])
def test_other_files_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"other\.pt"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"format": "something else"}, "not a checkpoint of daflow"),
        ({"version": 99}, "version 99"),
        ({"config": {"window": "wide"}}, "does not fit"),
        ({"config": {"window": 16, "steps": 3}}, "does not fit"),
        ({"config": {"steps": 10**12}}, "does not fit"),
        ({"config": {"hops": -1}}, "does not fit"),
        ({"config": {"prior_mean": float("nan")}}, "does not fit"),
        ({"state": None}, "does not fit"),
        ({"state": {}}, "does not fit"),
    ],
)
def test_what_does_not_fit_is_refused(saved: Path, fields: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        load_checkpoint(changed(saved, **fields))


def test_a_truncated_checkpoint_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-500])
    with pytest.raises(InputError):
        load_checkpoint(saved)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no checkpoint .*gone\.pt"):
        load_checkpoint(tmp_path / "gone.pt")

from __future__ import annotations

import contextlib
import io
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from daflow.core.errors import InputError
from daflow.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from daflow.model.flow import DAFlow, ModelConfig
from daflow.model.torch_file import load_torch_file


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
        ({"config": {"window": 10**9}}, "does not fit its own configuration: config.window"),
        ({"config": {"steps": True}}, "config.steps"),
        ({"config": {"steps": "8"}}, "config.steps"),
        ({"config": {"prior_mean": 1e300}}, "config.prior_mean"),
        ({"config": {"layers": 3}}, "config.layers"),
        ({"state": None}, "does not fit"),
        ({"state": {}}, "the weight steps.0.actnorm.bias is missing"),
        ({"state": {1: torch.zeros(1)}}, "state"),
        ({"state": {"steps.0.actnorm.bias": [0, 0]}}, "state.steps.0.actnorm.bias"),
        ({"training": 5}, "training"),
        ({"training": "a text"}, "training"),
        ({"training": [1, 2]}, "training"),
        ({"training": {1: 2}}, "training"),
        ({"training": {"losses": torch.zeros(2)}}, "training: a value of the kind Tensor"),
        ({"training": {"data": "\ud800"}}, "training"),
        ({"training": {"seed": 10**400}}, "training"),
        ({"fps": True}, "fps"),
        ({"fps": "25"}, "fps"),
        ({"fps": 1e300}, "fps"),
        ({"fps": 0.0}, "fps"),
        ({"version": True}, "version True"),
        ({"version": torch.ones(2)}, "version unknown"),
        ({"version": "x" * 10**6}, "version 'xxx"),
        ({"format": torch.ones(2)}, "is not a checkpoint of daflow"),
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


FIRST = "steps.0.actnorm.bias"  # float32, 1x2x1x1


@pytest.mark.parametrize(
    ("weight", "complaint"),
    [
        (torch.full((1, 2, 1, 1), torch.nan), "is NaN or infinite"),
        (torch.full((1, 2, 1, 1), torch.inf), "is NaN or infinite"),
        (torch.zeros(1, 2, 1, 1, dtype=torch.float64), "is not a plain tensor of torch.float32"),
        (torch.zeros(1, 2, 1, 1, dtype=torch.int64), "is not a plain tensor"),
        (torch.zeros(1, 2, 1, 1, dtype=torch.bool), "is not a plain tensor"),
        (torch.zeros(2), "has the shape 2 instead of 1x2x1x1"),
        (torch.zeros(()), r"has the shape \(\) instead"),
        (torch.zeros(1).expand(1 << 40), "has the shape 1099511627776 instead"),
        (torch.zeros(1, 2, 1, 1).to_sparse(), "is not a checkpoint"),
        (torch.zeros(1, 2, 1, 1, device="meta"), "is not a checkpoint"),
        (torch.zeros(1, 2, 1, 1, dtype=torch.complex64), "is not a checkpoint"),
        (torch.zeros(1, 2, 1, 1, dtype=torch.bfloat16), "is not a checkpoint"),
    ],
)
def test_a_weight_of_another_kind_is_refused(saved: Path, weight: torch.Tensor, complaint: str) -> None:
    state = torch.load(saved, weights_only=True)["state"]
    with pytest.raises(InputError, match=complaint):
        load_checkpoint(changed(saved, state={**state, FIRST: weight}))


def test_a_negative_variance_and_a_weight_too_many_are_refused(saved: Path) -> None:
    state = torch.load(saved, weights_only=True)["state"]
    variance = next(name for name in state if name.endswith("running_var"))
    with pytest.raises(InputError, match="is a variance and is negative"):
        load_checkpoint(changed(saved, state={**state, variance: -state[variance]}))
    with pytest.raises(InputError, match="holds the weight extra, which the model does not have"):
        load_checkpoint(changed(saved, state={**state, "extra": torch.zeros(1)}))


def test_a_weight_that_is_a_view_is_read(saved: Path) -> None:
    state = torch.load(saved, weights_only=True)["state"]
    view = torch.arange(8.0).view(1, 2, 2, 2)[:, :, 1:, :1]
    model = load_checkpoint(changed(saved, state={**state, FIRST: view})).model
    assert model.state_dict()[FIRST].flatten().tolist() == [2.0, 6.0]


def shared_lists() -> list[Any]:
    """A kilobyte that holds 10^18 values."""
    value: list[Any] = [0] * 10
    for _ in range(17):
        value = [value] * 10
    return value


def list_in_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [shared_lists(), list_in_itself()])
@pytest.mark.parametrize("name", ["training", "version", "config", "state", "fps", "format"])
def test_a_small_file_of_endless_values_is_refused(saved: Path, name: str, value: object) -> None:
    with pytest.raises(InputError):
        load_checkpoint(changed(saved, **{name: {"a": value} if name == "training" else value}))


class Makes:
    """What calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., object], *args: object) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("made", [(bytearray, 1 << 30), (torch.Tensor, 1 << 30), (set, ((1,),))])
def test_nothing_is_called_but_what_makes_tensors(
    saved: Path, made: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch lets `bytearray(n)` in: a gigabyte of zeros from a file of a kilobyte."""
    changed(saved, training={"a": Makes(*made)})
    monkeypatch.delattr(torch, "load")  # not even asked
    with pytest.raises(InputError, match="is not a checkpoint of daflow, or it is damaged or holds code"):
        load_checkpoint(saved)


def packed(path: Path, change: Callable[[str, bytes], bytes], kind: int = zipfile.ZIP_STORED) -> None:
    old, new = zipfile.ZipFile(path), io.BytesIO()
    with zipfile.ZipFile(new, "w", kind) as archive:
        for name in old.namelist():
            archive.writestr(name, change(name, old.read(name)))
    path.write_bytes(new.getvalue())


def test_an_archive_that_unpacks_to_more_than_its_own_size_is_not_unpacked(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swollen(name: str, content: bytes) -> bytes:
        return bytes(1 << 24) if name.endswith("data/0") else content

    packed(saved, swollen, zipfile.ZIP_DEFLATED)
    assert saved.stat().st_size < 1 << 18
    monkeypatch.delattr(torch, "load")
    with pytest.raises(InputError, match="is not a checkpoint"):
        load_checkpoint(saved)


def test_a_tensor_that_declares_more_values_than_are_there_is_refused(saved: Path) -> None:
    packed(saved, lambda name, content: b"" if name.endswith("data/0") else content)
    with pytest.raises(InputError, match="is not a checkpoint"):
        load_checkpoint(saved)


def test_two_entries_of_one_name_are_refused(saved: Path) -> None:
    """Torch may read another one of them than was checked."""
    with zipfile.ZipFile(saved, "a") as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        archive.writestr(name.upper(), archive.read(name))
    with pytest.raises(InputError, match="is not a checkpoint"):
        load_checkpoint(saved)


BOMB = pickle.dumps(Makes(bytearray, 1 << 27), 2)


def test_an_older_form_of_a_file_hidden_before_an_archive_is_not_read(saved: Path) -> None:
    """What follows is an archive of nothing, which a reader of archives finds at the end of any file."""
    saved.write_bytes(BOMB + b"PK\x05\x06" + bytes(18))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="is not a checkpoint"):
            load_checkpoint(saved)
        assert tracemalloc.get_traced_memory()[1] < 1 << 26
    finally:
        tracemalloc.stop()


def archive(**entries: bytes) -> tuple[bytes, bytes, bytes]:
    """An archive in three parts: its entries, its directory and its end."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as new:
        for name, content in entries.items():
            new.writestr(f"a/{name.replace('_', '.')}", content)
    whole, start = file.getvalue(), new.start_dir
    return whole[:start], whole[start:-22], whole[-22:]


def test_the_entries_that_are_checked_are_those_that_are_read(saved: Path) -> None:
    """Of two directories torch takes the one that the end points at, and zipfile the one that lies before the end."""
    entries, first, _ = archive(data_pkl=BOMB, byteorder=b"little", version=b"3\n")
    nothing = pickle.dumps(0, 2).ljust(len(BOMB), b"\0")
    harmless, second, end = archive(data_pkl=nothing, byteorder=b"little", version=b"3\n")
    end = end[:16] + len(entries).to_bytes(4, "little") + end[20:]
    saved.write_bytes(entries + first + harmless + second + end)
    assert len(torch.load(saved, weights_only=True)) == 1 << 27
    assert load_torch_file(saved) == 0


def test_any_changed_byte_is_refused_or_changes_a_value(saved: Path) -> None:
    content = saved.read_bytes()
    for position in range(0, len(content), 997):
        saved.write_bytes(content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :])
        with contextlib.suppress(InputError):
            load_checkpoint(saved)


def test_the_evidence_comes_back_as_it_was(evidence_file: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(evidence_file)
    assert checkpoint.evidence is not None
    assert checkpoint.channels == ("flow", "shape", "motion")
    again = tmp_path / "again.pt"
    save_checkpoint(again, checkpoint)
    loaded = load_checkpoint(again).evidence
    assert loaded is not None
    assert (loaded.windows, loaded.lag) == (checkpoint.evidence.windows, 4)
    nll, poses = torch.randn(3), torch.randn(3, 2, 24, 18)
    assert torch.equal(loaded(nll, poses)[0], checkpoint.evidence(nll, poses)[0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"channels": ["shape", "flow"]}, "it must be flow, and then shape, motion or both"),
        ({"channels": ["flow"]}, "it must be flow, and then shape, motion or both"),
        ({"lag": 24}, "its movement is over 24 poses, which no window holds"),
        ({"levels": 65}, "less than or equal to 64"),
        ({"windows": -1}, "greater than or equal to 0"),
        (
            {"channels": ["flow", "shape"]},
            "it holds the weight others.motion.travel, which the model does not have",
        ),
        ({"levels": 2}, "the weight surprise.levels has the shape"),
        ({"state": {}}, "the weight others.shape.poses.mean is missing"),
    ],
)
def test_evidence_that_does_not_fit_is_refused(
    evidence_file: Path, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    content = torch.load(evidence_file, weights_only=True)
    path = tmp_path / "changed.pt"
    torch.save({**content, "evidence": {**content["evidence"], **change}}, path)
    with pytest.raises(InputError, match=reason):
        load_checkpoint(path)


def test_evidence_with_numbers_that_are_none_is_refused(evidence_file: Path, tmp_path: Path) -> None:
    content = torch.load(evidence_file, weights_only=True)
    content["evidence"]["state"]["surprise.slopes"][0, 0] = float("nan")
    path = tmp_path / "changed.pt"
    torch.save(content, path)
    with pytest.raises(InputError, match=r"surprise\.slopes is NaN or infinite"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("surprise.slopes", -1.0, "the levels of its surprise do not rise"),
        ("surprise.levels", 1.0, "the levels of its surprise do not rise"),
        ("others.motion.travel", 0.0, "its normal bodies do not move"),
    ],
)
def test_evidence_that_would_score_nobody_is_refused(
    evidence_file: Path, tmp_path: Path, name: str, values: float, reason: str
) -> None:
    content = torch.load(evidence_file, weights_only=True)
    content["evidence"]["state"][name].fill_(values)
    path = tmp_path / "changed.pt"
    torch.save(content, path)
    with pytest.raises(InputError, match=reason):
        load_checkpoint(path)


def test_a_version_that_knows_no_evidence_refuses_it_and_reads_a_flow_alone(
    evidence_file: Path, checkpoint_file: Path
) -> None:
    versions = [torch.load(path, weights_only=True)["version"] for path in (evidence_file, checkpoint_file)]
    assert versions == [2, 1]

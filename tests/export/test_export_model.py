"""`export_model`, the export as a function."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from daflow.core.bundle import read_bundle
from daflow.core.data.frame_masks import read_masks
from daflow.core.data.tracks import read_clips
from daflow.core.errors import CheckFailed, InputError
from daflow.model.checkpoint import Checkpoint, save_checkpoint
from export.bundle import export_model


@pytest.mark.usefixtures("quick_export")
def test_a_path_and_clips_give_a_bundle(checkpoint_file: Path, dataset: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    bundle = export_model(
        str(checkpoint_file), str(tmp_path / "b"), engine=False, verify_on=read_clips(dataset / "test"),
        masks=read_masks(dataset / "masks"), batch=(1, 2, 8), workspace=32, report=lines.append,
    )  # fmt: skip
    assert read_bundle(tmp_path / "b") == bundle
    assert bundle.folder == tmp_path / "b"
    assert list(bundle.manifest.precisions) == ["fp32", "fp16"]
    assert bundle.manifest.verification["fp16"].comparison.auc_delta is not None
    assert (bundle.manifest.engine_options.batch, bundle.manifest.engine_options.workspace) == ((1, 2, 8), 32)
    assert [line.split(":")[0] for line in lines] == ["folded", "fp32", "fp16"]
    assert "windows of 3 recordings" in (tmp_path / "b" / "verification.html").read_text()


@pytest.mark.usefixtures("quick_export")
def test_a_model_in_memory_is_exported_like_its_file(checkpoint: Checkpoint, tmp_path: Path) -> None:
    for name, model in (("checkpoint", checkpoint), ("trained", SimpleNamespace(checkpoint=checkpoint))):
        bundle = export_model(model, tmp_path / name, fp16=False, engine=False)
        assert bundle.manifest.training == checkpoint.training
        assert list(bundle.manifest.precisions) == ["fp32"]


@pytest.mark.usefixtures("quick_export")
def test_safetensors_are_exported_like_torch_s_form(checkpoint: Checkpoint, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model.safetensors", checkpoint)
    bundle = export_model(tmp_path / "model.safetensors", tmp_path / "b", fp16=False, engine=False)
    assert bundle.manifest.training == checkpoint.training


@pytest.mark.usefixtures("quick_export")
def test_a_missed_limit_is_raised(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="The folded form does not score as the model does"):
        export_model(checkpoint, tmp_path / "b", limits={"fp32.max_error": 0}, engine=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masks": "masks"}, "need the recordings"),
        ({"ranges": "ranges.json"}, "need --int8"),
        ({"batch": (4, 2, 1)}, "engine option batch .* ascending order"),
        ({"workspace": 0}, "engine option workspace"),
        ({"limits": {"fp16.speed": 1.0}}, "fp16.speed"),
        ({"calibrate_on": []}, "The list of clips gives no window"),
        ({"verify_on": "nowhere"}, "There is no folder nowhere"),
    ],
)
def test_wrong_arguments_are_explained(
    checkpoint: Checkpoint, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        export_model(checkpoint, tmp_path / "b", engine=False, **options)  # type: ignore[arg-type]
    assert not (tmp_path / "b").exists()

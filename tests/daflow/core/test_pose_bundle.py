"""A pose bundle is read only as it was written: what was changed, is missing or of another version is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daflow.core.bundle import read_bundle
from daflow.core.errors import InputError
from daflow.core.files import sha256
from daflow.core.pose_bundle import (
    Network,
    Origin,
    PoseComparison,
    PoseLimits,
    PoseManifest,
    PoseVerdict,
    is_pose_bundle,
    read_pose_bundle,
    write_pose_manifest,
)


def network(name: str, **values: Any) -> Network:
    return Network(
        **{
            "layout": "nanodet" if name == "detector" else "blazepose", "width": 64, "height": 48,
            "joints": 0 if name == "detector" else 33, "precisions": {"fp32": f"{name}.fp32.onnx"},
            "source": Origin(file=f"{name}.task", sha256="a" * 64), **values,
        }
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pose.bundle"
    folder.mkdir()
    for name in ("detector", "landmarks"):
        (folder / f"{name}.fp32.onnx").write_bytes(name.encode())
    missed = PoseVerdict(
        comparison=PoseComparison(pictures=1, people=1, median_error=2),
        limits=PoseLimits(median_error=1),
        missed=("median_error is 2, at most 1 is allowed",),
    )
    manifest = PoseManifest(
        daflow="0.1.0", created="2026-11-26T10:00:00+00:00", verified_on="street.mp4",
        networks={"detector": network("detector"), "landmarks": network("landmarks", verification={"fp32": missed})},
        files={path.name: sha256(path) for path in folder.iterdir()},
    )  # fmt: skip
    write_pose_manifest(folder, manifest)
    return folder


def rewrite(folder: Path, **values: Any) -> None:
    """Change a manifest and give it the right checksum, as another version would have written it."""
    manifest = read_pose_bundle(folder).manifest
    write_pose_manifest(folder, manifest.model_copy(update=values))


def test_it_reads_what_was_written(folder: Path) -> None:
    bundle = read_pose_bundle(folder)
    assert bundle.graph("landmarks", "fp32") == folder / "landmarks.fp32.onnx"
    assert (bundle.network("detector").joints, bundle.network("landmarks").joints) == (0, 33)
    assert bundle.missed_limits("landmarks", "fp32") == ("median_error is 2, at most 1 is allowed",)
    assert bundle.missed_limits("detector", "fp32") == ()
    assert is_pose_bundle(folder)
    assert json.loads((folder / "manifest.json").read_text())["schema"] == 1


def test_a_graph_that_it_does_not_have_is_named(folder: Path) -> None:
    bundle = read_pose_bundle(folder)
    with pytest.raises(InputError, match="has no int8 graph of landmarks; it has fp32"):
        bundle.graph("landmarks", "int8")
    rewrite(folder, networks={"detector": network("detector", layout="yolo-pose", joints=17)})
    with pytest.raises(InputError, match="has no network landmarks"):
        read_pose_bundle(folder).graph("landmarks", "fp32")


def test_the_key_of_an_engine_is_of_its_own_graph(folder: Path) -> None:
    bundle = read_pose_bundle(folder)
    keys = [
        bundle.engine_key(name, "fp32", "tensorrt", "10.3.0", "sm87", "Orin")  # type: ignore[arg-type]
        for name in ("detector", "landmarks")
    ]
    assert [key.graph for key in keys] == [
        sha256(folder / f"{n}.fp32.onnx") for n in ("detector", "landmarks")
    ]


def test_a_changed_or_missing_file_is_named(folder: Path) -> None:
    (folder / "detector.fp32.onnx").write_bytes(b"other")
    with pytest.raises(
        InputError, match=r"detector\.fp32\.onnx was changed since the pose bundle was written"
    ):
        read_pose_bundle(folder)
    (folder / "detector.fp32.onnx").unlink()
    with pytest.raises(InputError, match=r"The file detector\.fp32\.onnx of the pose bundle .* is missing"):
        read_pose_bundle(folder)


def test_a_manifest_that_was_changed_by_hand_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"width": 64', '"width": 65'))
    with pytest.raises(InputError, match=r"was changed since it was written\. Export the pose bundle again"):
        read_pose_bundle(folder)


def test_a_bundle_of_another_version_is_refused(folder: Path) -> None:
    rewrite(folder, schema_version=2)
    with pytest.raises(InputError, match="has pose bundle schema 2, but this version of daflow reads 1"):
        read_pose_bundle(folder)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"files": {"../outside": "a" * 64}}, "plain name of a file"),
        ({"files": {}}, r"it has no hash of detector\.fp32\.onnx"),
        ({"networks": {"other": network("detector")}}, "networks.other"),
        (
            {"networks": {"detector": network("detector").model_copy(update={"width": 10**6})}},
            "networks.detector.width",
        ),
        (
            {"networks": {"detector": network("detector").model_copy(update={"layout": "ssd"})}},
            "networks.detector.layout",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_a_manifest_that_makes_no_sense_is_refused(folder: Path, values: dict[str, Any], words: str) -> None:
    rewrite(folder, **values)
    with pytest.raises(InputError, match=words):
        read_pose_bundle(folder)


def test_the_two_kinds_of_bundle_are_not_taken_for_each_other(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not the manifest of a bundle"):
        read_bundle(folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.json").write_text('{"format": "daflow-bundle", "schema": 3}')
    assert not is_pose_bundle(other)
    assert not is_pose_bundle(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is not the manifest of a pose bundle"):
        read_pose_bundle(other)
    with pytest.raises(InputError, match="'daflow-export pose' writes one"):
        read_pose_bundle(tmp_path)

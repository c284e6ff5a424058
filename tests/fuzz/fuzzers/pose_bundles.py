"""Pose bundles: their manifests, with a right checksum or without, and what their networks are opened by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st
from onnx import TensorProto

from daflow.core.pose_bundle import (
    Network,
    Origin,
    PoseBundle,
    PoseComparison,
    PoseInt8,
    PoseLimits,
    PoseManifest,
    PoseVerdict,
    read_pose_bundle,
    update_pose_manifest,
    write_pose_manifest,
)
from export.commands.inspect import _screen, describe
from runtime.poses.opened_networks import open_networks

from ..fuzzer import Check, Fuzzer
from ..inputs import WILD_VALUES, Input, Raw, json_trees, mutated, mutated_trees
from .bundles import graph, signed

_FILES = ("detector.fp32.onnx", "landmarks.fp32.onnx")
_RANGES = "landmarks.int8.ranges.json"


_GRAPH = graph("images", TensorProto.UINT8, (64, 64, 3), "presence")


def _manifest() -> PoseManifest:
    digest = hashlib.sha256(_GRAPH).hexdigest()
    verdict = PoseVerdict(
        comparison=PoseComparison(pictures=3, people=5, median_error=0.5, agreement=1),
        limits=PoseLimits(median_error=0.25, agreement=0.9),
        missed=("median_error is 0.5, at most 0.25 is allowed",),
    )
    int8 = PoseInt8(ranges=_RANGES, method="minmax", pictures=9, quantised=("a",), kept=("b",))
    source = Origin(file="network.onnx", sha256="a" * 64)
    return PoseManifest(
        daflow="0.1.0", created="2026-01-01T00:00:00Z", verified_on="street.mp4",
        files=dict.fromkeys((*_FILES, _RANGES), digest),
        networks={
            "detector": Network(
                layout="nanodet", width=64, height=64, joints=0, precisions={"fp32": _FILES[0]}, source=source,
                nodes={"fp32": 1}, licence="MIT",
            ),
            "landmarks": Network(
                layout="blazepose", width=64, height=64, joints=33, precisions={"fp32": _FILES[1], "int8": _FILES[0]},
                source=source, verification={"fp32": verdict}, int8=int8,
            ),
        },
    )  # fmt: skip


def _seeds() -> list[Input]:
    content = _manifest().model_dump(mode="json", by_alias=True)
    networks = content["networks"]
    alone = {**content, "networks": {"landmarks": networks["landmarks"]}}
    wide = {**content, "networks": {**networks, "detector": {**networks["detector"], "width": 96}}}
    deep = {**content, "verified_on": Raw('{"a":' * 300 + "0" + "}" * 300)}
    kinds = {"valid": content, "landmarks-alone": alone, "wide": wide, "deep": deep}
    return [Input(f"{name}.json", signed(each)) for name, each in kinds.items()]


def _mutated(inputs: Sequence[Input]) -> st.SearchStrategy[Input]:
    wild = (
        *WILD_VALUES, *_FILES, _RANGES, "fp16", "yolo-pose", "detector", "manifest.json", ".", "engines", 8, 33,
    )  # fmt: skip

    def structured(kind: str, contents: list[bytes]) -> st.SearchStrategy[bytes]:
        return mutated_trees(json_trees(contents), wild).map(signed)

    return mutated(inputs, structured)


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    for name in (*_FILES, _RANGES):
        (folder / name).write_bytes(_GRAPH)
    (folder / "engines" / "landmarks").mkdir(parents=True)

    def check(given: Input) -> None:
        (folder / "manifest.json").write_bytes(given.content)
        _use(read_pose_bundle(folder))

    yield check


def _use(bundle: PoseBundle) -> None:
    """Do what the commands and the edge do with a manifest that was read."""
    _screen(describe(bundle.folder))
    for name, network in bundle.manifest.networks.items():
        for precision in network.precisions:
            bundle.missed_limits(name, precision)
            bundle.engine_key(name, precision, "tensorrt", "10.3.0", "sm87", None)
    write_pose_manifest(bundle.folder, bundle.manifest)
    update_pose_manifest(read_pose_bundle(bundle.folder), lambda manifest: {"networks": manifest.networks})
    open_networks(bundle, "onnxruntime").close()


FUZZER = Fuzzer(_seeds, _mutated, _opened)

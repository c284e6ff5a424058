"""Bundles: their manifests, with a right checksum or without; engine files are those of another fuzzer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from onnx import TensorProto, helper

import daflow
from daflow.core.alarms.calibration import AlarmCalibration, NormalScores
from daflow.core.bundle import Bundle, Int8, Manifest, read_bundle, update_manifest, write_manifest
from daflow.core.data.synthetic import Scene, generate_clip
from export.commands.inspect import describe

from ..fuzzer import Check, Fuzzer
from ..inputs import WILD_VALUES, Input, Raw, json_trees, mutated, mutated_trees, to_json


def graph(picture: str, element: int, sizes: Sequence[int], result: str) -> bytes:
    """Return an ONNX graph from one input of these sizes for each row to the mean of each row."""
    source = helper.make_tensor_value_info(picture, element, ["batch", *sizes])
    target = helper.make_tensor_value_info(result, TensorProto.FLOAT, ["batch"])
    nodes = [
        helper.make_node("Cast", [picture], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], [result], axes=[1, 2, 3], keepdims=0),
    ]
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [source], [target]), opset_imports=opsets, ir_version=8
    )
    content: bytes = model.SerializeToString()
    return content


_GRAPH = graph("poses", TensorProto.FLOAT, (2, 24, 18), "nll")
_CLIP, _ = generate_clip("clip", 0, Scene(frames=60))
_FILES = ("scorer.fp32.onnx", "int8.ranges.json")
_INSIDE = "graphs/scorer.fp16.onnx"


def _manifest() -> Manifest:
    digest = hashlib.sha256(_GRAPH).hexdigest()
    calibration = AlarmCalibration(
        threshold=2.5, method="pot", begin_seconds=0.2, end_seconds=1, cool_down_seconds=30, smoothing_seconds=2,
        target_per_day=1, expected_per_day=1, interval_per_day=(0.5, 1.75), promised=True, hours=30, fps=12.5,
        windows=1000, precision="fp32", normal=NormalScores(size=9, scores=(0.5, 1, 2), at_least=(9, 4, 1)),
    )  # fmt: skip
    return Manifest(
        daflow="0.1.0", created="2025-01-01T00:00:00Z", model={"steps": 8}, parameters=488, window=24, max_missing=2,
        fps=25.0, precisions={"fp32": _FILES[0]}, files=dict.fromkeys(_FILES, digest),
        training={"data": "generated", "losses": [1.5, 1.25]}, nodes={"fp32": 171},
        int8=Int8(ranges=_FILES[1], method="minmax", windows=9, quantised=("a",), kept=("b",)),
        alarm=calibration, cameras={"door": calibration},
    )  # fmt: skip


def _seeds() -> list[Input]:
    content = _manifest().model_dump(mode="json", by_alias=True)
    deep = {**content, "training": {"a": Raw('{"a":' * 300 + "0" + "}" * 300)}}
    windows = {**content, "window": 17}
    channels = {**content, "evidence": {"channels": ["flow", "shape"], "windows": 100}}
    files = {**content["files"], _INSIDE: content["files"][_FILES[0]]}
    inside = {**content, "precisions": {"fp32": _INSIDE}, "files": files}
    return [
        Input(f"{name}.json", signed(each))
        for name, each in (
            ("valid", content),
            ("deep", deep),
            ("inside", inside),
            ("other-window", windows),
            ("other-channels", channels),
        )
    ]


def signed(content: Any) -> bytes:
    """Return a manifest whose checksum is right where that can be computed."""
    if not isinstance(content, dict):
        return to_json(content)
    try:
        plain = json.loads(to_json({key: value for key, value in content.items() if key != "checksum"}))
        canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return to_json(content)
    return to_json({**content, "checksum": hashlib.sha256(canonical.encode()).hexdigest()})


def _mutated(inputs: Sequence[Input]) -> st.SearchStrategy[Input]:
    wild = (
        *WILD_VALUES,
        *_FILES,
        _INSIDE,
        "fp16",
        "engines",
        "manifest.json",
        ".",
        "graphs",
        "scorer.fp32.onnx/",
    )

    def structured(kind: str, contents: list[bytes]) -> st.SearchStrategy[bytes]:
        return mutated_trees(json_trees(contents), wild).map(signed)

    return mutated(inputs, structured)


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    for name in (*_FILES, _INSIDE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(_GRAPH)
    (folder / "engines").mkdir()

    def check(given: Input) -> None:
        (folder / "manifest.json").write_bytes(given.content)
        bundle = read_bundle(folder)
        _use(bundle)

    yield check


def _use(bundle: Bundle) -> None:
    """Do what the commands do with a manifest that was read."""
    describe(bundle.folder)
    bundle.alarm_for("door")
    for precision in bundle.manifest.precisions:
        bundle.missed_limits(precision)
        bundle.engine_key(precision, "tensorrt", "10.3.0", "sm87", None)
    write_manifest(bundle.folder, bundle.manifest)
    update_manifest(read_bundle(bundle.folder), lambda manifest: {"alarm": manifest.alarm})
    daflow.load(bundle.folder).score([_CLIP])


FUZZER = Fuzzer(_seeds, _mutated, _opened)

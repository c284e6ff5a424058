"""TensorRT is real here: TensorRT for RTX builds for GPUs that this machine does not have."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import onnx
import pytest
from onnx import helper

from daflow.errors import InputError
from daflow.files import sha256
from export.engine import MAX_BATCH, ahead_of_time_targets, build_engine, find_builder


@pytest.fixture(scope="module")
def trt() -> ModuleType:
    module = find_builder(ahead_of_time=True)
    if module is None:
        pytest.skip("TensorRT for RTX is not installed (it has wheels for x86-64 only)")
    return module


@pytest.mark.parametrize("target", ["sm86", "sm89"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_both_precisions_build_ahead_of_time(
    trt: ModuleType, graphs: dict[str, Path], tmp_path: Path, precision: str, target: str
) -> None:
    folder = tmp_path / "engines"
    engine = build_engine(trt, graphs[precision], folder, precision, target, True, 24)  # type: ignore[arg-type]
    assert (tmp_path / engine.file).stat().st_size > 10_000
    assert (engine.target, engine.precision, engine.max_batch) == (target, precision, MAX_BATCH)
    assert engine.flavour == "tensorrt_rtx"
    assert engine.version == trt.__version__
    assert engine.graph == sha256(graphs[precision])


def test_jetson_orin_cannot_be_built_for_elsewhere(
    trt: ModuleType, graphs: dict[str, Path], tmp_path: Path
) -> None:
    assert "sm87" not in ahead_of_time_targets(trt)
    with pytest.raises(InputError, match=r"cannot build for sm87 .* it can for sm75, .*on the device itself"):
        build_engine(trt, graphs["fp32"], tmp_path, "fp32", "sm87", True, 24)


def test_a_file_that_is_no_graph_is_named(trt: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "no.onnx"
    path.write_bytes(b"this is no graph")
    with pytest.raises(InputError, match=r"no\.onnx"):
        build_engine(trt, path, tmp_path, "fp32", "sm86", True, 24)


def test_tensorrts_own_words_are_in_the_error(trt: ModuleType, tmp_path: Path) -> None:
    poses = helper.make_tensor_value_info("poses", onnx.TensorProto.FLOAT, ["b", 2, 24, 18])
    nll = helper.make_tensor_value_info("nll", onnx.TensorProto.FLOAT, ["b"])
    graph = helper.make_graph([helper.make_node("NoSuchOperator", ["poses"], ["nll"])], "g", [poses], [nll])
    path = tmp_path / "strange.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    with pytest.raises(InputError, match="NoSuchOperator"):
        build_engine(trt, path, tmp_path, "fp32", "sm86", True, 24)
    assert not list(tmp_path.glob("*.engine"))

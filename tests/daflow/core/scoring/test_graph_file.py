"""ONNX files whose weights are in another file are refused, wherever in the graph those are."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from daflow.core.engines.builder import BuildRequest, build_plan
from daflow.core.errors import InputError
from daflow.core.scoring.graph_file import has_external_data, read_graph
from daflow.core.scoring.onnx import OnnxScorer


def tensor(location: str | None = None) -> TensorProto:
    found: TensorProto = numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")
    if location:
        found.data_location = TensorProto.EXTERNAL
        entry = found.external_data.add()
        entry.key, entry.value = "location", location
        found.ClearField("raw_data")
    return found


def model(*nodes: onnx.NodeProto, weights: tuple[TensorProto, ...] = ()) -> onnx.ModelProto:
    graph = helper.make_graph(list(nodes), "g", [], [], initializer=list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def constant(location: str | None) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["c"], value=tensor(location))


def branches(location: str | None) -> onnx.ModelProto:
    """A constant in a branch of a branch."""
    inner = helper.make_graph([constant(location)], "inner", [], [])
    middle = helper.make_graph([helper.make_node("If", ["x"], ["y"], then_branch=inner)], "middle", [], [])
    return model(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=middle))


def in_function(location: str | None) -> onnx.ModelProto:
    found = model()
    found.functions.append(
        helper.make_function("own", "f", [], ["c"], [constant(location)], [helper.make_opsetid("", 17)])
    )
    return found


def in_sparse(location: str | None) -> onnx.ModelProto:
    found = model()
    found.graph.sparse_initializer.add().values.CopyFrom(tensor(location))
    return found


def in_training(location: str | None) -> onnx.ModelProto:
    found = model()
    found.training_info.add().algorithm.node.append(constant(location))
    return found


def in_list(location: str | None) -> onnx.ModelProto:
    node = helper.make_node("Own", [], ["c"])
    node.attribute.append(helper.make_attribute("tensors", [tensor(), tensor(location)]))
    return model(node)


PLACES = {
    "initializer": lambda location: model(weights=(tensor(), tensor(location))),
    "constant": lambda location: model(constant(location)),
    "branch": branches, "function": in_function, "sparse": in_sparse, "training": in_training, "list": in_list,
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_external_data_is_found_in_every_place_that_a_tensor_can_be(place: str) -> None:
    assert has_external_data(PLACES[place]("other.bin").SerializeToString())
    assert not has_external_data(PLACES[place](None).SerializeToString())


def test_either_of_the_two_fields_is_enough() -> None:
    location, entry = tensor("x"), tensor("x")
    location.ClearField("external_data")
    entry.ClearField("data_location")
    for weight in (location, entry):
        assert has_external_data(model(weights=(weight,)).SerializeToString())


def test_no_message_of_onnx_with_a_tensor_in_it_is_unknown_here() -> None:
    from daflow.core.scoring import graph_file

    names = {
        "ModelProto": "model", "TrainingInfoProto": "training", "GraphProto": "graph", "FunctionProto": "function",
        "NodeProto": "node", "AttributeProto": "attribute", "SparseTensorProto": "sparse tensor",
        "TensorProto": "tensor",
    }  # fmt: skip
    for theirs, ours in names.items():
        fields = getattr(onnx, theirs).DESCRIPTOR.fields
        found = {
            field.number: names[field.message_type.name]
            for field in fields
            if field.message_type is not None and field.message_type.name in names
        }
        assert graph_file._MESSAGES[ours] == found


@pytest.fixture
def external(tmp_path: Path) -> Path:
    """A graph that scores windows, whose weights are in a file beside it."""
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["poses"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["column"]),
            helper.make_node("Flatten", ["column"], ["nll"]),
        ],
        "g",
        [helper.make_tensor_value_info("poses", TensorProto.FLOAT, ["b", 2, 24, 18])],
        [helper.make_tensor_value_info("nll", TensorProto.FLOAT, ["b", 1])],
        [numpy_helper.from_array(np.ones((2 * 24 * 18, 1), np.float32), "w")],
    )
    scorer = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "bundle" / "scorer.fp32.onnx"
    path.parent.mkdir()
    onnx.save(scorer, path)
    OnnxScorer(path)  # as long as it holds its weights
    onnx.save(scorer, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


@pytest.mark.parametrize("inside", [True, False])
def test_a_graph_with_weights_inside_or_outside_of_its_folder_is_neither_run_nor_built(
    external: Path, inside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if inside:
        onnxruntime.InferenceSession(str(external))  # it would run
    else:
        shutil.move(external.parent / "weights.bin", external.parents[1] / "weights.bin")
        content = onnx.load(external, load_external_data=False)
        for weight in content.graph.initializer:
            for entry in weight.external_data:
                entry.value = "../weights.bin" if entry.key == "location" else entry.value
        external.write_bytes(content.SerializeToString())
    monkeypatch.chdir(external.parent)  # from bytes, ONNX Runtime looks in the working folder
    with pytest.raises(InputError, match=r"scorer\.fp32\.onnx has weights in another file"):
        OnnxScorer(external)
    with pytest.raises(InputError, match=r"scorer\.fp32\.onnx has weights in another file"):
        build_plan(SimpleNamespace(__name__="tensorrt", __version__="10"), BuildRequest(external, "fp32"))  # type: ignore[arg-type]


def test_the_graphs_of_this_toolkit_are_read(graphs: dict[str, Path]) -> None:
    for path in graphs.values():
        assert read_graph(path) == path.read_bytes()


@pytest.mark.parametrize(
    "content", [b"\x08", b"\x3a\x05abc", b"\x0b", b"\x3b\x3c", b"\x38\x01", b"\xff" * 11]
)
def test_what_is_no_protobuf_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.onnx is not an ONNX file, or it is damaged"):
        OnnxScorer(tmp_path / "x.onnx")


@given(st.binary(max_size=60))
def test_any_bytes_are_a_protobuf_or_a_value_error(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert has_external_data(content) in (True, False)

"""`daflow-export inspect`: a bundle, an engine or an ONNX file on one screen, anything else in one sentence."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from daflow.core.bundle import read_bundle
from daflow.core.engines.cache import store_engine
from daflow.core.engines.file import read_engine, write_engine
from daflow.core.errors import InputError
from daflow.core.scoring.onnx import OnnxScorer
from export.cli import main


def inspect(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["inspect", *[str(argument) for argument in arguments]])


@pytest.fixture
def engine(bundle_copy: Path) -> Path:
    key = read_bundle(bundle_copy).engine_key("fp16", "tensorrt", "10.3.0", "sm87", "Orin")
    path = bundle_copy / "engines" / key.file_name
    store_engine(path, key, b"plan", 2.5, None)
    return path


def test_a_bundle_on_one_screen(bundle_copy: Path, engine: Path) -> None:
    result = inspect(bundle_copy)
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) < 25
    for words in (
        "schema 3", "488 parameters", "windows of 24 poses at", "scorer.fp16.onnx", "verified on", "not calibrated",
        "fp16.sm87.tensorrt.engine: sm87 (Orin), tensorrt 10.3.0; not run yet, so not verified",
    ):  # fmt: skip
        assert words in result.output


def test_a_bundle_with_int8_lists_what_is_quantised(exported_int8: Path) -> None:
    output = inspect(exported_int8).output
    int8 = read_bundle(exported_int8).manifest.int8
    assert int8 is not None
    assert f"{len(int8.quantised)} operations, percentile ranges; in FP32: " in output
    for name in int8.kept:
        assert name in output
    assert "each device builds its own at the first start" in output


def test_a_bundle_for_machines(bundle_copy: Path, engine: Path) -> None:
    facts = json.loads(inspect(bundle_copy, "--json", "-").output)
    assert facts["kind"] == "bundle"
    assert facts["verification"]["fp16"]["comparison"]["windows"] > 1000
    tied = {entry["file"]: entry for entry in facts["engines"]}["fp16.sm87.tensorrt.engine"]
    assert (tied["key"]["target"], tied["stale"]) == ("sm87", False)


def test_a_stale_and_a_broken_engine_are_marked(bundle_copy: Path, engine: Path) -> None:
    header, plan = read_engine(engine)
    other = header.key.model_copy(update={"graph": "b" * 64, "target": "sm72"})
    write_engine(
        engine.with_name("fp16.sm72.tensorrt.engine"), header.model_copy(update={"key": other}), plan
    )
    engine.write_bytes(engine.read_bytes()[:-1])
    result = inspect(bundle_copy)
    assert result.exit_code == 0
    assert "fp16.sm72.tensorrt.engine: STALE, of another graph" in result.output
    assert "is damaged: its contents have changed since it was written" in result.output


def test_an_engine(engine: Path) -> None:
    result = inspect(engine)
    assert result.exit_code == 0, result.output
    for words in ("sm87 (Orin), tensorrt 10.3.0", "from        the fp16 graph", "batch 1,4,32", "2.5 s"):
        assert words in result.output
    assert json.loads(inspect(engine, "--json", "-").output)["key"]["precision"] == "fp16"


def test_a_graph(graphs: dict[str, Path]) -> None:
    result = inspect(graphs["fp16"])
    assert result.exit_code == 0, result.output
    for words in ("opset ai.onnx 17", "poses ['batch', 2, 24, 18] to nll ['batch']", "Gemm 24", "float16"):
        assert words in result.output
    facts = json.loads(inspect(graphs["fp16"], "--json", "-").output)
    assert facts["nodes"] == len(onnx.load(graphs["fp16"]).graph.node)


def test_everything_else_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("hello")
    (tmp_path / "folder").mkdir()
    for name, words in (
        ("empty", "is not a bundle, an engine or an ONNX file"),
        ("text", "is not a bundle, an engine or an ONNX file"),
        ("folder", "is not a bundle"),
        ("missing", "There is no file or folder"),
    ):
        result = inspect(tmp_path / name)
        assert result.exit_code == 2
        assert words in result.output
        assert "Traceback" not in result.output


def open_or_refuse(path: Path) -> None:
    """Both ways in which an ONNX file is opened."""
    assert inspect(path).exit_code in (0, 2)
    with contextlib.suppress(InputError):
        OnnxScorer(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "wild.onnx").write_bytes(content)
    open_or_refuse(tmp_path / "wild.onnx")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8), cut=st.floats(0.2, 1)
)  # fmt: skip
def test_a_spoilt_graph_is_refused_or_read(
    places: list[tuple[float, int]], cut: float, graphs: dict[str, Path], tmp_path: Path
) -> None:
    content = bytearray(graphs["fp32"].read_bytes())
    for place, value in places:
        content[int(place * (len(content) - 1))] = value
    (tmp_path / "spoilt.onnx").write_bytes(content[: int(cut * len(content))])
    open_or_refuse(tmp_path / "spoilt.onnx")


def test_a_graph_that_points_outside_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\0" * 16)
    folder = tmp_path / "models"
    folder.mkdir()
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../secret")
    value = helper.make_tensor_value_info("poses", TensorProto.FLOAT, [4])
    graph = helper.make_graph(
        [helper.make_node("Add", ["poses", "w"], ["nll"])], "g", [value],
        [helper.make_tensor_value_info("nll", TensorProto.FLOAT, [4])], [tensor],
    )  # fmt: skip
    path = folder / "outside.onnx"
    path.write_bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ).SerializeToString()
    )
    with pytest.raises(InputError):
        OnnxScorer(path)
    assert inspect(path).exit_code in (0, 2)

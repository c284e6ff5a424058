"""TensorRT for RTX really builds here, ahead of time. What differs in 8.6 and 10 is tested with an imitation."""

from __future__ import annotations

import enum
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
from onnx import helper

from daflow.core.engines.builder import BuildRequest, ahead_of_time_targets, build_plan
from daflow.core.engines.file import BuildOptions
from daflow.core.errors import InputError
from daflow.core.gpu import load_tensorrt


@pytest.fixture(scope="module")
def trt() -> Any:
    module = load_tensorrt(("tensorrt_rtx",))
    if module is None:
        pytest.skip("TensorRT for RTX is not installed (it has wheels for x86-64 only)")
    return module


@pytest.mark.parametrize(("precision", "target"), [("fp32", "sm86"), ("fp16", "sm89"), ("int8", "sm120")])
def test_every_precision_builds_ahead_of_time(
    trt: Any, exported_int8: Path, precision: Any, target: str
) -> None:
    graph = exported_int8 / f"scorer.{precision}.onnx"
    plan = build_plan(trt, BuildRequest(graph, precision, ahead_of_time=target))
    assert len(plan.data) > 100_000
    assert plan.seconds > 0
    names = {layer["name"] for layer in plan.layers["network"]}
    assert "steps.3.block.values.Gemm" in {name.split(" ")[0] for name in names} or any(
        "steps.3.block.values" in name for name in names
    )


def test_without_a_gpu_the_engines_own_layers_are_not_known_and_it_says_so(
    trt: Any, graphs: dict[str, Path]
) -> None:
    plan = build_plan(trt, BuildRequest(graphs["fp32"], "fp32", ahead_of_time="sm86"))
    json.dumps(plan.layers)
    assert plan.layers["network"][0]["outputs"][0]["type"]
    if plan.layers["engine"] is None:  # with a GPU it is known
        assert "cannot load the engine" in plan.layers["engine_unknown_because"]


def test_jetson_orin_cannot_be_built_for_elsewhere(trt: Any, graphs: dict[str, Path]) -> None:
    assert "sm87" not in ahead_of_time_targets(trt)
    with pytest.raises(InputError, match=r"cannot build for sm87 .* only for sm75, .*--on-device"):
        build_plan(trt, BuildRequest(graphs["fp32"], "fp32", ahead_of_time="sm87"))


def test_a_file_that_is_no_graph_is_named(trt: Any, tmp_path: Path) -> None:
    path = tmp_path / "no.onnx"
    path.write_bytes(b"this is no graph")
    with pytest.raises(InputError, match=r"no\.onnx is not an ONNX file"):
        build_plan(trt, BuildRequest(path, "fp32", ahead_of_time="sm86"))


def test_tensorrts_own_words_are_in_the_error(trt: Any, tmp_path: Path) -> None:
    poses = helper.make_tensor_value_info("poses", onnx.TensorProto.FLOAT, ["b", 2, 24, 18])
    nll = helper.make_tensor_value_info("nll", onnx.TensorProto.FLOAT, ["b"])
    graph = helper.make_graph([helper.make_node("NoSuchOperator", ["poses"], ["nll"])], "g", [poses], [nll])
    path = tmp_path / "strange.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(InputError, match="NoSuchOperator"):
        build_plan(trt, BuildRequest(path, "fp32", ahead_of_time="sm86"))


def test_an_engine_takes_the_input_that_the_graph_has(trt: Any, tmp_path: Path) -> None:
    images = helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["batch", 4, 6, 3])
    floats = helper.make_tensor_value_info("floats", onnx.TensorProto.FLOAT, ["batch", 4, 6, 3])
    cast = helper.make_node("Cast", ["images"], ["floats"], to=onnx.TensorProto.FLOAT)
    path = tmp_path / "pictures.onnx"
    model = helper.make_model(
        helper.make_graph([cast], "g", [images], [floats]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, path)
    assert build_plan(trt, BuildRequest(path, "fp32", ahead_of_time="sm86")).data


class FakeTensor:
    def __init__(self, dtype: str) -> None:
        self.name, self.dtype, self.shape = "tensor", dtype, (1,)


class FakeLayer:
    def __init__(self, name: str, dtype: str) -> None:
        self.name, self.type, self.num_outputs, self.precision = name, "LayerType.X", 1, None
        self.tensor, self.output_types = FakeTensor(dtype), {}

    def get_output(self, position: int) -> FakeTensor:
        return self.tensor

    def set_output_type(self, position: int, dtype: str) -> None:
        self.output_types[position] = dtype


class FakeTensorRT(SimpleNamespace):
    """Records what a build asks of TensorRT; `flags` and `networks` are the enumerations of a version."""

    def __init__(self, version: str, flags: list[str], networks: list[str], monitor: bool) -> None:
        self.layers = [FakeLayer("steps.0.block.values.Gemm", "float32"), FakeLayer("likelihood.Log", "float32"),
                       FakeLayer("likelihood.Reshape", "int64")]  # fmt: skip
        images = SimpleNamespace(name="images", shape=(-1, 4, 6, 3))
        self.network = SimpleNamespace(
            num_layers=3, get_layer=lambda index: self.layers[index], flags=None,
            num_inputs=1, get_input=lambda index: images,
        )  # fmt: skip
        self.set_flags: list[str] = []
        self.config = SimpleNamespace(
            set_memory_pool_limit=lambda pool, size: setattr(self, "workspace", size),
            set_flag=lambda flag: self.set_flags.append(flag.name),
            clear_flag=lambda flag: self.set_flags.append(f"no {flag.name}"),
            add_optimization_profile=lambda profile: None,
        )
        if monitor:
            self.config.progress_monitor = None
        super().__init__(
            __name__="tensorrt", __version__=version, float32="float32",
            BuilderFlag=enum.Enum("BuilderFlag", flags), NetworkDefinitionCreationFlag=enum.IntEnum(
                "NetworkDefinitionCreationFlag", networks, start=0),
            MemoryPoolType=SimpleNamespace(WORKSPACE=0), ProfilingVerbosity=SimpleNamespace(DETAILED=2),
            ILogger=type("ILogger", (), {"Severity": SimpleNamespace(ERROR=1)}),
            OnnxParser=lambda network, logger: SimpleNamespace(parse=lambda content: True),
            Builder=self._builder, Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=lambda data: None),
        )  # fmt: skip
        if monitor:
            self.IProgressMonitor = type("IProgressMonitor", (), {})

    def __hash__(self) -> int:
        return id(self)

    def _builder(self, logger: object) -> SimpleNamespace:
        return SimpleNamespace(
            create_network=self._create, create_builder_config=lambda: self.config,
            create_optimization_profile=lambda: SimpleNamespace(set_shape=self._shapes),
            build_serialized_network=lambda network, config: b"plan",
        )  # fmt: skip

    def _create(self, flags: int) -> SimpleNamespace:
        self.network.flags = flags
        return self.network

    def _shapes(self, name: str, *shapes: tuple[int, ...]) -> None:
        self.shaped, self.shapes = name, shapes


def imitation(version: str) -> FakeTensorRT:
    flags = ["FP16", "INT8", "TF32", "OBEY_PRECISION_CONSTRAINTS"]
    if version == "8.6":
        return FakeTensorRT("8.6.1", flags, ["EXPLICIT_BATCH"], monitor=False)
    return FakeTensorRT("10.3.0", flags, ["EXPLICIT_BATCH", "STRONGLY_TYPED"], monitor=True)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "scorer.onnx"
    path.write_bytes(b"\x08\x08")  # the version of its format alone
    return path


@pytest.mark.parametrize(
    ("precision", "flags"),
    [
        ("fp32", ["no TF32"]),
        ("fp16", ["FP16", "OBEY_PRECISION_CONSTRAINTS", "no TF32"]),
        ("int8", ["INT8", "no TF32"]),
    ],
)
def test_tensorrt_8_is_allowed_what_the_graph_uses(graph: Path, precision: Any, flags: list[str]) -> None:
    trt = imitation("8.6")
    assert build_plan(trt, BuildRequest(graph, precision)).data == b"plan"  # type: ignore[arg-type]
    assert trt.set_flags == flags
    assert trt.network.flags == 1 << trt.NetworkDefinitionCreationFlag["EXPLICIT_BATCH"]


def test_tensorrt_8_is_held_to_a_likelihood_in_single_precision(graph: Path) -> None:
    trt = imitation("8.6")
    build_plan(trt, BuildRequest(graph, "fp16"))  # type: ignore[arg-type]
    step, log, reshape = trt.layers
    assert (log.precision, log.output_types) == ("float32", {0: "float32"})
    assert (step.precision, reshape.precision) == (None, None)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_where_networks_are_strongly_typed_the_graph_alone_decides(graph: Path, precision: Any) -> None:
    trt = imitation("10")
    build_plan(trt, BuildRequest(graph, precision))  # type: ignore[arg-type]
    assert trt.set_flags == ["no TF32"]
    assert trt.network.flags == 1 << trt.NetworkDefinitionCreationFlag["STRONGLY_TYPED"]
    assert all(layer.precision is None for layer in trt.layers)


def test_the_options_reach_tensorrt(graph: Path) -> None:
    trt = imitation("10")
    options = BuildOptions(batch=(2, 8, 64), workspace=32)
    build_plan(trt, BuildRequest(graph, "fp16", options))  # type: ignore[arg-type]
    assert trt.workspace == 32 << 20
    assert trt.shaped == "images"
    assert trt.shapes == ((2, 4, 6, 3), (8, 4, 6, 3), (64, 4, 6, 3))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)


@pytest.mark.usefixtures("terminal")
def test_progress_is_shown_where_tensorrt_reports_it(graph: Path) -> None:
    build_plan(imitation("8.6"), BuildRequest(graph, "fp32"))  # type: ignore[arg-type]
    trt = imitation("10")
    build_plan(trt, BuildRequest(graph, "fp32"))  # type: ignore[arg-type]
    monitor = trt.config.progress_monitor
    monitor.phase_start("building", None, 3)
    assert monitor.step_complete("building", 1) is True
    assert monitor.bars["building"].n == 2
    monitor.phase_finish("building")
    assert monitor.bars == {}


def test_no_progress_bar_off_a_terminal(graph: Path) -> None:
    trt = imitation("10")
    build_plan(trt, BuildRequest(graph, "fp32"))  # type: ignore[arg-type]
    assert trt.config.progress_monitor is None


def test_a_builder_that_tensorrt_cannot_make_is_an_error(graph: Path) -> None:
    trt = imitation("10")
    trt.Builder = lambda logger: None
    with pytest.raises(InputError, match=r"tensorrt 10\.3\.0 cannot create a builder"):
        build_plan(trt, BuildRequest(graph, "fp32"))  # type: ignore[arg-type]


def test_a_free_size_of_pictures_is_fixed_for_the_engine(graph: Path) -> None:
    trt = imitation("10.3")
    trt.network.get_input(0).shape = (-1, -1, -1, 3)
    build_plan(trt, BuildRequest(graph, "fp32", row=(416, 320, 3)))  # type: ignore[arg-type]
    assert trt.network.get_input(0).shape == (-1, 416, 320, 3)
    assert [shape[1:] for shape in trt.shapes] == [(416, 320, 3)] * 3

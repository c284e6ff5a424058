"""The logic of the TensorRT scorer with an imitated GPU, and the real scorer where there is a GPU."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.core.bundle import Bundle, read_bundle, write_manifest
from daflow.core.engines.file import read_engine
from daflow.core.errors import CheckFailed, InputError
from daflow.core.gpu import Gpu as Hardware
from daflow.core.gpu import find_gpu, load_tensorrt
from daflow.core.scoring.limits import LIMITS, Limits
from daflow.core.scoring.onnx import OnnxScorer
from runtime.scorers import tensorrt as tensorrt_scorer
from runtime.scorers.registry import open_scorer
from runtime.scorers.tensorrt import (
    BUCKETS,
    PhasedScorer,
    TensorRTScorer,
    buckets,
    default_precision,
    open_tensorrt,
    split_into_buckets,
    verify_engine,
)


@given(count=st.integers(0, 500), most=st.integers(1, 64))
def test_calls_take_every_window_in_the_smallest_bucket(count: int, most: int) -> None:
    sizes = buckets(most)
    assert sizes[-1] == min(most, BUCKETS[-1])
    calls = split_into_buckets(count, sizes)
    assert sum(windows for windows, _ in calls) == count
    for windows, size in calls:
        assert 1 <= windows <= size
        assert not any(windows <= smaller < size for smaller in sizes)


class FakeGpu:
    """Memory of the host on both sides; an engine gives each window its mean."""

    def __init__(self, refuses_graphs: bool = False) -> None:
        self.refuses_graphs = refuses_graphs
        self.releases: list[Callable[[], object]] = []
        self.log: list[str] = []
        self.stream = 7
        self.closed = False
        self._lock = threading.Lock()
        self.buffers: list[Any] = []

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        with self._lock:
            yield

    def buffer(self, *shape: int) -> Any:
        buffer = SimpleNamespace(host=np.zeros(shape, np.float32), address=len(self.buffers))
        self.buffers.append(buffer)
        self.releases.append(lambda: self.log.append("buffer"))
        return buffer

    def to_device(self, buffer: Any, count: int) -> None:
        self.log.append(f"to device {count}")

    def to_host(self, buffer: Any, count: int) -> None:
        self.log.append(f"to host {count}")

    def mark(self) -> int:
        self.log.append("mark")
        return len([entry for entry in self.log if entry == "mark"])

    def seconds_between(self, first: int, second: int) -> float:
        return first / 1000

    def synchronize(self) -> None:
        self.log.append("synchronize")

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        if self.refuses_graphs:
            raise InputError("CUDA refuses a graph.")
        self.releases.append(lambda: self.log.append("graph"))
        return work

    def on_close(self, release: Callable[[], object]) -> None:
        self.releases.append(release)

    def close(self) -> None:
        while self.releases:
            self.releases.pop()()
        self.closed = True


class Execution:
    """An execution context of TensorRT."""

    def __init__(self, gpu: FakeGpu) -> None:
        self.gpu = gpu
        self.size = 0
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        self.size = shape[0]

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        source, target = (self.gpu.buffers[self.addresses[name]].host for name in ("poses", "nll"))
        target[: self.size] = source[: self.size].mean(axis=(1, 2, 3))
        return True


def imitation(gpu: FakeGpu, refuses: bool = False) -> Any:
    """A TensorRT module whose engines average."""
    engine = SimpleNamespace(create_execution_context=lambda: Execution(gpu))

    class Module(SimpleNamespace):
        def __hash__(self) -> int:
            return id(self)

    return Module(
        __name__="tensorrt", __version__="10.3.0",
        ILogger=type("ILogger", (), {"Severity": SimpleNamespace(ERROR=1)}),
        Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=lambda data: None if refuses else engine),
    )  # fmt: skip


def scorer(gpu: FakeGpu, batch: tuple[int, int, int] = (1, 4, 32), refuses: bool = False) -> TensorRTScorer:
    return TensorRTScorer(imitation(gpu, refuses), b"plan", 24, batch, "tensorrt fp16", gpu)  # type: ignore[arg-type]


def windows(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, 2, 24, 18)).astype(np.float32)


@pytest.mark.parametrize("count", [0, 1, 3, 32, 33, 100])
def test_every_number_of_windows_is_scored(count: int) -> None:
    with scorer(FakeGpu()) as opened:
        poses = windows(count)
        np.testing.assert_allclose(opened.score(poses), poses.mean(axis=(1, 2, 3)), rtol=1e-4, atol=1e-6)


def test_the_phases_of_a_call_are_timed_one_by_one() -> None:
    gpu = FakeGpu()
    with scorer(gpu) as opened:
        gpu.log.clear()
        assert opened.phases(windows(5)) == {"to_device": 0.001, "compute": 0.002, "to_host": 0.003}
        assert gpu.log == ["mark", "to device 8", "mark", "mark", "to host 8", "mark", "synchronize"]
        assert set(opened.phases(windows(100))) == {"to_device", "compute", "to_host"}  # of one bucket
        assert isinstance(opened, PhasedScorer)


def test_padding_is_zero_and_copies_are_of_the_bucket() -> None:
    gpu = FakeGpu()
    with scorer(gpu) as opened:
        opened.score(windows(8))
        gpu.log.clear()
        opened.score(windows(5))
        assert gpu.log == ["to device 8", "to host 8", "synchronize"]
        assert not gpu.buffers[0].host[5:8].any()


@pytest.mark.parametrize(("batch", "sizes"), [
    ((1, 4, 32), (1, 2, 4, 8, 16, 32)), ((1, 1, 1), (1,)), ((1, 4, 6), (1, 2, 4, 6)), ((4, 8, 64), (4, 8, 16, 32)),
    ((64, 64, 64), (64,)), ((3, 3, 3), (3,)),
])  # fmt: skip
def test_only_batches_that_the_engine_takes_are_called(
    batch: tuple[int, int, int], sizes: tuple[int, ...]
) -> None:
    gpu = FakeGpu()
    with scorer(gpu, batch) as opened:
        assert tuple(opened._calls) == sizes
        assert all(batch[0] <= size <= batch[2] for size in sizes)
        assert len(opened.score(windows(70))) == 70


def test_the_executions_live_as_long_as_their_graphs_and_go_before_the_memory() -> None:
    gpu = FakeGpu()
    opened = scorer(gpu)
    executions = opened._executions
    assert len(executions) == len(BUCKETS)
    gpu.releases.insert(3, lambda: gpu.log.append(f"{len(executions)} executions, engine {opened._engine}"))
    gpu.log.clear()
    opened.close()
    assert gpu.log[: len(BUCKETS)] == ["graph"] * len(BUCKETS)
    assert gpu.log[-2:] == ["buffer", "buffer"]
    assert executions == []
    assert opened._engine is None


def test_threads_get_their_own_scores() -> None:
    wrong: list[int] = []
    with scorer(FakeGpu()) as opened:

        def work(seed: int) -> None:
            for count in range(1, 40):
                poses = windows(count * 8 + seed)
                if not np.allclose(opened.score(poses), poses.mean(axis=(1, 2, 3)), atol=1e-5):
                    wrong.append(count)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_without_graphs_each_call_is_enqueued_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with scorer(FakeGpu(refuses_graphs=True)) as opened:
        poses = windows(3)
        np.testing.assert_allclose(opened.score(poses), poses.mean(axis=(1, 2, 3)), rtol=1e-4, atol=1e-6)
    assert "Without a graph each call is slower" in caplog.text


def test_an_engine_that_tensorrt_refuses_releases_everything() -> None:
    gpu = FakeGpu()
    with pytest.raises(InputError, match="cannot load the engine"):
        scorer(gpu, refuses=True)
    assert gpu.closed


@pytest.fixture
def bundle(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "bundle"))


@pytest.fixture
def orin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_scorer, "find_gpu", lambda: Hardware("sm87", "Orin"))


def test_without_a_gpu_it_says_what_else_to_use(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_scorer, "find_gpu", lambda: None)
    with pytest.raises(InputError, match=r"needs an NVIDIA GPU, .* --scorer onnxruntime"):
        open_scorer(read_bundle(bundle), "tensorrt")


@pytest.mark.usefixtures("orin")
def test_without_tensorrt_it_says_where_it_comes_from(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_scorer, "load_tensorrt", lambda: None)
    with pytest.raises(InputError, match="comes with JetPack"):
        open_tensorrt(read_bundle(bundle))


class FakeOrin:
    """An imitated Orin whose engines score as the FP32 graph does, with `noise` added."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.builds: list[str] = []
        self.lines: list[str] = []
        self.scorers: list[Any] = []
        self.bundle, self.noise = read_bundle(folder), 0.0
        trt = imitation(FakeGpu())
        monkeypatch.setattr(tensorrt_scorer, "load_tensorrt", lambda: trt)
        monkeypatch.setattr(tensorrt_scorer, "build_plan", self._build)
        monkeypatch.setattr(tensorrt_scorer, "TensorRTScorer", self._scorer)

    def _build(self, trt: Any, request: Any) -> Any:
        self.builds.append(request.precision)
        return SimpleNamespace(data=b"plan", seconds=1.0, layers={})

    def _scorer(self, trt: Any, data: bytes, window: int, batch: Any, name: str) -> Any:
        inner, rng = OnnxScorer(self.bundle.graph("fp32")), np.random.default_rng(0)
        fake = SimpleNamespace(name=name, closed=False)
        fake.close = lambda: setattr(fake, "closed", True)
        fake.score = lambda poses: (
            inner.score(poses) + self.noise * rng.standard_normal(len(poses)).astype(np.float32)
        )
        self.scorers.append(fake)
        return fake

    def open(self, **words: Any) -> Any:
        return open_tensorrt(self.bundle, report=self.lines.append, **words)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, bundle: Path, orin: None) -> FakeOrin:
    return FakeOrin(monkeypatch, bundle)


def test_the_first_start_builds_verifies_and_stores_and_the_second_loads(
    device: FakeOrin, bundle: Path
) -> None:
    device.open()
    assert device.builds == ["fp16"]
    assert "there is no engine yet; building it" in device.lines[0]
    assert "verified on" in device.lines[1]
    header, _ = read_engine(bundle / "engines" / "fp16.sm87.tensorrt.engine")
    assert header.key.device == "Orin"
    assert header.verdict is not None
    assert header.verdict.comparison.spearman == pytest.approx(1)
    device.open()
    assert device.builds == ["fp16"]


def test_an_engine_that_ranks_otherwise_is_not_used(device: FakeOrin, bundle: Path) -> None:
    device.noise = 100.0
    with pytest.raises(CheckFailed, match=r"does not rank windows as the FP32 graph does: .*spearman"):
        device.open()
    assert device.scorers[-1].closed
    assert not (bundle / "engines" / "fp16.sm87.tensorrt.engine").exists()


def test_the_alarm_threshold_of_the_bundle_is_what_alarms_are_compared_at(
    device: FakeOrin, bundle: Path
) -> None:
    from daflow.core.alarms.calibration import AlarmCalibration

    alarm = AlarmCalibration(threshold=12.5, quantile=0.999, windows=10, precision="fp32")
    device.bundle = Bundle(bundle, device.bundle.manifest.model_copy(update={"alarm": alarm}))
    verdict = verify_engine(
        device.bundle, device._scorer(None, b"", 24, None, "x"), LIMITS["fp16"], device.lines.append
    )
    assert verdict.comparison.alarm_threshold == 12.5
    with pytest.raises(CheckFailed):
        verify_engine(
            device.bundle, device._scorer(None, b"", 24, None, "x"), Limits(spearman=1.5), device.lines.append
        )


def test_half_precision_is_preferred_unless_it_failed(bundle: Path) -> None:
    opened = read_bundle(bundle)
    assert default_precision(opened) == "fp16"
    verdict = opened.manifest.verification["fp16"].model_copy(update={"missed": ("spearman is low",)})
    verification = {**opened.manifest.verification, "fp16": verdict}
    write_manifest(bundle, opened.manifest.model_copy(update={"verification": verification}))
    assert default_precision(read_bundle(bundle)) == "fp32"


def test_a_failing_precision_is_logged(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    opened = read_bundle(bundle)
    verdict = opened.manifest.verification["fp16"].model_copy(update={"missed": ("spearman is low",)})
    verification = {**opened.manifest.verification, "fp16": verdict}
    failing = Bundle(bundle, opened.manifest.model_copy(update={"verification": verification}))
    with caplog.at_level(logging.WARNING), open_scorer(failing, "onnxruntime", "fp16"):
        pass
    assert "the fp16 graph of" in caplog.text
    assert "misses its limits: spearman is low" in caplog.text


@pytest.fixture
def real_gpu() -> None:
    if find_gpu() is None:
        pytest.skip("no NVIDIA GPU is here")
    if load_tensorrt() is None:
        pytest.skip("TensorRT is not installed")
    pytest.importorskip("pycuda.driver", reason="pycuda is not installed")


@pytest.mark.gpu
@pytest.mark.usefixtures("real_gpu")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_real_engine_scores_as_onnx_runtime_does(bundle: Path, precision: Any) -> None:
    opened = read_bundle(bundle)
    lines: list[str] = []
    with (
        open_tensorrt(opened, precision, lines.append) as engine,
        OnnxScorer(opened.graph("fp32")) as reference,
    ):
        for count in range(1, 41):
            poses = windows(count)
            np.testing.assert_allclose(engine.score(poses), reference.score(poses), rtol=5e-3, atol=5e-3)
        wrong: list[int] = []

        def work(seed: int) -> None:
            poses = windows(seed + 1)
            expected = reference.score(poses)
            scored = [engine.score(poses) for _ in range(50)]
            wrong.extend(seed for nll in scored if not np.allclose(nll, expected, rtol=5e-3, atol=5e-3))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
    built = len(lines)
    with open_tensorrt(opened, precision, lines.append):
        assert len(lines) == built

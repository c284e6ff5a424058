"""The CUDA layer and the TensorRT runner on a real GPU: only TensorRT is imitated, by copies on the GPU."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from daflow.core.gpu import find_gpu
from runtime.networks.cuda import CudaContext
from runtime.networks.tensorrt import TensorRTRunner

from .imitated_tensorrt import Execution, engine, imitation

pytestmark = pytest.mark.gpu

ROW = (3, 5)


class Copy(Execution):
    """Copies its input to its output, on the stream that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.driver = ctypes.CDLL("libcuda.so.1")

    def execute_async_v3(self, stream: int) -> bool:
        count = ctypes.c_size_t(self.size * int(np.prod(ROW)) * 4)
        target, source = (ctypes.c_uint64(self.addresses[name]) for name in ("copy", "rows"))
        return bool(self.driver.cuMemcpyDtoDAsync_v2(target, source, count, ctypes.c_void_p(stream)) == 0)


def copying() -> Any:
    """A TensorRT module whose engine has the input `rows` and the output `copy`."""
    tensors = {
        name: (f"TensorIOMode.{mode}", "DataType.FLOAT", (-1, *ROW))
        for name, mode in (("rows", "INPUT"), ("copy", "OUTPUT"))
    }
    return imitation(engine(tensors, Copy))


@pytest.fixture
def gpu() -> Iterator[CudaContext]:
    pytest.importorskip("pycuda.driver", reason="pycuda is not installed")
    if find_gpu() is None:
        pytest.skip("no NVIDIA GPU is here")
    context = CudaContext()
    yield context
    context.close()


def rows(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(count, *ROW)).astype(np.float32)


def test_what_is_copied_to_the_gpu_comes_back(gpu: CudaContext) -> None:
    with gpu.current():
        buffer = gpu.buffer(8, *ROW)
        written = rows(8)
        buffer.host[:] = written
        before = gpu.mark()
        gpu.to_device(buffer, 8)
        gpu.synchronize()
        buffer.host[:] = 0
        gpu.to_host(buffer, 5)
        after = gpu.mark()
        gpu.synchronize()
        np.testing.assert_array_equal(buffer.host[:5], written[:5])
        assert not buffer.host[5:].any()
        assert 0 < gpu.seconds_between(before, after) < 60


def test_a_captured_graph_reads_the_memory_anew_at_each_launch(gpu: CudaContext) -> None:
    with gpu.current():
        buffer = gpu.buffer(4, *ROW)

        def there_and_back() -> None:
            gpu.to_device(buffer, 4)
            gpu.to_host(buffer, 4)

        launch = gpu.capture(there_and_back)
        for seed in range(3):
            written = rows(4, seed)
            buffer.host[:] = written
            launch()
            gpu.synchronize()
            np.testing.assert_array_equal(buffer.host, written)


def test_the_runner_captures_its_graphs_and_serves_threads(
    gpu: CudaContext, caplog: pytest.LogCaptureFixture
) -> None:
    runner = TensorRTRunner(copying(), b"", (1, 8, 16), "rows", gpu)
    assert caplog.text == "", "a graph could not be captured"
    for count in range(41):
        written = rows(count, count)
        np.testing.assert_array_equal(runner.run(written)["copy"], written)
    assert set(runner.phases(rows(16))) == {"to_device", "compute", "to_host"}
    wrong: list[int] = []

    def work(seed: int) -> None:
        written = rows(seed * 5 + 1, seed)
        wrong.extend(seed for _ in range(100) if not np.array_equal(runner.run(written)["copy"], written))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    runner.close()
    runner.close()


def test_contexts_can_be_opened_beside_and_after_each_other(gpu: CudaContext) -> None:
    first, second = (TensorRTRunner(copying(), b"", (1, 4, 4), "rows") for _ in range(2))
    written = rows(7)
    for _ in range(2):
        for runner in (first, second):
            np.testing.assert_array_equal(runner.run(written)["copy"], written)
    first.close()
    np.testing.assert_array_equal(second.run(written)["copy"], written)
    second.close()
    third = TensorRTRunner(copying(), b"", (1, 4, 4), "rows")
    np.testing.assert_array_equal(third.run(written)["copy"], written)
    third.close()

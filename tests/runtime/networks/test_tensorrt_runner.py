"""The logic of the TensorRT runner with an imitated GPU."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.core.errors import InputError
from runtime.networks.runner import BUCKETS, buckets, split_into_buckets
from runtime.networks.tensorrt import TensorRTRunner

from .imitated_tensorrt import Execution, engine, imitation


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
    """Memory of the host on both sides."""

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

    def buffer(self, *shape: int, dtype: Any = np.float32) -> Any:
        buffer = SimpleNamespace(host=np.zeros(shape, dtype), address=len(self.buffers))
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


class Pictures(Execution):
    """Gives each picture its mean, and the sums of its rows."""

    def __init__(self, gpu: FakeGpu) -> None:
        super().__init__()
        self.gpu = gpu

    def execute_async_v3(self, stream: int) -> bool:
        host = {name: self.gpu.buffers[address].host[: self.size] for name, address in self.addresses.items()}
        pictures = host["images"].astype(np.float32)
        host["mean"][:] = pictures.mean(axis=(1, 2, 3))
        host["rows"][:] = pictures.sum(axis=(2, 3))
        return True


TENSORS = {
    "images": ("TensorIOMode.INPUT", "DataType.UINT8", (-1, 6, 4, 3)),
    "mean": ("TensorIOMode.OUTPUT", "DataType.FLOAT", (-1,)),
    "rows": ("TensorIOMode.OUTPUT", "DataType.FLOAT", (-1, 6)),
}


def runner(gpu: FakeGpu, batch: tuple[int, int, int] = (1, 4, 32), tensors: Any = TENSORS) -> TensorRTRunner:
    return TensorRTRunner(
        imitation(engine(tensors, lambda: Pictures(gpu))), b"plan", batch, "tensorrt fp16", gpu
    )  # type: ignore[arg-type]


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 6, 4, 3), dtype=np.uint8)


def is_right(outputs: Any, batch: np.ndarray) -> bool:
    means = np.allclose(outputs["mean"], batch.mean(axis=(1, 2, 3)), rtol=1e-5)
    return bool(means and np.array_equal(outputs["rows"], batch.sum(axis=(2, 3))))


@pytest.mark.parametrize("count", [0, 1, 3, 32, 33, 100])
def test_every_row_of_a_batch_goes_through_the_engine(count: int) -> None:
    opened = runner(FakeGpu())
    outputs = opened.run(pictures(count))
    assert (outputs["mean"].shape, outputs["rows"].shape) == ((count,), (count, 6))
    assert is_right(outputs, pictures(count))


def test_shapes_and_types_are_those_of_the_engine() -> None:
    gpu = FakeGpu()
    opened = runner(gpu)
    assert (opened.row, opened.outputs) == ((6, 4, 3), ["mean", "rows"])
    assert [buffer.host.dtype for buffer in gpu.buffers] == [np.uint8, np.float32, np.float32]


@pytest.mark.parametrize("change", [
    {"more": ("TensorIOMode.INPUT", "DataType.FLOAT", (-1, 2))},
    {"images": ("TensorIOMode.OUTPUT", "DataType.UINT8", (-1, 6, 4, 3))},
    {"mean": ("TensorIOMode.OUTPUT", "DataType.INT64", (-1,))},
    {"rows": ("TensorIOMode.OUTPUT", "DataType.FLOAT", (-1, -1))},
])  # fmt: skip
def test_an_engine_of_another_kind_is_refused_and_released(change: Any) -> None:
    gpu = FakeGpu()
    with pytest.raises(InputError, match="the engine"):
        runner(gpu, tensors={**TENSORS, **change})
    assert gpu.closed


def test_the_phases_of_a_call_are_timed_one_by_one() -> None:
    gpu = FakeGpu()
    opened = runner(gpu)
    gpu.log.clear()
    assert opened.phases(pictures(5)) == {"to_device": 0.001, "compute": 0.002, "to_host": 0.003}
    assert gpu.log == ["mark", "to device 8", "mark", "mark", "to host 8", "to host 8", "mark", "synchronize"]
    assert set(opened.phases(pictures(100))) == {"to_device", "compute", "to_host"}  # of one bucket


def test_padding_is_zero_and_copies_are_of_the_bucket() -> None:
    gpu = FakeGpu()
    opened = runner(gpu)
    opened.run(pictures(8))
    gpu.log.clear()
    opened.run(pictures(5))
    assert gpu.log == ["to device 8", "to host 8", "to host 8", "synchronize"]
    assert not gpu.buffers[0].host[5:8].any()


@pytest.mark.parametrize(("batch", "sizes"), [
    ((1, 4, 32), (1, 2, 4, 8, 16, 32)), ((1, 1, 1), (1,)), ((1, 4, 6), (1, 2, 4, 6)), ((4, 8, 64), (4, 8, 16, 32)),
    ((64, 64, 64), (64,)), ((3, 3, 3), (3,)),
])  # fmt: skip
def test_only_batches_that_the_engine_takes_are_called(
    batch: tuple[int, int, int], sizes: tuple[int, ...]
) -> None:
    opened = runner(FakeGpu(), batch)
    assert tuple(opened._calls) == sizes
    assert all(batch[0] <= size <= batch[2] for size in sizes)
    assert len(opened.run(pictures(70))["mean"]) == 70


def test_the_executions_live_as_long_as_their_graphs_and_go_before_the_memory_and_the_engine() -> None:
    gpu = FakeGpu()
    opened = runner(gpu)
    executions = opened._executions
    assert len(executions) == len(BUCKETS)
    first_buffer = 1  # after the engine's own release
    gpu.releases.insert(first_buffer, lambda: gpu.log.append(f"engine {opened._engine is not None}"))
    gpu.releases.insert(
        first_buffer + 1 + len(TENSORS), lambda: gpu.log.append(f"{len(executions)} executions left")
    )
    gpu.log.clear()
    opened.close()
    assert gpu.log == [
        *["graph"] * len(BUCKETS), "0 executions left", *["buffer"] * len(TENSORS), "engine True"
    ]  # fmt: skip
    assert opened._engine is None


def test_threads_get_their_own_results() -> None:
    wrong: list[int] = []
    opened = runner(FakeGpu())

    def work(seed: int) -> None:
        for count in range(1, 40):
            batch = pictures(count * 8 + seed)
            if not is_right(opened.run(batch), batch):
                wrong.append(count)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_without_graphs_each_call_is_enqueued_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    batch = pictures(3)
    assert is_right(runner(FakeGpu(refuses_graphs=True)).run(batch), batch)
    assert "Without a graph each call is slower" in caplog.text


def test_an_engine_that_tensorrt_refuses_releases_everything() -> None:
    gpu = FakeGpu()
    with pytest.raises(InputError, match="cannot load the engine"):
        TensorRTRunner(imitation(None), b"plan", (1, 4, 32), "tensorrt fp16", gpu)  # type: ignore[arg-type]
    assert gpu.closed

"""The logic of the CUDA layer, with a driver that only records its calls."""

from __future__ import annotations

import builtins
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from daflow.core.errors import InputError
from runtime.networks.cuda import CudaContext


class Recorder:
    """A pycuda driver and a driver library in one list of calls."""

    def __init__(self, **results: int) -> None:
        self.calls: list[str] = []
        self.depth = 0
        self.results = results
        self.failing_init = False

    # pycuda.driver
    def init(self) -> None:
        if self.failing_init:
            raise RuntimeError("cuInit failed: no device")

    def Device(self, index: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(retain_primary_context=self._context)

    def _context(self) -> SimpleNamespace:
        return SimpleNamespace(push=self._push, pop=self._pop, detach=lambda: self.calls.append("detach"))

    def _push(self) -> None:
        self.depth += 1

    def _pop(self) -> None:
        self.depth -= 1

    def _on_gpu(self, call: str) -> None:
        assert self.depth > 0, f"{call} without a current context"
        self.calls.append(call)

    def Stream(self) -> SimpleNamespace:  # noqa: N802
        self._on_gpu("stream")
        return SimpleNamespace(handle=77, synchronize=lambda: self._on_gpu("synchronize"))

    def pagelocked_zeros(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        self._on_gpu("pin")
        return np.zeros(shape, dtype)

    def mem_alloc(self, size: int) -> Any:
        self._on_gpu(f"alloc {size}")

        class Memory:
            def __int__(self) -> int:
                return 1000 + size

            def free(memory) -> None:  # noqa: N805
                self._on_gpu(f"free {size}")

        return Memory()

    def memcpy_htod_async(self, device: Any, host: np.ndarray, stream: Any) -> None:
        self._on_gpu(f"to device {len(host)}")

    def memcpy_dtoh_async(self, host: np.ndarray, device: Any, stream: Any) -> None:
        self._on_gpu(f"to host {len(host)}")

    def Event(self) -> SimpleNamespace:  # noqa: N802
        def record(stream: Any) -> None:
            self._on_gpu(f"event in stream {stream.handle}")

        return SimpleNamespace(record=record, time_till=lambda later: 2.5)

    # libcuda
    def __getattr__(self, name: str) -> Any:
        if not name.startswith("cu"):
            raise AttributeError(name)

        def call(*arguments: Any) -> int:
            self._on_gpu(name)
            return self.results.get(name, 0)

        return call


@pytest.fixture
def driver() -> Recorder:
    return Recorder()


def open_gpu(driver: Recorder) -> CudaContext:
    return CudaContext(driver, driver)


def test_the_context_is_current_only_within(driver: Recorder) -> None:
    gpu = open_gpu(driver)
    assert driver.depth == 0
    with gpu.current():
        assert driver.depth == 1
    with pytest.raises(ZeroDivisionError), gpu.current():
        raise ZeroDivisionError
    assert driver.depth == 0


def test_what_was_made_last_goes_first_and_the_context_at_the_end(driver: Recorder) -> None:
    gpu = open_gpu(driver)
    with gpu.current():
        first, second = gpu.buffer(4, 2), gpu.buffer(8)
        gpu.on_close(lambda: driver.calls.append("engine"))
        gpu.capture(lambda: None)
    assert first.address == 1032
    driver.calls.clear()
    gpu.close()
    assert driver.calls == ["synchronize", "cuGraphExecDestroy", "engine", "free 32", "free 32", "detach"]
    assert first.host.size == second.host.size == 0
    assert driver.depth == 0


def test_closing_twice_is_harmless(driver: Recorder) -> None:
    gpu = open_gpu(driver)
    gpu.close()
    calls = list(driver.calls)
    gpu.close()
    assert driver.calls == calls


def test_copies_take_the_rows_that_count(driver: Recorder) -> None:
    gpu = open_gpu(driver)
    with gpu.current():
        buffer = gpu.buffer(8, 3)
        gpu.to_device(buffer, 5)
        gpu.to_host(buffer, 2)
    assert driver.calls[-2:] == ["to device 5", "to host 2"]


def test_work_is_recorded_once_and_replayed(driver: Recorder) -> None:
    gpu = open_gpu(driver)
    with gpu.current():
        replay = gpu.capture(lambda: driver.calls.append("work"))
        driver.calls.append("--")
        replay()
        replay()
    recorded, replayed = " ".join(driver.calls).split(" -- ")
    assert recorded.endswith(
        "cuStreamBeginCapture_v2 work cuStreamEndCapture cuGraphInstantiateWithFlags cuGraphDestroy"
    )
    assert replayed == "cuGraphLaunch cuGraphLaunch"


def test_a_failing_recording_is_ended(driver: Recorder) -> None:
    gpu = open_gpu(driver)

    def work() -> None:
        raise ZeroDivisionError

    with gpu.current(), pytest.raises(ZeroDivisionError):
        gpu.capture(work)
    assert driver.calls[-1] == "cuStreamEndCapture"


@pytest.mark.parametrize(
    "call", ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"]
)
def test_a_graph_that_cuda_rejects_is_an_error(call: str) -> None:
    driver = Recorder(**{call: 900})
    gpu = open_gpu(driver)
    with gpu.current(), pytest.raises(InputError, match="CUresult 900"):
        gpu.capture(lambda: None)
    gpu.close()
    assert "cuGraphExecDestroy" not in driver.calls


def test_a_replay_that_fails_is_an_error() -> None:
    driver = Recorder(cuGraphLaunch=700)
    gpu = open_gpu(driver)
    with gpu.current(), pytest.raises(InputError, match="CUresult 700"):
        gpu.capture(lambda: None)()


def test_threads_take_turns(driver: Recorder) -> None:
    gpu, inside, most = open_gpu(driver), 0, []

    def work() -> None:
        nonlocal inside
        for _ in range(20):
            with gpu.current():
                inside += 1
                most.append(inside)
                time.sleep(0.0005)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 80
    assert max(most) == 1


def test_a_cuda_that_does_not_start_is_one_sentence(driver: Recorder) -> None:
    driver.failing_init = True
    with pytest.raises(
        InputError,
        match=r"CUDA cannot be used: cuInit failed: no device\. Use onnxruntime in place of tensorrt",
    ):
        open_gpu(driver)


def test_a_missing_pycuda_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_pycuda(name: str, *arguments: Any, **words: Any) -> Any:
        if name.startswith("pycuda"):
            raise ModuleNotFoundError(name=name)
        return real(name, *arguments, **words)

    monkeypatch.delitem(sys.modules, "pycuda.driver", raising=False)
    monkeypatch.setattr(builtins, "__import__", no_pycuda)
    with pytest.raises(InputError, match=r"pip install 'daflow\[jetson\]'"):
        CudaContext()


def test_time_on_the_gpu_is_between_events_of_the_stream() -> None:
    recorder = Recorder()
    gpu = CudaContext(recorder, recorder)
    with gpu.current():
        first, second = gpu.mark(), gpu.mark()
        assert gpu.seconds_between(first, second) == 0.0025
    gpu.close()
    assert recorder.calls.count("event in stream 77") == 2

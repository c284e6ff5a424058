"""A small layer over CUDA: one primary context, one stream, buffers that are allocated once, and captured graphs.

pycuda provides context, memory and stream. It has no CUDA graphs, so these are called in the driver itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.errors import InputError, unusable_package

_CAPTURE_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may allocate meanwhile


@dataclass
class Buffer:
    """Page-locked memory of the host, and memory of the same size on the GPU."""

    host: npt.NDArray[Any]
    device: Any

    @property
    def address(self) -> int:
        """The address on the GPU."""
        return int(self.device)

    def release(self) -> None:
        """Free both; page-locked memory must be freed before its context."""
        self.device.free()
        self.host = np.zeros(0, dtype=self.host.dtype)


class CudaContext:
    """The primary context of the first GPU with one stream. `close` releases everything that it handed out.

    Every call that uses the GPU must be made within `current()`, which one thread at a time can enter.

    Args:
        driver: pycuda's driver module; tests replace it.
        library: the CUDA driver library; tests replace it.

    Raises:
        InputError: pycuda is not installed, or there is no GPU that it can use.
    """

    def __init__(self, driver: Any = None, library: Any = None) -> None:
        self._driver = driver or _load_pycuda()
        self._library = library
        self._lock = threading.RLock()
        self._releases: list[Callable[[], object]] = []
        try:
            self._driver.init()
            self._context = self._driver.Device(0).retain_primary_context()
        except Exception as error:  # noqa: BLE001  pycuda's own classes, known only once it is imported
            raise InputError(f"CUDA cannot be used: {error}. Use onnxruntime in place of tensorrt.") from None
        with self.current():
            self._stream: Any = self._driver.Stream()

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current in this thread; other threads wait."""
        with self._lock:
            self._context.push()
            try:
                yield
            finally:
                self._context.pop()

    @property
    def stream(self) -> int:
        """The handle of the stream."""
        return int(self._stream.handle)

    def buffer(self, *shape: int, dtype: Any = np.float32) -> Buffer:
        """Allocate values on both sides; those of the host are zero."""
        host = self._driver.pagelocked_zeros(shape, dtype)
        buffer = Buffer(host, self._driver.mem_alloc(host.nbytes))
        self.on_close(buffer.release)
        return buffer

    def to_device(self, buffer: Buffer, count: int) -> None:
        """Enqueue a copy of the first `count` rows to the GPU."""
        self._driver.memcpy_htod_async(buffer.device, buffer.host[:count], self._stream)

    def to_host(self, buffer: Buffer, count: int) -> None:
        """Enqueue a copy of the first `count` rows from the GPU."""
        self._driver.memcpy_dtoh_async(buffer.host[:count], buffer.device, self._stream)

    def mark(self) -> Any:
        """Enqueue an event and return it, for `seconds_between`."""
        event = self._driver.Event()
        event.record(self._stream)
        return event

    def seconds_between(self, first: Any, second: Any) -> float:
        """Return the time on the GPU between two events that have passed."""
        return float(first.time_till(second)) / 1000

    def synchronize(self) -> None:
        """Wait for everything in the stream."""
        self._stream.synchronize()

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record once what `work` enqueues, and return a function that enqueues all of it in one call.

        Raises:
            InputError: it cannot be recorded. The stream can still be used.
        """
        library = self._library or ctypes.CDLL("libcuda.so.1")
        stream, graph, executable = ctypes.c_void_p(self.stream), ctypes.c_void_p(), ctypes.c_void_p()
        _check(library.cuStreamBeginCapture_v2(stream, _CAPTURE_THREAD_LOCAL))
        try:
            work()
        finally:
            ended = library.cuStreamEndCapture(stream, ctypes.byref(graph))
        _check(ended)
        try:
            _check(library.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, ctypes.c_uint64(0)))
        finally:
            library.cuGraphDestroy(graph)
        self.on_close(lambda: library.cuGraphExecDestroy(executable))
        return lambda: _check(library.cuGraphLaunch(executable, stream))

    def on_close(self, release: Callable[[], object]) -> None:
        """Let `close` call `release`, before it releases what was allocated earlier."""
        self._releases.append(release)

    def close(self) -> None:
        """Wait for the stream, then release everything in reverse order, and the context last."""
        if self._context is None:
            return
        with self.current():
            self.synchronize()
            while self._releases:
                self._releases.pop()()
            del self._stream
        self._context.detach()
        self._context = None


def _check(result: int) -> None:
    if result != 0:
        raise InputError(f"CUDA rejects a graph of the engine (CUresult {result}).")


def _load_pycuda() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns before it fails; the error says it all
            import pycuda.driver
    except ImportError as error:
        raise unusable_package(error, "pycuda", "jetson") from None
    return pycuda.driver

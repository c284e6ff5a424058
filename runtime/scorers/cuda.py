"""A small layer over CUDA: one primary context, one stream, buffers that are allocated once, and captured graphs.

pycuda owns context, memory and stream. It has no CUDA graphs, so their five calls go to the driver itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.core.errors import InputError, unusable_package

_CAPTURE_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may go on allocating


@dataclass
class Buffer:
    """Page-locked memory of the host and as much memory of the GPU."""

    host: npt.NDArray[np.float32]
    device: Any

    @property
    def address(self) -> int:
        """The address on the GPU."""
        return int(self.device)

    def release(self) -> None:
        """Give both back; page-locked memory must go before its context does."""
        self.device.free()
        self.host = np.zeros(0, dtype=np.float32)


class CudaContext:
    """The primary context of the first GPU with one stream. Everything that it hands out is released by `close`.

    Every call that touches the GPU happens within `current()`, from one thread at a time.

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
            raise InputError(f"CUDA cannot be used: {error}. Or use --scorer onnxruntime.") from None
        with self.current():
            self._stream: Any = self._driver.Stream()

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current in this thread and keep other threads out."""
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

    def buffer(self, *shape: int) -> Buffer:
        """Allocate float32 values on both sides; the host's are zero."""
        host = self._driver.pagelocked_zeros(shape, np.float32)
        buffer = Buffer(host, self._driver.mem_alloc(host.nbytes))
        self.on_close(buffer.release)
        return buffer

    def to_device(self, buffer: Buffer, count: int) -> None:
        """Copy the first `count` rows to the GPU, in the stream."""
        self._driver.memcpy_htod_async(buffer.device, buffer.host[:count], self._stream)

    def to_host(self, buffer: Buffer, count: int) -> None:
        """Copy the first `count` rows from the GPU, in the stream."""
        self._driver.memcpy_dtoh_async(buffer.host[:count], buffer.device, self._stream)

    def mark(self) -> Any:
        """Put an event into the stream, for `seconds_between`."""
        event = self._driver.Event()
        event.record(self._stream)
        return event

    def seconds_between(self, first: Any, second: Any) -> float:
        """Return the time of the GPU between two events that have passed."""
        return float(first.time_till(second)) / 1000

    def synchronize(self) -> None:
        """Wait for all that is in the stream."""
        self._stream.synchronize()

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record what `work` puts into the stream, once, and return a function that puts all of it there in one call.

        Raises:
            InputError: it cannot be recorded; the stream is usable still.
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
        """Have `release` called by `close`, before whatever was allocated earlier."""
        self._releases.append(release)

    def close(self) -> None:
        """Wait for the stream, then release everything, the last first, and the context at the very end."""
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
        raise InputError(f"CUDA refuses a graph of the engine (CUresult {result}).")


def _load_pycuda() -> Any:
    try:
        import pycuda.driver
    except ImportError as error:
        raise unusable_package(error, "pycuda", "jetson") from None
    return pycuda.driver

"""Scoring by a TensorRT engine on this machine's GPU, with pycuda for memory and the stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from daflow.bundle import Bundle, Engine, Precision
from daflow.errors import InputError, unusable_package
from daflow.nvidia import gpu_target, load_tensorrt
from daflow.windows import Poses


def pick_engine(
    engines: Sequence[Engine], flavour: str, version: str, target: str, precision: Precision | None
) -> Engine:
    """Return the engine that this TensorRT loads on this GPU; an engine of anything else is never loaded.

    Args:
        engines: of the bundle.
        flavour: the TensorRT module here.
        version: its version.
        target: the compute capability here, such as `sm87`.
        precision: wanted, None for whichever is there.

    Raises:
        InputError: none fits; the message says what is there and what to do.
    """
    fitting = [
        engine for engine in engines
        if (engine.flavour, engine.version, engine.target) == (flavour, version, target)
        and precision in (None, engine.precision)
    ]  # fmt: skip
    if fitting:
        return fitting[0]
    there = "; ".join(f"{e.precision} for {e.target} by {e.flavour} {e.version}" for e in engines) or "none"
    raise InputError(
        f"The bundle has no {precision or 'fp32 or fp16'} engine for {target} and {flavour} {version}. "
        f"It has: {there}. Run daflow-export on this device."
    )


class TensorRTScorer:
    """Runs an engine in the GPU's primary context on one stream, with pinned buffers allocated once.

    Args:
        bundle: whose engine is run.
        precision: of the engine, None for whichever fits this GPU.

    Raises:
        InputError: there is no GPU, TensorRT or pycuda, or no engine that fits.
    """

    def __init__(self, bundle: Bundle, precision: Precision | None = None) -> None:
        target = gpu_target()
        if target is None:
            raise InputError("No NVIDIA GPU is here for the scorer tensorrt; use --scorer onnxruntime.")
        trt = load_tensorrt()
        if trt is None:
            raise InputError("TensorRT is not installed; it comes with JetPack. Or use --scorer onnxruntime.")
        try:
            import pycuda.driver as cuda
        except ImportError as error:
            raise unusable_package(error, "pycuda", "jetson") from None
        entry = pick_engine(bundle.manifest.engines, trt.__name__, str(trt.__version__), target, precision)
        self.name = f"{trt.__name__} {entry.precision}"
        self._cuda: Any = cuda
        cuda.init()
        self._context = cuda.Device(0).retain_primary_context()
        self._context.push()
        try:
            self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
            self._engine = self._runtime.deserialize_cuda_engine((bundle.folder / entry.file).read_bytes())
            if self._engine is None:
                raise InputError(
                    f"{trt.__name__} cannot load {entry.file}. Run daflow-export on this device."
                )
            self._execution = self._engine.create_execution_context()
            self._stream = cuda.Stream()
            self._batch = entry.max_batch
            shape = (entry.max_batch, 2, bundle.manifest.window, 18)
            self._poses = cuda.pagelocked_empty(shape, np.float32)
            self._nll = cuda.pagelocked_empty(entry.max_batch, np.float32)
            self._device = {
                "poses": cuda.mem_alloc(self._poses.nbytes),
                "nll": cuda.mem_alloc(self._nll.nbytes),
            }
            for tensor, memory in self._device.items():
                self._execution.set_tensor_address(tensor, int(memory))
        except BaseException:
            self._context.pop()
            raise

    def score(self, poses: Poses) -> npt.NDArray[np.float32]:
        """Return the nll of windows `(B, 2, T, 18)` float32, `(B,)` float32."""
        parts = [
            self._score(poses[first : first + self._batch]) for first in range(0, len(poses), self._batch)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)

    def _score(self, poses: Poses) -> npt.NDArray[np.float32]:
        count = len(poses)
        self._poses[:count] = poses
        self._cuda.memcpy_htod_async(self._device["poses"], self._poses[:count], self._stream)
        self._execution.set_input_shape("poses", poses.shape)
        if not self._execution.execute_async_v3(self._stream.handle):
            raise InputError("TensorRT could not run the engine. Run daflow-export on this device.")
        self._cuda.memcpy_dtoh_async(self._nll[:count], self._device["nll"], self._stream)
        self._stream.synchronize()
        return np.array(self._nll[:count])

    def __enter__(self) -> TensorRTScorer:
        return self

    def __exit__(self, *_: object) -> None:
        # TensorRT's objects and the memory must go while their context is still current.
        del self._execution, self._engine, self._runtime, self._stream, self._poses, self._nll
        for memory in self._device.values():
            memory.free()
        self._context.pop()

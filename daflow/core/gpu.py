"""Find the NVIDIA GPU and the TensorRT of this machine, without importing CUDA packages."""

from __future__ import annotations

import ctypes
import importlib
from dataclasses import dataclass
from types import ModuleType

FLAVOURS = ("tensorrt", "tensorrt_rtx")
"""TensorRT as in JetPack and data centres, and TensorRT for RTX, which also builds on machines without a GPU."""

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


@dataclass(frozen=True)
class Gpu:
    """A GPU: its compute capability as a build target, such as `sm87` for Jetson Orin, and its name."""

    target: str
    name: str


def find_gpu() -> Gpu | None:
    """Return the first GPU of this machine, or None without one."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device = ctypes.c_int()
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGet(ctypes.byref(device), 0) != 0:
        return None
    numbers = []
    for attribute in (_MAJOR, _MINOR):
        value = ctypes.c_int()
        if cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device) != 0:
            return None
        numbers.append(value.value)
    name = ctypes.create_string_buffer(256)
    if cuda.cuDeviceGetName(name, len(name), device) != 0:
        return None
    return Gpu(f"sm{numbers[0]}{numbers[1]}", name.value.decode(errors="replace"))


def load_tensorrt(flavours: tuple[str, ...] = FLAVOURS) -> ModuleType | None:
    """Import the first TensorRT of `flavours` that is installed; None when there is none."""
    for name in flavours:
        try:
            module = importlib.import_module(name)
        except (ImportError, OSError, RuntimeError):
            continue  # absent, or bindings without their libraries
        if hasattr(module, "Builder"):
            return module
    return None

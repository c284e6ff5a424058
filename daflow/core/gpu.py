"""Find the NVIDIA GPU and the TensorRT of this machine, without importing CUDA packages."""

from __future__ import annotations

import ctypes
import importlib
from dataclasses import dataclass
from types import ModuleType

from daflow.core.errors import InputError

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


def runs_on(trt: ModuleType, gpu: Gpu) -> bool:
    """Return whether a TensorRT runs engines on a GPU; TensorRT for RTX leaves out those of data centres and Jetsons.

    Source: on an H100 (sm90), TensorRT for RTX 1.7 builds an engine and then refuses to load it.
    """
    if trt.__name__ != "tensorrt_rtx":
        return True
    known = [int(name[2:]) for name in trt.ComputeCapability.__members__ if name.startswith("SM")]
    number = int(gpu.target[2:])
    return number in known or number > max(known)


def tensorrt_of_this_machine(wanted_by: str, otherwise: str) -> tuple[Gpu, ModuleType]:
    """Return the GPU of this machine, and the TensorRT that runs on it.

    Args:
        wanted_by: what needs them, the subject of the error.
        otherwise: what to do without them, a sentence.

    Raises:
        InputError: there is no GPU, no TensorRT, or none that runs on this GPU.
    """
    gpu = find_gpu()
    if gpu is None:
        raise InputError(f"{wanted_by} needs an NVIDIA GPU, and none was found. {otherwise}")
    trt = load_tensorrt()
    if trt is None:
        raise InputError(
            f"{wanted_by} needs TensorRT, which is not installed. It comes with JetPack. {otherwise}"
        )
    if (reason := unsupported_here(trt)) is not None:
        raise InputError(f"{reason} {otherwise}")
    return gpu, trt


def unsupported_here(trt: ModuleType) -> str | None:
    """Say that a TensorRT does not run on the GPU of this machine; None when it does, or there is none."""
    gpu = find_gpu()
    if gpu is None or runs_on(trt, gpu):
        return None
    return (
        f"{trt.__name__} {trt.__version__} does not run on this GPU ({gpu.name}, {gpu.target}). NVIDIA's full TensorRT "
        "does: pip install tensorrt; on a Jetson it comes with JetPack."
    )

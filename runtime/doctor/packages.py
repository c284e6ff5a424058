"""Findings about Python packages, TensorRT, CUDA, GStreamer and the pose model: whether they can be loaded here.

Packages are imported in processes of their own, so that one which crashes or hangs becomes a finding and the other
checks go on.
"""

from __future__ import annotations

import signal

from daflow.core.errors import broken_package_advice
from runtime.doctor.findings import Finding, Requirements, State, state_if_missing
from runtime.machine import facts
from runtime.machine.board import Machine, Ran
from runtime.sources.pipeline_runner import LIBRARY

_INSTALL_EDGE = "Install it with: pip install 'daflow[edge]'"

_GPU = """
import ctypes
from daflow.core.gpu import find_gpu
gpu, version = find_gpu(), ctypes.c_int()
if gpu:
    ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    print(f"{gpu.name}, {gpu.target}, CUDA {version.value // 1000}.{version.value % 1000 // 10}")
"""
_TENSORRT = """
from daflow.core.gpu import load_tensorrt, unsupported_here
module = load_tensorrt()
if module and (reason := unsupported_here(module)):
    raise SystemExit(reason)
print(f"{module.__name__} {module.__version__}" if module else "")
"""
_GSTREAMER = f"""
import ctypes
said = ctypes.CDLL({LIBRARY!r}).gst_version_string
said.restype = ctypes.c_char_p
print(said().decode())
"""
_PYCUDA = "import pycuda.driver\nprint(pycuda.VERSION_TEXT)"
_ONNXRUNTIME = """
import onnxruntime
print(f"{onnxruntime.__version__}, {', '.join(onnxruntime.get_available_providers())}")
"""
# MediaPipe loads its own library, and with it the system's, when it is first used and not when it is imported.
_MEDIAPIPE = """
import mediapipe, numpy
mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=numpy.zeros((8, 8, 3), numpy.uint8))
print(mediapipe.__version__)
"""
_OPENCV = """
import re, cv2
built = re.search(r"GStreamer:\\s+YES", cv2.getBuildInformation())
print(f"{cv2.__version__}, {'with' if built else 'without'} GStreamer (not needed)")
"""
_PYAV = "import av\nprint(av.__version__)"
_PYARROW = "import pyarrow\nprint(pyarrow.__version__)"
_VERSION = "import importlib.metadata as facts, {module}\nprint(facts.version('{package}'))"


def gpu(machine: Machine) -> Finding:
    """The GPU as CUDA's driver sees it."""
    ran = machine.python(_GPU)
    if ran.returncode == 0 and ran.stdout.strip():
        return Finding("GPU", "ok", _last_line(ran.stdout))
    if facts.has_nvidia_driver(machine):
        advice = "Add the user to the groups video and render; start a container with: --runtime nvidia"
        return Finding("GPU", "warning", "there, but CUDA cannot use it", advice)
    return Finding("GPU", "absent", "no NVIDIA GPU; onnxruntime scores on the processor")


def cuda(machine: Machine) -> Finding:
    """CUDA's toolkit, whose compiler the installation of pycuda required."""
    version = facts.cuda_toolkit(machine)
    if version is not None:
        return Finding("CUDA", "ok", f"toolkit {'of unknown version' if version == 'unknown' else version}")
    missing = "no compiler (nvcc) in /usr/local/cuda"
    if machine.is_jetson:
        advice = (
            "pycuda is compiled with it: apt-get install cuda-toolkit; JetPack's nvidia-jetpack brings it too"
        )
        return Finding("CUDA", "warning", missing, advice)
    return Finding("CUDA", "absent", missing)


def tensorrt(machine: Machine, required: bool | None = None) -> Finding:
    """TensorRT, of JetPack or for RTX."""
    ran = machine.python(_TENSORRT)
    if ran.returncode == 0 and ran.stdout.strip():
        return Finding("TensorRT", "ok", _last_line(ran.stdout))
    if "does not run on this GPU" in ran.stderr:
        return Finding("TensorRT", state_if_missing(required), _last_line(ran.stderr))
    state = state_if_missing(required, "warning" if machine.is_jetson else "absent")
    if machine.is_jetson:
        advice = (
            "Install python3-libnvinfer with apt-get; the virtual environment needs --system-site-packages"
        )
    else:
        advice = 'scorer = "tensorrt" needs it; without a GPU use scorer = "onnxruntime"'
    return Finding("TensorRT", state, "cannot be imported", None if state == "absent" else advice)


def pycuda(machine: Machine, required: bool | None = None) -> Finding:
    """Pycuda, which TensorRT's scorer required."""
    advice = "--scorer tensorrt needs it: pip install 'daflow[jetson]'"
    return package(
        machine,
        "pycuda",
        _PYCUDA,
        state_if_missing(required, "warning" if machine.is_jetson else "absent"),
        advice,
    )


def pyarrow(machine: Machine, required: bool | None = None) -> Finding:
    """Pyarrow, which records skeletons as Parquet."""
    advice = "--record-format parquet needs it: pip install pyarrow"
    return package(machine, "pyarrow", _PYARROW, "problem" if required else "absent", advice)


def packages(required: Requirements) -> dict[str, tuple[str, State]]:
    """Return the packages of the extra `edge` by name: a program that loads one, and the state when it is missing."""
    pictures = state_if_missing(required.pictures, "problem")

    def version(module: str, package: str) -> str:
        return _VERSION.format(module=module, package=package)

    return {
        "onnxruntime": (_ONNXRUNTIME, "absent" if required.tensorrt else "problem"),
        "mediapipe": (_MEDIAPIPE, pictures),
        "OpenCV": (_OPENCV, pictures),
        "PyAV": (_PYAV, pictures),
        "trackers": (version("trackers", "trackers"), pictures),
        "paho": (version("paho.mqtt.client", "paho-mqtt"), state_if_missing(required.mqtt)),
        "uvicorn": (version("uvicorn", "uvicorn"), state_if_missing(required.page)),
        "starlette": (version("starlette", "starlette"), state_if_missing(required.page)),
        "prometheus": (version("prometheus_client", "prometheus-client"), state_if_missing(required.page)),
    }


def package(
    machine: Machine, name: str, program: str, missing: State = "problem", advice: str = _INSTALL_EDGE
) -> Finding:
    """Import a package by a program that prints its version.

    Args:
        machine: where it is imported.
        name: what the finding is called.
        program: the program.
        missing: the state when it is not installed.
        advice: what to do then.
    """
    ran = machine.python(program)
    if ran.returncode == 0:
        return Finding(name, "ok", _last_line(ran.stdout))
    reason = failure(ran)
    if reason.startswith("ModuleNotFoundError"):
        return Finding(name, missing, "not installed", None if missing == "absent" else advice)
    broken: State = "warning" if missing == "absent" else missing
    return Finding(
        name,
        broken,
        reason or "cannot be imported",
        broken_package_advice(reason, name) if ".so" in reason else advice,
    )


def gstreamer(machine: Machine, required: bool | None = None) -> Finding:
    """GStreamer's library, which reads the cameras of a Jetson."""
    ran = machine.python(_GSTREAMER)
    if ran.returncode == 0 and ran.stdout.strip():
        return Finding("GStreamer", "ok", _last_line(ran.stdout).removeprefix("GStreamer "))
    state = state_if_missing(required, "warning" if machine.is_jetson else "absent")
    parts = "gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
    advice = f"Sources such as gst:, csi:// and v4l2:// need it: apt-get install {parts}"
    return Finding("GStreamer", state, f"no {LIBRARY}", None if state == "absent" else advice)


def pose_model(required: bool | None = None) -> Finding:
    """The pose bundle or pose model in the default folder, which is used when the configuration names none."""
    from daflow.core.pose_bundle import is_pose_bundle
    from runtime.models.catalogue import MODELS, POSE_MODELS
    from runtime.models.folder import default_pose_bundle, find_pose_model, models_directory

    path = default_pose_bundle() if is_pose_bundle(default_pose_bundle()) else find_pose_model()
    if path is not None:
        return Finding("pose model", "ok", str(path))
    state = state_if_missing(required, "problem")
    advice = (
        f"Cameras and videos need one, such as {MODELS[POSE_MODELS[0]]}: daflow models fetch; "
        "$DAFLOW_MODELS names another folder"
    )
    return Finding(
        "pose model", state, f"none in {models_directory()}", None if state == "absent" else advice
    )


def failure(ran: Ran) -> str:
    """Return why a program that `Machine.python` ran failed: the signal that ended it, or its last line."""
    if ran.returncode < 0:
        return f"crashes ({signal.strsignal(-ran.returncode)})"
    return _last_line(ran.stderr)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1].strip()

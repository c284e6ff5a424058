"""What on a machine stands in the way of watching a camera: one small check for each thing, none of which raises.

Packages are imported in processes of their own, so that one which crashes or hangs is a finding and not the end. What
the checks read and run goes through a `Machine`, so that a folder and a function can stand for a Jetson.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from daflow.errors import SYSTEM_LIBRARIES, InputError
from runtime.board import Machine, temperature
from runtime.sources.redaction import redacted, with_environment

State = Literal["ok", "warning", "problem", "absent"]

_CONNECT_TIMEOUT_S = 3.0
_HOT = 85.0  # Jetson Orin slows itself down at 99 degrees
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_INSTALL_EDGE = "Install it with: pip install 'daflow[edge]'"
_SYSTEM_LIBRARIES = (
    f"On Debian, Ubuntu and JetPack its system libraries come with: apt-get install {SYSTEM_LIBRARIES}"
)

_GPU = """
import ctypes
from daflow.nvidia import find_gpu
gpu, version = find_gpu(), ctypes.c_int()
if gpu:
    ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    print(f"{gpu.name}, {gpu.target}, CUDA {version.value // 1000}.{version.value % 1000 // 10}")
"""
_TENSORRT = """
from daflow.nvidia import load_tensorrt
module = load_tensorrt()
print(f"{module.__name__} {module.__version__}" if module else "")
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
print(f"{cv2.__version__}, {'with' if built else 'without'} GStreamer")
"""
_PYAV = "import av\nprint(av.__version__)"
_TRACKERS = "import importlib.metadata, trackers\nprint(importlib.metadata.version('trackers'))"


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        name: what was looked at.
        state: `problem` stops daflow-edge, `warning` is worth a look, `absent` is not there and need not be.
        found: what is there, in a few words.
        advice: what helps, None when nothing needs to be done.
    """

    name: str
    state: State
    found: str
    advice: str | None = None


def diagnose(
    machine: Machine, bundle: Path | None = None, sources: Iterable[str] = (), store: Path = Path()
) -> list[Finding]:
    """Make all checks, several at a time, and return their findings in a fixed order.

    Args:
        machine: what is looked at.
        bundle: a bundle to check, if any.
        sources: whose cameras or files are to be reached, as `daflow-edge --source` takes them.
        store: a file or folder on the disk that will be written to.
    """
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("Python", lambda: Finding("Python", "ok", f"{platform.python_version()}, {platform.machine()}")),
        ("board", lambda: board(machine)),
        ("GPU", lambda: gpu(machine)),
        ("TensorRT", lambda: tensorrt(machine)),
        ("pycuda", lambda: pycuda(machine)),
        ("onnxruntime", lambda: package(machine, "onnxruntime", _ONNXRUNTIME)),
        ("mediapipe", lambda: package(machine, "mediapipe", _MEDIAPIPE)),
        ("pose model", pose_model),
        ("OpenCV", lambda: package(machine, "OpenCV", _OPENCV)),
        ("PyAV", lambda: package(machine, "PyAV", _PYAV)),
        ("trackers", lambda: package(machine, "trackers", _TRACKERS)),
        ("GStreamer", lambda: gstreamer(machine)),
        ("power mode", lambda: power_mode(machine)),
        ("clocks", lambda: clocks(machine)),
        ("CPU load", lambda: cpu_load(machine)),
        ("temperature", lambda: heat(machine)),
        ("memory", lambda: memory(machine)),
        ("disk", lambda: disk(store)),
        ("clock", lambda: clock(machine)),
    ]
    if bundle is not None:
        checks.append(("bundle", partial(bundle_files, bundle)))
    checks += [(f"source {redacted(uri)}", partial(source, machine, uri)) for uri in sources]
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda check: _unfailing(*check), checks))


def _unfailing(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - the other findings are worth more than this one
        return Finding(name, "warning", f"could not be checked ({type(error).__name__})")


def board(machine: Machine) -> Finding:
    """The board by its device tree, and on a Jetson the release of its system."""
    parts = [machine.read("proc/device-tree/model")]
    release = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", machine.read("etc/nv_tegra_release"))
    if release:
        jetpack = {"35": "JetPack 5", "36": "JetPack 6", "38": "JetPack 7"}.get(release[1], "")
        parts += [f"L4T {release[1]}.{release[2]}", jetpack]
    found = ", ".join(filter(None, parts))
    return Finding("board", "ok", found) if found else Finding("board", "absent", "no Jetson")


def gpu(machine: Machine) -> Finding:
    """The GPU as CUDA's driver sees it."""
    ran = machine.python(_GPU)
    if ran.returncode == 0 and ran.stdout.strip():
        return Finding("GPU", "ok", _last_line(ran.stdout))
    if machine.is_jetson or machine.read("proc/driver/nvidia/version"):
        advice = "Add the user to the groups video and render; start a container with: --runtime nvidia"
        return Finding("GPU", "warning", "there, but CUDA cannot use it", advice)
    return Finding("GPU", "absent", "no NVIDIA GPU; onnxruntime scores on the processor")


def tensorrt(machine: Machine) -> Finding:
    """TensorRT, of JetPack or for RTX."""
    ran = machine.python(_TENSORRT)
    if ran.returncode == 0 and ran.stdout.strip():
        return Finding("TensorRT", "ok", _last_line(ran.stdout))
    if not machine.is_jetson:
        return Finding("TensorRT", "absent", "not installed")
    advice = "Install python3-libnvinfer with apt-get; the virtual environment needs --system-site-packages"
    return Finding("TensorRT", "warning", "cannot be imported", advice)


def pycuda(machine: Machine) -> Finding:
    """Pycuda, which TensorRT's scorer needs."""
    advice = "--scorer tensorrt needs it: pip install 'daflow[jetson]'"
    return package(machine, "pycuda", _PYCUDA, advice, "warning" if machine.is_jetson else "absent")


def package(
    machine: Machine, name: str, program: str, advice: str = _INSTALL_EDGE, lacking: State = "problem"
) -> Finding:
    """Import a package by a program that prints its version.

    Args:
        machine: where it is imported.
        name: what the finding is called.
        program: the program.
        advice: what helps when it is not installed.
        lacking: how bad that is.
    """
    ran = machine.python(program)
    if ran.returncode == 0:
        return Finding(name, "ok", _last_line(ran.stdout))
    reason = _last_line(ran.stderr)
    if reason.startswith("ModuleNotFoundError"):
        return Finding(name, lacking, "not installed", advice)
    if ran.returncode < 0:
        reason = f"crashes ({signal.strsignal(-ran.returncode)})"
    broken: State = "warning" if lacking == "absent" else lacking
    return Finding(
        name, broken, reason or "cannot be imported", _SYSTEM_LIBRARIES if ".so" in reason else advice
    )


def pose_model() -> Finding:
    """The pose model that is taken when none is named."""
    from runtime.pose_models import find_pose_model, models_directory

    path = find_pose_model()
    if path is not None:
        return Finding("pose model", "ok", str(path))
    advice = "Cameras and videos need one: daflow models fetch; $DAFLOW_MODELS names another folder"
    return Finding("pose model", "problem", f"none in {models_directory()}", advice)


def gstreamer(machine: Machine) -> Finding:
    """GStreamer's command, which reads the cameras of a Jetson."""
    version = re.search(r"version ([\d.]+)", machine.run(["gst-launch-1.0", "--version"]).stdout)
    if version:
        return Finding("GStreamer", "ok", version[1])
    advice = "GStreamer sources need it: apt-get install gstreamer1.0-tools gstreamer1.0-plugins-good"
    return Finding("GStreamer", "warning" if machine.is_jetson else "absent", "no gst-launch-1.0", advice)


def power_mode(machine: Machine) -> Finding:
    """The power mode of a Jetson, and whether it has a faster one."""
    mode = re.search(r"NV Power Mode: *(\S+)", machine.run(["nvpmodel", "-q"]).stdout)
    if mode is None:
        return Finding("power mode", "absent", "no nvpmodel")
    modes = re.findall(r"POWER_MODEL +ID=(\d+) +NAME=(\S+)", machine.read("etc/nvpmodel.conf"))
    fastest = next(((number, name) for number, name in modes if name.startswith("MAXN")), None)
    if fastest is None or mode[1].startswith("MAXN"):
        return Finding("power mode", "ok", mode[1])
    advice = f"If power supply and cooling allow it: sudo nvpmodel -m {fastest[0]} sets {fastest[1]}"
    return Finding("power mode", "warning", mode[1], advice)


def clocks(machine: Machine) -> Finding:
    """Whether the clocks stay at their highest; where they do not, the time that a frame takes varies."""
    said = machine.run(["jetson_clocks", "--show"]).stdout  # nothing unless root asks
    ranges = re.findall(r"^(cpu\d+|GPU)\b(?!.*Online=0).*?MinFreq=(\d+) MaxFreq=(\d+)", said, re.MULTILINE)
    if ranges:
        varying = [name for name, lowest, highest in ranges if lowest != highest]
        found = f"{', '.join(varying)} vary" if varying else "fixed"
    else:
        cpus = sorted(machine.root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq"))
        governor, lowest, highest = (
            [machine.read(f"{cpu.relative_to(machine.root)}/scaling_{name}") for cpu in cpus]
            for name in ("governor", "min_freq", "max_freq")
        )
        if not any(governor):
            return Finding("clocks", "absent", "not to be seen here")
        # jetson_clocks keeps the governor and raises the lowest clock to the highest.
        varying = [
            name for name, low, high in zip(governor, lowest, highest, strict=True)
            if name != "performance" and (low != high or not low)
        ]  # fmt: skip
        found = f"governor {', '.join(sorted(set(governor)))}"
    if not varying:
        return Finding("clocks", "ok", found)
    if machine.is_jetson:
        return Finding("clocks", "warning", found, "sudo jetson_clocks fixes them until the next start")
    advice = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return Finding("clocks", "warning", found, advice)


def cpu_load(machine: Machine) -> Finding:
    """The load of the last minute against the cores."""
    load, cores = float(machine.read("proc/loadavg").split()[0]), os.cpu_count() or 1
    found = f"{load:.2f} on {cores} cores"
    if load > cores:
        return Finding("CPU load", "warning", found, "Something else is busy here; top shows what")
    return Finding("CPU load", "ok", found)


def heat(machine: Machine) -> Finding:
    """The hottest place of the board."""
    degrees = temperature(machine.root)
    if degrees is None:
        return Finding("temperature", "absent", "no sensor")
    advice = "It will slow itself down; see to the cooling" if degrees >= _HOT else None
    return Finding("temperature", "warning" if advice else "ok", f"{degrees:.0f} °C", advice)


def memory(machine: Machine) -> Finding:
    """The memory that programs can still have; on a Jetson the GPU shares it."""
    kilobytes = dict(re.findall(r"^(\w+): +(\d+)", machine.read("proc/meminfo"), re.MULTILINE))
    free, total = (int(kilobytes[name]) / 1e6 for name in ("MemAvailable", "MemTotal"))
    advice = "Stop what is not needed, such as the desktop" if free < 0.5 else None
    return Finding("memory", "warning" if advice else "ok", f"{free:.1f} GB of {total:.1f} GB free", advice)


def disk(store: Path) -> Finding:
    """The room where events and pictures are kept."""
    folder = next(path for path in (store.absolute(), *store.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(folder).free / 1e9
    state: State = "ok" if free >= 1 else "warning" if free >= 0.1 else "problem"
    return Finding("disk", state, f"{free:.2f} GB free at {folder}", None if state == "ok" else "Make room")


def clock(machine: Machine) -> Finding:
    """Whether events get the right time."""
    said = machine.run(["timedatectl", "show", "-p", "NTPSynchronized"]).stdout.strip()
    if said == "NTPSynchronized=yes":
        return Finding("clock", "ok", "synchronised")
    if said == "NTPSynchronized=no":
        advice = "Events get a wrong time: sudo timedatectl set-ntp true"
        return Finding("clock", "warning", "not synchronised", advice)
    return Finding("clock", "absent", "timedatectl does not answer here")


def bundle_files(folder: Path) -> Finding:
    """A bundle: its hashes, and whether it has a threshold."""
    from daflow.bundle import read_bundle

    try:
        manifest = read_bundle(folder).manifest
    except InputError as error:
        return Finding("bundle", "problem", error.message)
    found = f"{folder}, {', '.join(manifest.precisions)}"
    if manifest.alarm is None:
        advice = "Without a threshold there is no alarm: daflow-calibrate alarm, or --threshold"
        return Finding("bundle", "warning", f"{found}, no threshold", advice)
    return Finding("bundle", "ok", f"{found}, threshold {manifest.alarm.threshold:.3f}")


def source(machine: Machine, uri: str) -> Finding:
    """Whether the camera or file of a source can be reached."""
    name = f"source {redacted(uri)}"
    try:
        uri = with_environment(uri)
    except InputError as error:
        return Finding(name, "problem", error.message, "Set it where daflow-edge is started")
    scheme, _, rest = uri.partition(":")
    if scheme.lower() in _PORTS:
        return _network(name, uri)
    if uri.isdigit() or scheme == "v4l2":
        return _device(
            machine, name, f"dev/video{uri}" if uri.isdigit() else rest.partition("?")[0].lstrip("/")
        )
    if scheme == "csi":
        there = machine.run(["gst-inspect-1.0", "--exists", "nvarguscamerasrc"]).returncode == 0
        advice = (
            None if there else "JetPack brings it: apt-get install nvidia-l4t-gstreamer gstreamer1.0-tools"
        )
        return Finding(
            name, "ok" if there else "problem", f"{'' if there else 'no '}nvarguscamerasrc", advice
        )
    if scheme == "synthetic":
        return Finding(name, "ok", "generated")
    return _file(
        name,
        Path(rest if scheme == "tracks" else uri),
        scheme.isalnum() and bool(rest) and scheme != "tracks",
    )


def _file(name: str, path: Path, perhaps_a_scheme: bool) -> Finding:
    if path.is_dir():
        return Finding(name, "ok", "a folder")
    if path.is_file():
        return Finding(name, "ok", f"{path.stat().st_size / 1e6:.1f} MB")
    if perhaps_a_scheme:
        return Finding(name, "absent", "sources of this kind are not looked at")
    return Finding(name, "problem", "there is no such file", "Name a video file, a camera or an address")


def _network(name: str, uri: str) -> Finding:
    try:
        address = urlsplit(uri)
        host, port = address.hostname or "", address.port or _PORTS[address.scheme]
        if not host:
            raise ValueError
    except ValueError:
        advice = "Write it as rtsp://user:password@host:port/path; in the password, @ is %40 and / is %2F"
        return Finding(name, "problem", "not an address", advice)
    try:
        socket.create_connection((host, port), timeout=_CONNECT_TIMEOUT_S).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no answer"
        return Finding(
            name, "problem", f"port {port}: {reason}", "See that the camera is on, and its address right"
        )
    return Finding(name, "ok", f"port {port} answers")


def _device(machine: Machine, name: str, path: str) -> Finding:
    device = machine.root / path
    if not device.exists():
        advice = "Plug the camera in; v4l2-ctl --list-devices shows which there are"
        return Finding(name, "problem", f"no /{path}", advice)
    if not os.access(device, os.R_OK):
        advice = "Add the user to the group video and log in again: sudo usermod -aG video $USER"
        return Finding(name, "problem", f"/{path} may not be read", advice)
    return Finding(name, "ok", f"/{path}")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1].strip()

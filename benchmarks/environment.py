"""The machine and the software that figures were measured on; without these a figure means nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import onnxruntime
import torch

from daflow.core.gpu import find_gpu
from daflow.core.version import __version__

_PACKAGES = ("numpy", "torch", "onnxruntime", "mediapipe", "av", "trackers")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def environment() -> dict[str, Any]:
    """Describe the machine and the software, as plain values for JSON."""
    gpu = find_gpu()
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="minutes"),
        "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "governor": _text(_GOVERNOR) or "not told",
        "gpu": f"{gpu.name} ({gpu.target})" if gpu else None,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_before": load(),
        "versions": {
            "daflow": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
        },
        "torch_threads": torch.get_num_threads(),
        "onnxruntime_providers": list(onnxruntime.get_available_providers()),
    }


def load() -> list[float]:
    """The load of the machine over the last 1, 5 and 15 minutes: processes that want to run."""
    return [round(value, 2) for value in os.getloadavg()]


def _processor() -> str:
    names: list[str] = re.findall(r"^model name\s*:\s*(.+)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    return names[0] if names else platform.processor() or platform.machine()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"

"""The environment of a measurement, in full: a number without it is worthless."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from typing import Any

from daflow.core.gpu import find_gpu
from daflow.core.version import __version__
from runtime.machine.board import Machine, temperature

_PACKAGES = (
    "numpy", "onnxruntime", "mediapipe", "av", "trackers", "tensorrt", "tensorrt-rtx-cu13", "pycuda",
)  # fmt: skip
_CPU = "sys/devices/system/cpu"
_CORES = f"{_CPU}/cpu[0-9]*/cpufreq"
SAME_MACHINE = ("board", "processor", "cores", "gpu", "power_mode", "governor", "clock_limits_mhz", "turbo")
"""What must agree for two measurements to be of the same machine in the same state."""
SAME_SOFTWARE = ("system", "jetpack", "python", "packages")


def environment(machine: Machine) -> dict[str, Any]:
    """Return what is known of the machine; None where the machine does not tell.

    Args:
        machine: whose files are read and whose commands are run.
    """
    gpu = find_gpu()
    return {
        "board": machine.read("proc/device-tree/model") or machine.read("sys/class/dmi/id/product_name") or None,
        "jetpack": _jetpack(machine),
        "processor": _processor(machine),
        "cores": os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)),
        "quota": _quota(machine),
        "virtual": "hypervisor" in machine.read("proc/cpuinfo"),
        "memory_mb": _memory_mb(machine),
        "system": _system(machine),
        "power_mode": _power_mode(machine),
        "governor": machine.read(f"{_CPU}/cpu0/cpufreq/scaling_governor") or None,
        "clock_limits_mhz": _clock_limits(machine),
        "clock_mhz": clock_mhz(machine),
        "gpu_clock_mhz": _gpu_clock(machine),
        "turbo": _turbo(machine),
        "gpu": f"{gpu.name}, {gpu.target}" if gpu else None,
        "driver": _driver(machine),
        "temperature_c": temperature(machine.root),
        "load": _load(machine),
        "python": platform.python_version(),
        "packages": {"daflow": __version__, **_versions()},
    }  # fmt: skip


def clock_mhz(machine: Machine) -> float | None:
    """Return the present clock of the fastest core in MHz, None where it is not told."""
    return max((value / 1000 for value in _numbers(machine, f"{_CORES}/scaling_cur_freq")), default=None)


def throttled(machine: Machine) -> int | None:
    """Return how often the processor slowed itself down so far because of heat, None where it is not told."""
    counts = _numbers(machine, f"{_CPU}/cpu[0-9]*/thermal_throttle/core_throttle_count")
    return int(sum(counts)) if counts else None


def advice(facts: dict[str, Any]) -> list[str]:
    """Say what makes the times of this machine doubtful, and what to do about it."""
    found = []
    jetson = facts["jetpack"] is not None or "Jetson" in (facts["board"] or "")
    limits = facts["clock_limits_mhz"]
    loose = facts["governor"] not in (None, "performance") or (limits is not None and limits[0] != limits[1])
    if jetson and loose:
        found.append(
            "The clocks are not fixed: run 'sudo nvpmodel -m 0' and 'sudo jetson_clocks', and measure again."
        )
    elif facts["governor"] not in (None, "performance"):
        found.append(
            f"The clock is not fixed (governor {facts['governor']}): run 'sudo cpupower frequency-set -g performance'."
        )
    if jetson and facts["power_mode"] is None:
        found.append("The power mode is not known: run 'nvpmodel -q' as a user who may, and note it.")
    load = facts["load"]
    if load is not None and load > 0.3 * (facts["cores"] or 1):
        found.append(
            f"Other programs were busy (load {load:.1f} on {facts['cores']} cores): stop them, or pin the profile to "
            "a core of its own with 'taskset -c 1 daflow-profile ...'."
        )
    if facts["governor"] is None and facts["virtual"]:
        found.append(
            "This is a virtual machine, whose clock and neighbours nobody tells: compare ratios, not times."
        )
    return found


def differences(one: dict[str, Any], other: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """Say in which of these facts two environments differ.

    >>> differences({"cores": 2}, {"cores": 4}, ("cores",))
    ['cores: 2 and 4']
    """
    return [
        f"{name.replace('_', ' ')}: {_words(one.get(name))} and {_words(other.get(name))}"
        for name in names if one.get(name) != other.get(name)
    ]  # fmt: skip


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return "unknown" if value is None else str(value)


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _jetpack(machine: Machine) -> str | None:
    release = re.search(r"# R(\d+).*?REVISION: ([\d.]+)", machine.read("etc/nv_tegra_release"))
    package = machine.run(["dpkg-query", "--show", "--showformat=${Version}", "nvidia-jetpack"])
    version = package.stdout.strip() if package.returncode == 0 else ""
    parts = ([f"JetPack {version}"] if version else []) + (
        [f"L4T {release[1]}.{release[2]}"] if release else []
    )
    return ", ".join(parts) or None


def _power_mode(machine: Machine) -> str | None:
    if not machine.is_jetson:
        return None
    answer = machine.run(["nvpmodel", "-q"])
    match = re.search(r"NV Power Mode: *(\S+)", answer.stdout)
    return match[1] if match else None


def _processor(machine: Machine) -> str:
    match = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", machine.read("proc/cpuinfo"), re.MULTILINE)
    return f"{match[1].strip()} ({platform.machine()})" if match else platform.machine()


def _memory_mb(machine: Machine) -> int | None:
    match = re.search(r"MemTotal:\s*(\d+) kB", machine.read("proc/meminfo"))
    return round(int(match[1]) / 1024) if match else None


def _system(machine: Machine) -> str:
    match = re.search(r'^PRETTY_NAME="?([^"\n]+)', machine.read("etc/os-release"), re.MULTILINE)
    return f"{match[1] if match else platform.system()}, kernel {platform.release()}"


def _quota(machine: Machine) -> float | None:
    """How many cores a container may use, None for all."""
    quota, _, period = machine.read("sys/fs/cgroup/cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _clock_limits(machine: Machine) -> list[float] | None:
    lows = _numbers(machine, f"{_CORES}/scaling_min_freq")
    highs = _numbers(machine, f"{_CORES}/scaling_max_freq")
    return [min(lows) / 1000, max(highs) / 1000] if lows and highs else None


def _gpu_clock(machine: Machine) -> float | None:
    """The clock of a Jetson's own GPU."""
    clocks = _numbers(machine, "sys/class/devfreq/*g[pva]*/cur_freq")  # gpu, gv11b, ga10b
    return max(clocks) / 1e6 if clocks else None


def _turbo(machine: Machine) -> bool | None:
    off, boost = machine.read(f"{_CPU}/intel_pstate/no_turbo"), machine.read(f"{_CPU}/cpufreq/boost")
    return off == "0" if off else boost == "1" if boost else None


def _driver(machine: Machine) -> str | None:
    answer = machine.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"])
    return (answer.stdout.strip() or None) if answer.returncode == 0 else None


def _load(machine: Machine) -> float | None:
    words = machine.read("proc/loadavg").split()
    return float(words[0]) if words else None


def _numbers(machine: Machine, pattern: str) -> list[float]:
    """Return the numbers in the files that match, without those that cannot be read."""
    texts = [machine.read(path.relative_to(machine.root).as_posix()) for path in machine.root.glob(pattern)]
    return [float(text) for text in texts if text.isascii() and text.isdigit()]

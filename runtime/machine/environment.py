"""The environment of a measurement: what a profile records so that two measurements can be compared."""

from __future__ import annotations

import os
import platform
from typing import Any

from daflow.core.gpu import find_gpu
from daflow.core.version import __version__
from runtime.machine import facts
from runtime.machine.board import Machine, temperature

_PACKAGES = (
    "numpy", "onnxruntime", "mediapipe", "av", "trackers", "tensorrt", "tensorrt-rtx-cu13", "pycuda",
)  # fmt: skip
_BUSY_SHARE = 0.3  # of the cores, chosen: a load of one process on three cores counts as busy
SAME_MACHINE = ("board", "processor", "cores", "gpu", "power_mode", "governor", "clock_limits_mhz", "turbo")
"""What must agree for two measurements to be of the same machine in the same state."""
SAME_SOFTWARE = ("system", "jetpack", "python", "packages")


def environment(machine: Machine) -> dict[str, Any]:
    """Return what is known of the machine; None where it is unknown.

    Args:
        machine: whose files are read and whose commands are run.
    """
    gpu = find_gpu()
    clocks = facts.cpu_clocks(machine)
    lows = [clock.lowest_mhz for clock in clocks if clock.lowest_mhz is not None]
    highs = [clock.highest_mhz for clock in clocks if clock.highest_mhz is not None]
    memory, load = facts.memory(machine), facts.load(machine)
    modes = facts.power_modes(machine)
    name = facts.processor(machine)
    return {
        "board": facts.board_name(machine),
        "jetpack": _jetpack(machine),
        "processor": f"{name} ({platform.machine()})" if name else platform.machine(),
        "cores": os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)),
        "quota": facts.core_quota(machine),
        "virtual": facts.is_virtual(machine),
        "memory_mb": round(memory.total / 1024) if memory else None,
        "system": facts.system_name(machine),
        "power_mode": modes.current if modes else None,
        "governor": clocks[0].governor if clocks else None,
        "clock_limits_mhz": [min(lows), max(highs)] if lows and highs else None,
        "clock_mhz": facts.clock_mhz(machine),
        "gpu_clock_mhz": facts.gpu_clock_mhz(machine),
        "turbo": facts.turbo(machine),
        "gpu": f"{gpu.name}, {gpu.target}" if gpu else None,
        "driver": facts.nvidia_driver(machine),
        "temperature_c": temperature(machine.root),
        "load": load[0] if load else None,
        "python": platform.python_version(),
        "packages": {"daflow": __version__, **facts.package_versions(_PACKAGES)},
    }  # fmt: skip


def advice(found: dict[str, Any]) -> list[str]:
    """Say what makes times that were measured in this environment unreliable, and what to do about it.

    Args:
        found: what `environment` returned.
    """
    lines = []
    jetson = found["jetpack"] is not None or "Jetson" in (found["board"] or "")
    limits, governor = found["clock_limits_mhz"], found["governor"]
    # On a Jetson jetson_clocks keeps the governor and raises the lowest clock to the highest.
    varies = limits[0] != limits[1] if jetson and limits else governor not in (None, "performance")
    if varies and jetson:
        lines.append(
            "The clocks are not fixed: run 'sudo nvpmodel -m 0' and 'sudo jetson_clocks', and measure again."
        )
    elif varies:
        lines.append(
            f"The clock is not fixed (governor {governor}): run 'sudo cpupower frequency-set -g performance'."
        )
    if jetson and found["power_mode"] is None:
        lines.append("The power mode is unknown: run 'sudo nvpmodel -q', and note the mode with the profile.")
    load = found["load"]
    if load is not None and load > _BUSY_SHARE * (found["cores"] or 1):
        lines.append(
            f"Other programs were running (load {load:.1f} on {found['cores']} cores): stop them, or pin the profile "
            "to a core of its own with 'taskset -c 1 daflow-profile ...'."
        )
    if governor is None and found["virtual"]:
        lines.append(
            "This is a virtual machine: its clock is unknown and other machines may share its processor. Compare "
            "ratios, not times."
        )
    return lines


def differences(one: dict[str, Any], other: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """Say in which of these facts two environments differ.

    >>> differences({"cores": 2}, {"cores": 4}, ("cores",))
    ['cores: 2 and 4']
    """
    return [
        f"{name.replace('_', ' ')}: {_shown(one.get(name))} and {_shown(other.get(name))}"
        for name in names if one.get(name) != other.get(name)
    ]  # fmt: skip


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return "unknown" if value is None else str(value)


def _jetpack(machine: Machine) -> str | None:
    version, release = facts.jetpack_version(machine), facts.l4t_release(machine)
    parts = ([f"JetPack {version}"] if version else []) + ([str(release)] if release else [])
    return ", ".join(parts) or None

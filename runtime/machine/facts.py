"""Everything that is read about a machine: each function reads one fact, and returns None where it is unknown.

Board, JetPack, power mode, processor, memory, clocks, load, driver and versions. Nothing here says whether a value is
good: `runtime.doctor` does that.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

from runtime.machine.board import Machine

_CPU = "sys/devices/system/cpu"
_NOT_FOUND = 127  # the exit status of a command that is not installed


@dataclass(frozen=True)
class L4tRelease:
    """The release of a Jetson's system, Linux for Tegra, such as 36.4.3."""

    major: int
    revision: str

    def __str__(self) -> str:
        return f"L4T {self.major}.{self.revision}"


@dataclass(frozen=True)
class PowerModes:
    """The power modes of a Jetson.

    Attributes:
        current: the name of the mode that is set; None when nvpmodel does not say, as for some users.
        available: the names of all modes by the number that nvpmodel takes.
    """

    current: str | None
    available: dict[int, str]


@dataclass(frozen=True)
class ClockRange:
    """The clock of a processor core or a GPU.

    Attributes:
        name: such as `cpu0` or `GPU`.
        governor: the kernel's policy, None when unknown.
        lowest_mhz: the lowest clock that the policy may choose.
        highest_mhz: the highest.
        current_mhz: the clock now.
    """

    name: str
    governor: str | None
    lowest_mhz: float | None
    highest_mhz: float | None
    current_mhz: float | None = None

    @property
    def varies(self) -> bool:
        """Whether the clock follows the load. jetson_clocks keeps the governor and raises the lowest clock."""
        return self.governor != "performance" and (
            self.lowest_mhz is None or self.lowest_mhz != self.highest_mhz
        )


@dataclass(frozen=True)
class Memory:
    """The machine's memory in kB; `available` is what programs can still have."""

    total: int
    available: int | None


def device_tree_model(machine: Machine) -> str | None:
    """Return the board as its device tree names it; PCs have none."""
    return machine.read("proc/device-tree/model") or None


def board_name(machine: Machine) -> str | None:
    """Return the name of the board, or the product name of a PC."""
    return device_tree_model(machine) or machine.read("sys/class/dmi/id/product_name") or None


def l4t_release(machine: Machine) -> L4tRelease | None:
    """Return the release of a Jetson's system."""
    found = re.search(r"R(\d+).*?REVISION: ([\d.]+)", machine.read("etc/nv_tegra_release"))
    return L4tRelease(int(found[1]), found[2]) if found else None


def jetpack_version(machine: Machine) -> str | None:
    """Return the version of the package nvidia-jetpack, which not every Jetson has installed."""
    ran = machine.run(["dpkg-query", "--show", "--showformat=${Version}", "nvidia-jetpack"])
    return (ran.stdout.strip() or None) if ran.returncode == 0 else None


def power_modes(machine: Machine) -> PowerModes | None:
    """Return the power modes of a Jetson; None where there is no nvpmodel."""
    ran = machine.run(["nvpmodel", "-q"])
    current = re.search(r"NV Power Mode: *(\S+)", ran.stdout)
    if current is None and (ran.returncode == _NOT_FOUND or not machine.is_jetson):
        return None
    available = re.findall(r"POWER_MODEL +ID=(\d+) +NAME=(\S+)", machine.read("etc/nvpmodel.conf"))
    return PowerModes(current[1] if current else None, {int(number): name for number, name in available})


def processor(machine: Machine) -> str | None:
    """Return the processor's name as the kernel has it."""
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", machine.read("proc/cpuinfo"), re.MULTILINE)
    return found[1].strip() if found else None


def is_virtual(machine: Machine) -> bool:
    """Return whether this is a virtual machine."""
    return "hypervisor" in machine.read("proc/cpuinfo")


def core_quota(machine: Machine) -> float | None:
    """Return how many cores a container may use; None for all of them."""
    quota, _, period = machine.read("sys/fs/cgroup/cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def memory(machine: Machine) -> Memory | None:
    """Return the machine's memory; on a Jetson the GPU shares it."""
    kilobytes = dict(re.findall(r"^(\w+): +(\d+)", machine.read("proc/meminfo"), re.MULTILINE))
    if "MemTotal" not in kilobytes:
        return None
    available = kilobytes.get("MemAvailable")
    return Memory(int(kilobytes["MemTotal"]), None if available is None else int(available))


def system_name(machine: Machine) -> str:
    """Return the distribution and the kernel."""
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', machine.read("etc/os-release"), re.MULTILINE)
    return f"{found[1] if found else platform.system()}, kernel {platform.release()}"


def cpu_clocks(machine: Machine) -> list[ClockRange]:
    """Return the clock of each core, as the kernel shows it to everybody."""
    folders = sorted(
        machine.root.glob(f"{_CPU}/cpu[0-9]*/cpufreq"), key=lambda path: int(path.parent.name[3:])
    )
    clocks = []
    for folder in folders:
        place = folder.relative_to(machine.root).as_posix()
        lowest, highest, current = (
            None if value is None else value / 1000  # the kernel counts kHz
            for value in (_number(machine, f"{place}/scaling_{name}_freq") for name in ("min", "max", "cur"))
        )
        governor = machine.read(f"{place}/scaling_governor") or None
        clocks.append(ClockRange(folder.parent.name, governor, lowest, highest, current))
    return clocks


def jetson_clocks(machine: Machine) -> list[ClockRange]:
    """Return the clocks of the cores in use and the GPU, as jetson_clocks shows them; nothing unless root asks."""
    shown = machine.run(["jetson_clocks", "--show"]).stdout
    clocks = []
    for name, low, high in re.findall(
        r"^(cpu\d+|GPU)\b(?!.*Online=0).*?MinFreq=(\d+) MaxFreq=(\d+)", shown, re.MULTILINE
    ):
        to_mhz = 1e6 if name == "GPU" else 1e3  # Hz for the GPU, kHz for the cores
        clocks.append(ClockRange(name, None, int(low) / to_mhz, int(high) / to_mhz))
    return clocks


def clock_mhz(machine: Machine) -> float | None:
    """Return the present clock of the fastest core in MHz."""
    clocks = (clock.current_mhz for clock in cpu_clocks(machine))
    return max((clock for clock in clocks if clock is not None), default=None)


def gpu_clock_mhz(machine: Machine) -> float | None:
    """Return the present clock of a Jetson's own GPU in MHz."""
    clocks = _numbers(machine, "sys/class/devfreq/*g[pva]*/cur_freq")  # gpu, gv11b, ga10b
    return max(clocks) / 1e6 if clocks else None


def turbo(machine: Machine) -> bool | None:
    """Return whether the processor may exceed its base clock."""
    off, boost = machine.read(f"{_CPU}/intel_pstate/no_turbo"), machine.read(f"{_CPU}/cpufreq/boost")
    return off == "0" if off else boost == "1" if boost else None


def throttled(machine: Machine) -> int | None:
    """Return how often the processor has slowed itself down because of heat."""
    counts = _numbers(machine, f"{_CPU}/cpu[0-9]*/thermal_throttle/core_throttle_count")
    return int(sum(counts)) if counts else None


def load(machine: Machine) -> tuple[float, float, float] | None:
    """Return the mean number of processes that want to run, over the last 1, 5 and 15 minutes."""
    words = machine.read("proc/loadavg").split()
    return (float(words[0]), float(words[1]), float(words[2])) if len(words) >= 3 else None


def nvidia_driver(machine: Machine) -> str | None:
    """Return the version of NVIDIA's driver on a PC."""
    ran = machine.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"])
    return (ran.stdout.strip() or None) if ran.returncode == 0 else None


def has_nvidia_driver(machine: Machine) -> bool:
    """Return whether there is an NVIDIA GPU with a driver, whether or not this process may use it."""
    return machine.is_jetson or bool(machine.read("proc/driver/nvidia/version"))


def cuda_toolkit(machine: Machine) -> str | None:
    """Return the version of CUDA's toolkit, `unknown` when it does not say; None without its compiler."""
    if not machine.exists("usr/local/cuda/bin/nvcc"):
        return None
    try:
        return str(json.loads(machine.read("usr/local/cuda/version.json"))["cuda"]["version"])
    except (ValueError, KeyError, TypeError):
        return "unknown"


def time_is_synchronised(machine: Machine) -> bool | None:
    """Return whether the system's time comes from the network."""
    said = machine.run(["timedatectl", "show", "-p", "NTPSynchronized"]).stdout.strip()
    return {"NTPSynchronized=yes": True, "NTPSynchronized=no": False}.get(said)


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those Python packages that are installed.

    >>> package_versions(["click", "a-package-that-nobody-has"]).keys()
    dict_keys(['click'])
    """
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _number(machine: Machine, path: str) -> float | None:
    text = machine.read(path)
    return float(text) if text.isascii() and text.isdigit() else None


def _numbers(machine: Machine, pattern: str) -> list[float]:
    """Return the numbers in the files that match, without those that cannot be read."""
    found = (
        _number(machine, path.relative_to(machine.root).as_posix()) for path in machine.root.glob(pattern)
    )
    return [number for number in found if number is not None]

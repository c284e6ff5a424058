"""Findings about the board: its power mode, clocks, load, temperature, memory, disks and time."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from runtime.doctor.findings import Finding, State
from runtime.machine import facts
from runtime.machine.board import Machine, temperature

_HOT = 85.0  # °C; NVIDIA's thermal limits for Jetson Orin slow it down at 99
_MIN_FREE_GB = 0.5  # of memory, chosen: less is soon used up by one more camera or by building an engine
_ENOUGH_DISK_GB, _MIN_DISK_GB = 1.0, 0.1  # chosen: events take little, recordings and videos much
_MIN_L4T = 36  # JetPack 6; the Python of earlier releases is older than 3.10
_JETPACK_OF_L4T = {35: "JetPack 5", 36: "JetPack 6", 38: "JetPack 7"}


def board(machine: Machine) -> Finding:
    """The board by its device tree, and on a Jetson the release of its system."""
    release = facts.l4t_release(machine)
    parts = [facts.device_tree_model(machine)]
    if release:
        parts += [str(release), _JETPACK_OF_L4T.get(release.major)]
    found = ", ".join(filter(None, parts))
    if release and release.major < _MIN_L4T:
        return Finding("board", "problem", found, "Its Python is older than 3.10: install JetPack 6 or 7")
    return Finding("board", "ok", found) if found else Finding("board", "absent", "no Jetson")


def power_mode(machine: Machine) -> Finding:
    """The power mode of a Jetson, and whether it has a faster one."""
    modes = facts.power_modes(machine)
    if modes is None:
        return Finding("power mode", "absent", "no nvpmodel")
    if modes.current is None:
        return Finding("power mode", "warning", "nvpmodel does not say", "Ask as root: sudo nvpmodel -q")
    fastest = next(((n, name) for n, name in modes.available.items() if name.startswith("MAXN")), None)
    if fastest is None or modes.current.startswith("MAXN"):
        return Finding("power mode", "ok", modes.current)
    advice = f"If power supply and cooling allow it: sudo nvpmodel -m {fastest[0]} sets {fastest[1]}"
    return Finding("power mode", "warning", modes.current, advice)


def clocks(machine: Machine) -> Finding:
    """Whether the clocks stay at their highest; where they do not, the time that a frame takes varies."""
    shown = facts.jetson_clocks(machine)
    if shown:
        varying = [clock.name for clock in shown if clock.varies]
        found = f"{', '.join(varying)} vary" if varying else "fixed"
    else:
        shown = facts.cpu_clocks(machine)
        governors = sorted({clock.governor for clock in shown if clock.governor})
        if not governors:
            return Finding("clocks", "absent", "unknown: the kernel does not show them")
        varying = [clock.name for clock in shown if clock.varies]
        found = f"governor {', '.join(governors)}"
    if not varying:
        return Finding("clocks", "ok", found)
    if machine.is_jetson:
        return Finding("clocks", "warning", found, "sudo jetson_clocks fixes them until the next start")
    advice = "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    return Finding("clocks", "warning", found, advice)


def cpu_load(machine: Machine) -> Finding:
    """The load of the last minute against the cores."""
    load, cores = facts.load(machine), os.cpu_count() or 1
    if load is None:
        return Finding("CPU load", "absent", "unknown: /proc/loadavg cannot be read")
    found = f"{load[0]:.2f} on {cores} cores"
    if load[0] > cores:
        advice = "More processes want to run than there are cores; top shows which"
        return Finding("CPU load", "warning", found, advice)
    return Finding("CPU load", "ok", found)


def heat(machine: Machine) -> Finding:
    """The hottest place of the board."""
    degrees = temperature(machine.root)
    if degrees is None:
        return Finding("temperature", "absent", "no sensor")
    advice = "The board will slow itself down: check its cooling" if degrees >= _HOT else None
    return Finding("temperature", "warning" if advice else "ok", f"{degrees:.0f} °C", advice)


def memory(machine: Machine) -> Finding:
    """The memory that programs can still have; on a Jetson the GPU shares it."""
    size = facts.memory(machine)
    if size is None or size.available is None:
        return Finding("memory", "absent", "unknown: /proc/meminfo cannot be read")
    free, total = size.available / 1e6, size.total / 1e6  # kB to GB
    advice = "Stop programs that are not needed, such as the desktop" if free < _MIN_FREE_GB else None
    return Finding("memory", "warning" if advice else "ok", f"{free:.1f} GB of {total:.1f} GB free", advice)


def disk(file: Path) -> Finding:
    """Whether something can be written beside a file, or into a folder, and how much."""
    folder = next(path for path in (file.absolute(), *file.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
    except OSError as error:
        why = f"{folder} cannot be written: {error.strerror}"
        return Finding(
            "disk", "problem", why, "Free some space, or give the folder to the user of the service"
        )
    free = shutil.disk_usage(folder).free / 1e9
    state: State = "ok" if free >= _ENOUGH_DISK_GB else "warning" if free >= _MIN_DISK_GB else "problem"
    advice = None if state == "ok" else "Free some space"
    return Finding("disk", state, f"{free:.2f} GB free at {folder}", advice)


def clock(machine: Machine) -> Finding:
    """Whether events get the right time."""
    synchronised = facts.time_is_synchronised(machine)
    if synchronised is None:
        return Finding("clock", "absent", "timedatectl does not answer here")
    if synchronised:
        return Finding("clock", "ok", "synchronised")
    advice = "Events get a wrong time: sudo timedatectl set-ntp true"
    return Finding("clock", "warning", "not synchronised", advice)

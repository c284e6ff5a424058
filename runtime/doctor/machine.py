"""The board: its power mode, clocks, load, heat, memory, disks and time."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from runtime.doctor.findings import Finding, State
from runtime.machine.board import Machine, temperature

_HOT = 85.0  # Jetson Orin slows itself down at 99 degrees


def board(machine: Machine) -> Finding:
    """The board by its device tree, and on a Jetson the release of its system."""
    parts = [machine.read("proc/device-tree/model")]
    release = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", machine.read("etc/nv_tegra_release"))
    if release:
        jetpack = {"35": "JetPack 5", "36": "JetPack 6", "38": "JetPack 7"}.get(release[1], "")
        parts += [f"L4T {release[1]}.{release[2]}", jetpack]
    found = ", ".join(filter(None, parts))
    if release and int(release[1]) < 36:
        advice = "Its Python is older than 3.10: install JetPack 6 or 7"
        return Finding("board", "problem", found, advice)
    return Finding("board", "ok", found) if found else Finding("board", "absent", "no Jetson")


def power_mode(machine: Machine) -> Finding:
    """The power mode of a Jetson, and whether it has a faster one."""
    ran = machine.run(["nvpmodel", "-q"])
    mode = re.search(r"NV Power Mode: *(\S+)", ran.stdout)
    if mode is None:
        if machine.is_jetson and ran.returncode != 127:
            return Finding("power mode", "warning", "nvpmodel does not say", "Ask as root: sudo nvpmodel -q")
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
        return Finding("CPU load", "warning", found, "More wants to run than there are cores; top shows what")
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


def disk(file: Path) -> Finding:
    """Whether something can be written beside a file, or into a folder, and how much."""
    folder = next(path for path in (file.absolute(), *file.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
    except OSError as error:
        advice = "Make room, or give the folder to the user of the service"
        return Finding("disk", "problem", f"{folder} cannot be written: {error.strerror}", advice)
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

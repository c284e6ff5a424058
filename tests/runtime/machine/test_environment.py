from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from runtime.machine.board import Machine, Ran
from runtime.machine.environment import SAME_MACHINE, advice, differences, environment
from runtime.machine.facts import clock_mhz, throttled

CPU = "sys/devices/system/cpu"


@pytest.fixture
def jetson(tmp_path: Path) -> Callable[..., Machine]:
    """Return a function that makes an Orin Nano of files and a function, with fixed clocks or not."""

    def make(governor: str = "schedutil", least: int = 729600, most: int = 1510400) -> Machine:
        files = {
            "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
            "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic",
            "etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"',
            "proc/loadavg": "0.21 0.30 0.25 1/500 4711",
            "proc/meminfo": "MemTotal:        7802768 kB\nMemFree: 1 kB",
            "proc/cpuinfo": "processor : 0\nmodel name : ARMv8 Processor rev 1 (v8l)",
            "sys/class/devfreq/17000000.gpu/cur_freq": "624750000",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone0/temp": "48500",
        }
        for core in range(2):
            files[f"{CPU}/cpu{core}/cpufreq/scaling_governor"] = governor
            files[f"{CPU}/cpu{core}/cpufreq/scaling_min_freq"] = str(least)
            files[f"{CPU}/cpu{core}/cpufreq/scaling_max_freq"] = str(most)
            files[f"{CPU}/cpu{core}/cpufreq/scaling_cur_freq"] = str(1000000 + core)
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return Machine(tmp_path, commands)

    return make


def commands(command: Sequence[str], timeout: float = 1.0) -> Ran:
    answers = {
        "nvpmodel": "NV Power Mode: 15W\n0\n",
        "dpkg-query": "6.2+b77",
    }
    text = answers.get(command[0])
    return subprocess.CompletedProcess(list(command), 127 if text is None else 0, text or "", "")


def test_a_jetson_is_described_in_full(jetson: Callable[..., Machine]) -> None:
    facts = environment(jetson())
    assert facts["board"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert facts["jetpack"] == "JetPack 6.2+b77, L4T 36.4.3"
    assert facts["power_mode"] == "15W"
    assert facts["governor"] == "schedutil"
    assert facts["clock_limits_mhz"] == [729.6, 1510.4]
    assert facts["clock_mhz"] == pytest.approx(1000.001)
    assert facts["gpu_clock_mhz"] == pytest.approx(624.75)
    assert facts["temperature_c"] == 48.5
    assert facts["memory_mb"] == 7620
    assert facts["load"] == 0.21
    assert facts["system"].startswith("Ubuntu 22.04.5 LTS, kernel ")
    assert facts["packages"]["numpy"]
    assert facts["driver"] is None


def test_clocks_that_are_not_fixed_are_told_with_what_helps(jetson: Callable[..., Machine]) -> None:
    (text,) = advice(environment(jetson()))
    assert "nvpmodel -m 0" in text
    assert "jetson_clocks" in text
    assert advice(environment(jetson("performance", 1510400))) == []


def facts(**changes: Any) -> dict[str, Any]:
    quiet = {"board": None, "jetpack": None, "governor": "performance", "clock_limits_mhz": None, "load": 0.0,
             "cores": 4, "virtual": False, "power_mode": None}  # fmt: skip
    return {**quiet, **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"governor": "powersave"}, "cpupower frequency-set -g performance"),
        ({"load": 3.0}, "taskset -c"),
        ({"governor": None, "virtual": True}, "virtual machine"),
        ({"board": "NVIDIA Jetson Orin NX"}, "nvpmodel -q"),
    ],
)
def test_each_doubt_has_its_advice(changes: dict[str, Any], words: str) -> None:
    (text,) = advice(facts(**changes))
    assert words in text


def test_a_fixed_quiet_machine_needs_none() -> None:
    assert advice(facts()) == []


def test_an_empty_machine_tells_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, lambda command: subprocess.CompletedProcess(command, 127, "", ""))
    facts = environment(machine)
    for name in ("board", "jetpack", "power_mode", "governor", "clock_limits_mhz", "clock_mhz", "turbo", "load",
                 "quota", "temperature_c", "memory_mb", "gpu_clock_mhz"):  # fmt: skip
        assert facts[name] is None, name
    assert throttled(machine) is None
    assert clock_mhz(machine) is None


def test_turbo_quota_and_heat_of_a_server(tmp_path: Path) -> None:
    for path, text in {
        f"{CPU}/intel_pstate/no_turbo": "1",
        "sys/fs/cgroup/cpu.max": "150000 100000",
        f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "3",
        f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "4",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    machine = Machine(tmp_path, commands)
    found = environment(machine)
    assert found["turbo"] is False
    assert found["quota"] == 1.5
    assert throttled(machine) == 7


def test_another_power_mode_is_another_machine() -> None:
    one, other = facts(power_mode="15W"), facts(power_mode="MAXN")
    assert differences(one, other, SAME_MACHINE) == ["power mode: 15W and MAXN"]
    assert differences(one, one, SAME_MACHINE) == []

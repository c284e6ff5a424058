from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from runtime.machine.board import Machine, Ran
from runtime.machine.power import PowerMeter
from runtime.profiling.machine_watch import MachineWatch, peak_memory_mb


def smi(command: Sequence[str], timeout: float = 1.0) -> Ran:
    return subprocess.CompletedProcess(list(command), 0, "512\n", "")


def test_energy_heat_and_memory_are_read(tmp_path: Path) -> None:
    files = {
        "sys/class/thermal/thermal_zone0/type": "cpu",
        "sys/class/thermal/thermal_zone0/temp": "51000",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "2",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    with MachineWatch(Machine(tmp_path, smi), PowerMeter("bench", lambda: 10.0, 0.02)) as watch:
        time.sleep(0.2)
        (tmp_path / "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count").write_text("5")
    readings = watch.readings()
    assert readings.meter == "bench"
    assert readings.watts == 10.0
    assert watch.joules == pytest.approx(10 * watch.seconds)
    assert readings.temperature_c == (51.0, 51.0)
    assert readings.clock_mhz == (1500.0, 1500.0)
    assert readings.throttled == 3
    assert readings.gpu_memory_mb == 512.0


def test_a_machine_without_sensors_has_no_readings(tmp_path: Path) -> None:
    silent = Machine(tmp_path, lambda command: subprocess.CompletedProcess(command, 127, "", ""))
    with MachineWatch(silent, None) as watch:
        pass
    assert set(vars(watch.readings()).values()) == {None}
    assert watch.joules is None


def test_this_process_had_some_memory() -> None:
    peak = peak_memory_mb()
    assert peak is None or peak > 10

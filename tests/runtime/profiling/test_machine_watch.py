from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from runtime.machine.board import Machine, Ran
from runtime.machine.power import PowerMeter
from runtime.profiling.machine_watch import Watch, peak_memory_mb


def smi(command: Sequence[str], timeout: float = 1.0) -> Ran:
    return subprocess.CompletedProcess(list(command), 0, "512\n", "")


def test_energy_heat_and_memory_are_seen(tmp_path: Path) -> None:
    files = {
        "sys/class/thermal/thermal_zone0/type": "cpu",
        "sys/class/thermal/thermal_zone0/temp": "51000",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "2",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    with Watch(Machine(tmp_path, smi), PowerMeter("bench", lambda: 10.0, 0.02)) as watch:
        time.sleep(0.2)
        (tmp_path / "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count").write_text("5")
    facts = watch.facts()
    assert facts["meter"] == "bench"
    assert facts["watts"] == 10.0
    assert facts["joules"] == pytest.approx(10 * watch.seconds)
    assert facts["temperature_c"] == [51.0, 51.0]
    assert facts["clock_mhz"] == [1500.0, 1500.0]
    assert facts["throttled"] == 3
    assert facts["gpu_memory_mb"] == 512.0


def test_a_machine_that_tells_nothing_leaves_everything_open(tmp_path: Path) -> None:
    silent = Machine(tmp_path, lambda command: subprocess.CompletedProcess(command, 127, "", ""))
    with Watch(silent, None) as watch:
        pass
    assert set(watch.facts().values()) == {None}
    assert watch.seconds > 0


def test_this_process_had_some_memory() -> None:
    peak = peak_memory_mb()
    assert peak is None or peak > 10

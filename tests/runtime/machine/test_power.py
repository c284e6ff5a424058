from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runtime.machine.board import Machine, Ran
from runtime.machine.power import find_power_meter

Write = Callable[[str, str], None]


def nothing(command: Sequence[str], timeout: float = 1.0) -> Ran:
    return subprocess.CompletedProcess(list(command), 127, "", "not found")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{text}\n")

    return to


def rail(write: Write, number: int, label: str, millivolts: int, milliamperes: int) -> None:
    folder = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    write(f"{folder}/in{number}_label", label)
    write(f"{folder}/in{number}_input", str(millivolts))
    write(f"{folder}/curr{number}_input", str(milliamperes))


def test_an_orin_nano_tells_what_comes_in(tmp_path: Path, write: Write) -> None:
    rail(write, 1, "VDD_IN", 5000, 1200)
    rail(write, 2, "VDD_CPU_GPU_CV", 5000, 300)
    rail(write, 3, "VDD_SOC", 5000, 250)
    meter = find_power_meter(Machine(tmp_path, nothing), on_gpu=False)
    assert meter is not None
    assert meter.name == "board, INA3221 VDD_IN"
    assert meter.watts() == pytest.approx(6.0)


def test_an_agx_orin_has_no_rail_for_all_so_they_are_added(tmp_path: Path, write: Write) -> None:
    rail(write, 1, "VDD_GPU_SOC", 20000, 200)
    rail(write, 2, "VDD_CPU_CV", 20000, 100)
    meter = find_power_meter(Machine(tmp_path, nothing), on_gpu=False)
    assert meter is not None
    assert meter.watts() == pytest.approx(6.0)
    (tmp_path / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/curr2_input").unlink()
    assert meter.watts() is None  # half of the power is not the power


def test_a_gpu_is_asked_by_its_tool(tmp_path: Path) -> None:
    def smi(command: Sequence[str], timeout: float = 1.0) -> Ran:
        assert command[0] == "nvidia-smi"
        return subprocess.CompletedProcess(list(command), 0, " 71.25\n", "")

    meter = find_power_meter(Machine(tmp_path, smi), on_gpu=True)
    assert meter is not None
    assert meter.watts() == 71.25
    assert meter.interval >= 1.0
    assert (meter.sees(on_gpu=True), meter.sees(on_gpu=False)) == (True, False)
    assert find_power_meter(Machine(tmp_path, smi), on_gpu=False) is None  # the work is on the processor


def test_a_gpu_that_does_not_tell_is_no_meter(tmp_path: Path) -> None:
    def smi(command: Sequence[str], timeout: float = 1.0) -> Ran:
        return subprocess.CompletedProcess(list(command), 0, "[N/A]\n", "")

    assert find_power_meter(Machine(tmp_path, smi), on_gpu=True) is None


def test_energy_counters_become_power_also_when_they_restart(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = "sys/class/powercap/intel-rapl:0"
    write(f"{zone}/energy_uj", "9000000")
    write(f"{zone}/max_energy_range_uj", "10000000")
    write(
        "sys/class/powercap/intel-rapl:0:0/energy_uj", "5"
    )  # a part of the package, not to be counted twice
    now = 100.0
    monkeypatch.setattr("runtime.machine.power.time.monotonic", lambda: now)
    meter = find_power_meter(Machine(tmp_path, nothing), on_gpu=False)
    assert meter is not None
    assert meter.watts() is None  # the first reading is of no time
    now = 102.0
    write(f"{zone}/energy_uj", "9600000")
    assert meter.watts() == pytest.approx(0.3)
    now = 103.0
    write(f"{zone}/energy_uj", "100000")
    assert meter.watts() == pytest.approx(0.5)


def test_a_machine_without_sensors_has_no_meter(tmp_path: Path) -> None:
    assert find_power_meter(Machine(tmp_path, nothing), on_gpu=False) is None

"""A machine is a folder of system files and a function that runs commands; nothing in it raises."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runtime.machine.board import Machine, run, temperature


def zone(root: Path, number: int, kind: str, value: str) -> None:
    folder = root / f"sys/class/thermal/thermal_zone{number}"
    folder.mkdir(parents=True)
    (folder / "type").write_text(f"{kind}\n")
    (folder / "temp").write_text(f"{value}\n")


def test_the_temperature_is_that_of_the_hottest_zone_that_can_be_believed(tmp_path: Path) -> None:
    zone(tmp_path, 0, "cpu-thermal", "48500")
    zone(tmp_path, 1, "gpu-thermal", "51250")
    zone(tmp_path, 2, "PMIC-Die", "100000")  # reads so whatever happens
    zone(tmp_path, 3, "cv0-thermal", "-256000")  # without power
    zone(tmp_path, 4, "soc0-thermal", "N/A")
    (tmp_path / "sys/class/thermal/thermal_zone5").mkdir()
    assert temperature(tmp_path) == 51.25


def test_without_sensors_there_is_no_temperature(tmp_path: Path) -> None:
    assert temperature(tmp_path) is None
    zone(tmp_path, 0, "cv0-thermal", "-256000")
    assert temperature(tmp_path) is None


def test_a_command_that_is_not_there_or_too_slow_is_told_by_its_exit_status() -> None:
    assert run(["no-such-command-of-any-machine"]).returncode == 127
    slow = run([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2)
    assert slow.returncode == 124
    assert "no answer" in slow.stderr
    said = run([sys.executable, "-c", "print('well'); raise SystemExit(3)"])
    assert (said.returncode, said.stdout) == (3, "well\n")


def test_files_that_cannot_be_read_are_empty(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.read("proc/loadavg") == ""
    (tmp_path / "proc").mkdir()
    assert machine.read("proc") == ""
    (tmp_path / "proc/model").write_bytes(b"NVIDIA \xff Orin\0\n")
    assert machine.read("proc/model") == "NVIDIA \ufffd Orin"
    assert machine.exists("proc/model")
    assert not machine.exists("proc/other")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0"),
        ("etc/nv_tegra_release", "# R36 (release), REVISION: 4.0\n"),
    ],
)
def test_a_jetson_is_known_by_either_of_its_files(tmp_path: Path, path: str, text: str) -> None:
    assert not Machine(tmp_path).is_jetson
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    assert Machine(tmp_path).is_jetson


def test_programs_run_in_a_python_that_imports_from_where_this_one_does() -> None:
    ran = Machine().python("import runtime.machine.board\nprint(runtime.machine.board.__file__)")
    assert Path(ran.stdout.strip()) == Path(str(sys.modules["runtime.machine.board"].__file__))

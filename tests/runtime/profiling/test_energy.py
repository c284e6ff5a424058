from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from daflow.core.evidence import Scored
from runtime.machine.board import Machine
from runtime.machine.power import find_power_meter
from runtime.profiling import run
from runtime.profiling.machine_watch import MachineWatch
from runtime.profiling.page import profile_page
from runtime.profiling.profile import Profile
from runtime.profiling.scorers import Candidate
from runtime.profiling.text import profile_text


class _Silent:
    name = "onnxruntime fp32"

    def score(self, poses: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.zeros(len(poses), dtype=np.float32)

    def judge(self, poses: npt.NDArray[np.float32]) -> Scored:
        return Scored(self.score(poses))

    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def board(tmp_path: Path) -> Machine:
    """A board whose sensor shows 5 V and 1.4 A, which is 7 W."""
    sensor = tmp_path / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    sensor.mkdir(parents=True)
    for file, text in {"in1_label": "VDD_IN", "in1_input": "5000", "curr1_input": "1400"}.items():
        (sensor / file).write_text(text)
    return Machine(tmp_path, lambda command: subprocess.CompletedProcess(command, 127, "", ""))


def test_the_power_of_a_board_is_measured(board: Machine) -> None:
    with MachineWatch(board, find_power_meter(board, on_gpu=False)) as watch:
        pass
    assert watch.readings().meter == "board, INA3221 VDD_IN"
    assert watch.readings().watts == pytest.approx(7.0)


def test_the_energy_of_a_window_is_that_of_its_share_of_the_calls(
    board: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "time_calls", lambda function, seconds: [0.1] * 20)
    monkeypatch.setattr(MachineWatch, "joules", property(lambda _: 2.0, lambda *_: None), raising=False)
    meter = find_power_meter(board, on_gpu=False)
    assert meter
    energy = run._energy_per_window(board, meter, [Candidate(_Silent(), 0.0, "fp32")], 24)
    assert energy == {"onnxruntime fp32": pytest.approx(100.0)}


def test_the_power_of_a_gpu_says_nothing_about_a_scorer_on_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "time_calls", lambda function, seconds: [0.1] * 20)
    machine = Machine(tmp_path, lambda command: subprocess.CompletedProcess(command, 0, "71.25", ""))
    meter = find_power_meter(machine, on_gpu=True)
    assert meter
    assert run._energy_per_window(machine, meter, [Candidate(_Silent(), 0.0, "fp32")], 24) == {}


def test_energy_is_shown(old_profile: Profile) -> None:
    found = {"meter": "board, INA3221 VDD_IN", "watts": 7.0, "idle_watts": 5.0, "millijoules_per_frame": 280.0,
             "millijoules_per_window": {"onnxruntime fp32": 1.5}}  # fmt: skip
    profile = old_profile.model_copy(update={"cost": old_profile.cost.model_copy(update=found)})
    text = "\n".join(profile_text(profile, 100))
    assert "7.00 W (board, INA3221 VDD_IN)" in text
    assert "280.00 mJ" in text
    assert "energy of a window, onnxruntime fp32  1.500 mJ" in text
    assert "energy of a window" in profile_page(profile)

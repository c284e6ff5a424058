from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from daflow.core.bundle import Bundle
from runtime.machine.board import Machine
from runtime.profiling import run
from runtime.profiling.edge import EdgeRun
from runtime.profiling.page import profile_page
from runtime.profiling.text import profile_text


def test_a_board_that_tells_its_power_has_energy_by_frame_and_window(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in {"_IDLE_SECONDS": 0.3, "_ENERGY_SECONDS": 0.3, "_COLD_STARTS": 1}.items():
        monkeypatch.setattr(run, name, seconds)
    sensor = tmp_path / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    sensor.mkdir(parents=True)
    for file, text in {"in1_label": "VDD_IN", "in1_input": "5000", "curr1_input": "1400"}.items():
        (sensor / file).write_text(text)
    machine = Machine(tmp_path, lambda command: subprocess.CompletedProcess(command, 127, "", ""))
    edge = EdgeRun(bundle.folder, "synthetic:people=1,event=none", "onnxruntime", {})
    profile = run.take_profile(bundle, run.Request(edge, (), (), (1, 8), 0.5, 4), machine)
    cost = profile["cost"]
    assert cost["meter"] == "board, INA3221 VDD_IN"
    assert cost["idle_watts"] == cost["watts"] == pytest.approx(7.0)
    # A generated stream has 25 frames a second: 7 W are 280 mJ each.
    assert 280 * 0.7 < cost["millijoules_per_frame"] < 280 * 1.5
    (energy,) = cost["millijoules_per_window"].values()
    call = profile["scorer_alone"]["scorers"]["onnxruntime fp32"]["batches"]["1"]["call"]
    assert 7.0 * call["min_ms"] * 0.5 < energy < 7.0 * call["mean_ms"] * 20
    text = "\n".join(profile_text(profile, 100))
    assert "7.00 W (board, INA3221 VDD_IN)" in text
    assert "energy of a window, onnxruntime fp32" in text
    assert "energy of a window" in profile_page(profile)

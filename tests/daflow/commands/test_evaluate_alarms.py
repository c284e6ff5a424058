"""`daflow evaluate --alarms`: delay against false alarms, on pose tracks."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from daflow.cli import main


def run(dataset: Path, model: object, *words: object) -> Result:
    data = ["--poses", dataset / "test", "--masks", dataset / "masks"]
    return CliRunner().invoke(main, [str(w) for w in ["evaluate", *data, "--model", model, *words]])


def test_tracks_say_what_an_alarm_does_and_what_others_would(
    dataset: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    json_file, page = tmp_path / "a.json", tmp_path / "a.html"
    words = ("--alarms", "--threshold", 1000, "--json", json_file, "--report", page)
    result = run(dataset, checkpoint_file, *words)
    assert result.exit_code == 0, result.output
    assert "threshold 1000.000: an alarm in 0 of" in result.output
    lines = result.output.splitlines()
    table = lines[lines.index("delay against false alarms, with thresholds chosen on these labels:") + 1 :]
    assert table[1].split()[:3] == ["0", "at", "most"]
    causal = json.loads(json_file.read_text())["causal"]
    assert causal["alarms"]["false_alarms"] == 0
    at_none = [point for point in causal["curve"] if point["false_alarms_per_hour"] == 0]
    assert at_none
    assert causal["curve"][-1]["events"] + causal["curve"][-1]["on_before"] > 0
    assert "<h2>Delay against false alarms</h2>" in page.read_text()


def test_without_it_no_alarm_is_evaluated_and_a_threshold_is_refused(
    dataset: Path, checkpoint_file: Path
) -> None:
    assert "false alarms" not in run(dataset, checkpoint_file).output
    refused = run(dataset, checkpoint_file, "--threshold", 5)
    assert refused.exit_code == 2
    assert "--threshold needs --videos or --alarms" in refused.output

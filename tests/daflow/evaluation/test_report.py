"""The evaluation page: well-formed, self-contained, and about the frames that are really wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from daflow.cli import main
from daflow.core.data.tracks import Clip, Track
from daflow.core.data.windows import Windows, make_windows
from daflow.evaluation.auc import evaluate_windows
from daflow.evaluation.baselines import compare_windows
from daflow.evaluation.evaluate import ScoredClips
from daflow.evaluation.report import equal_error_threshold, evaluation_page, worst_mistakes

FRAMES = 400
MASKS = {"a": np.zeros(FRAMES, dtype=np.int64), "b": np.zeros(FRAMES, dtype=np.int64)}
MASKS["a"][100:200] = 1
MASKS["b"][300:380] = 1


def clip(name: str, last: int = FRAMES) -> Clip:
    keypoints = np.random.default_rng(0).uniform(50, 400, (last, 17, 3)).astype(np.float32)
    return Clip(name, (Track(7, np.arange(last), keypoints, np.ones(last, np.float32)),), (640, 480))


def scored(clips: list[Clip]) -> tuple[Windows, np.ndarray]:
    """Scores that follow the labels, but for a false alarm in clip a and a missed event in clip b."""
    windows = make_windows(clips)
    middle = windows.start + 12
    nll = np.random.default_rng(0).normal(0, 0.01, len(windows)).astype(np.float32)
    of_a = windows.clip == 0
    nll[of_a & (middle >= 100) & (middle < 200)] += 5
    nll[of_a & (middle >= 290) & (middle < 310)] += 9
    return windows, nll


def test_the_worst_mistakes_are_those_that_were_made() -> None:
    clips = [clip("a"), clip("b", last=330)]
    windows, nll = scored(clips)
    result = evaluate_windows(nll, windows, clips, MASKS)
    threshold = equal_error_threshold(result.frame_scores, MASKS)
    alarms = worst_mistakes(False, threshold, result.frame_scores, nll, windows, clips, MASKS)
    assert alarms[0].clip == "a"
    assert 290 <= alarms[0].frame < 310
    assert alarms[0].window is not None
    assert nll[alarms[0].window] > 8
    misses = worst_mistakes(True, threshold, result.frame_scores, nll, windows, clips, MASKS)
    assert {mistake.clip for mistake in misses} == {"b"}
    assert all(MASKS["b"][mistake.frame] == 1 for mistake in misses)
    assert any(mistake.window is None for mistake in misses)  # nobody is tracked after frame 330
    frames = sorted(mistake.frame for mistake in misses)
    assert all(np.diff(frames) > 48)


def test_the_threshold_makes_false_alarms_and_misses_equally_frequent() -> None:
    rng = np.random.default_rng(0)
    labels = {"a": rng.integers(-1, 2, 5000)}
    scores = {"a": rng.normal(0, 1, 5000) + labels["a"]}
    threshold = equal_error_threshold(scores, labels)
    false_alarms = (scores["a"][labels["a"] == 0] > threshold).mean()
    misses = (scores["a"][labels["a"] == 1] <= threshold).mean()
    assert false_alarms == pytest.approx(misses, abs=0.002)


def test_the_page_is_whole_and_names_cannot_become_code(read_page: Callable[[str], Any]) -> None:
    clips = [clip("a"), clip("b")]
    windows, nll = scored(clips)
    result = evaluate_windows(nll, windows, clips, MASKS)
    comparison = compare_windows(result, nll, windows, clips, MASKS)
    judged = ScoredClips(clips, windows, nll)
    text = evaluation_page(result, judged, MASKS, "<script>alert(1)</script>", comparison)
    read_page(text)
    assert "<script" not in text
    assert set(re.findall(r'src="(.{22})', text)) == {"data:image/png;base64,"}
    assert f"micro AUC {100 * result.micro.auc:.2f} %" in text  # type: ignore[operator]
    assert text.count("score over time of") == 2


def test_a_model_that_separates_them_makes_no_mistake() -> None:
    clips = [clip("a"), clip("b")]
    windows = make_windows(clips)
    masks = {"a": np.zeros(FRAMES, np.int64), "b": np.ones(FRAMES, np.int64)}
    masks["b"][:40] = masks["b"][-40:] = -1  # nobody has a whole window there yet
    nll = windows.clip.astype(np.float32)
    result = evaluate_windows(nll, windows, clips, masks)
    assert result.micro.auc == 1
    threshold = equal_error_threshold(result.frame_scores, masks)
    for abnormal in (False, True):
        assert worst_mistakes(abnormal, threshold, result.frame_scores, nll, windows, clips, masks) == []


def test_the_command_writes_it(dataset: Path, tmp_path: Path, read_page: Callable[[str], Any]) -> None:
    words = ["evaluate", "--poses", dataset / "test", "--masks", dataset / "masks", "--model", "untrained"]
    result = CliRunner().invoke(
        main, [str(word) for word in [*words, "--report", tmp_path / "new" / "page.html"]]
    )
    assert result.exit_code == 0, result.output
    text = (tmp_path / "new/page.html").read_text(encoding="utf-8")
    read_page(text)
    assert "Evaluation of untrained (seed 0)" in text

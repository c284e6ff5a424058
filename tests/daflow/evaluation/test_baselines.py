"""Scores without a model: what each of them is, and what is said of a model beside them."""

from __future__ import annotations

import html
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import spearmanr

from daflow.cli import main
from daflow.core.data.tracks import Clip, Track
from daflow.core.data.windows import LENGTH, Windows, make_windows
from daflow.evaluation.auc import evaluate_windows
from daflow.evaluation.baselines import (
    Comparison,
    balanced_auc,
    compare_windows,
    motion,
    score_without_model,
    sizes,
)

FRAMES, CLIPS = 300, 8
Mask = np.ndarray


def track(
    person: int, first: int = 0, frames: int = FRAMES, height: float = 100.0, step: float = 0.0
) -> Track:
    """Somebody who trembles, `height` pixels from the highest joint to the lowest, and walks to the right."""
    rng = np.random.default_rng(person)
    points = rng.uniform((0, 0), (60, 1), (frames, 17, 2)) * (1, height)
    points[:, 0, 1], points[:, 16, 1] = 0, height
    points[..., 0] += step * np.arange(frames)[:, None] + 50
    visible = np.ones((frames, 17, 1))
    return Track(
        person, np.arange(first, first + frames), np.concatenate([points + 20, visible], axis=2).astype(np.float32),
        np.ones(frames, np.float32),
    )  # fmt: skip


def data(
    mask: Callable[[int], Mask],
    *,
    clips: int = CLIPS,
    more: Callable[[int], tuple[Track, ...]] = lambda clip: (),
) -> tuple[list[Clip], Windows, dict[str, Mask]]:
    made = [Clip(f"c{i}", (track(1), *more(i)), (640, 480)) for i in range(clips)]
    return made, make_windows(made), {f"c{i}": mask(i) for i in range(clips)}


def late(_: int) -> Mask:
    return (np.arange(FRAMES) >= 200).astype(np.int64)


def anywhere(clip: int) -> Mask:
    begin = 30 + 25 * clip
    mask = np.zeros(FRAMES, np.int64)
    mask[begin : begin + 60] = 1
    return mask


def compare(mask: Callable[[int], Mask], power: float, clips: int = CLIPS) -> Comparison:
    """Compare scores that follow the labels by so many standard deviations."""
    made, windows, masks = data(mask, clips=clips)
    labels = np.array([masks[f"c{c}"][m] for c, m in zip(windows.clip, windows.middle, strict=True)])
    nll = (np.random.default_rng(0).normal(0, 1, len(windows)) + power * labels).astype(np.float32)
    return compare_windows(evaluate_windows(nll, windows, made, masks), nll, windows, made, masks)


def test_where_all_anomalies_are_late_the_frame_s_number_does_as_well_and_that_is_said() -> None:
    found = compare(late, 0.5)
    assert (found.baselines[0].name, found.baselines[0].auc) == ("a late frame of its clip", 1.0)
    assert found.verdict == "behind"
    assert "Without any model, a late frame of its clip does as well (100.00 %" in found.sentence
    assert found.balanced_auc is None  # no normal frame is as late


def test_a_model_that_sees_more_is_ahead_of_every_score_without_one() -> None:
    found = compare(anywhere, 2.0)
    assert found.verdict == "ahead"
    assert found.interval is not None
    assert found.interval.low < found.auc < found.interval.high
    assert found.balanced_auc is not None
    assert found.balanced_auc > 0.9
    assert "ahead of every score without a model, by" in found.sentence
    shuffled = next(each for each in found.baselines if each.name.endswith("shuffled"))
    assert shuffled.auc == pytest.approx(0.5, abs=0.25)


def test_a_model_that_is_hardly_better_is_called_unclear_and_few_clips_are_told() -> None:
    assert compare(anywhere, 0.1).verdict == "unclear"
    assert "do not tell them apart" in compare(anywhere, 0.1).sentence
    few = compare(anywhere, 2.0, clips=3)
    assert (few.verdict, few.interval) == ("unclear", None)
    assert "there are too few clips" in few.sentence


def test_each_score_is_taken_in_its_better_direction() -> None:
    made, windows, masks = data(lambda clip: 1 - late(clip))
    assert score_without_model(windows, made, masks)["an early frame of its clip"].micro.auc == 1.0


def test_a_crowd_and_its_loss_are_seen_by_the_number_of_people() -> None:
    def crowd(_: int) -> tuple[Track, ...]:
        return tuple(track(person, 200, 150) for person in range(2, 6))  # longer than the mask

    for mask, name in ((late, "many people"), (lambda clip: 1 - late(clip), "few people")):
        made, windows, masks = data(mask, more=crowd)
        assert score_without_model(windows, made, masks)[name].micro.auc == pytest.approx(1.0, abs=0.01)


def test_movement_is_the_mean_step_of_a_joint() -> None:
    windows = make_windows([Clip("a", (track(1),), (640, 480))])
    windows.poses[:] = 0
    windows.poses[:, 0], windows.poses[:, 1] = (s * np.arange(LENGTH)[:, None] for s in (3, 4))
    np.testing.assert_allclose(motion(windows), 5)


def test_the_size_is_that_in_the_middle_of_the_window_and_as_a_share_of_the_picture() -> None:
    clips = [Clip("a", (track(1, height=120), track(2, height=240)), (640, 480))]
    windows = make_windows(clips)
    found = sizes(windows, clips)
    np.testing.assert_allclose(found[windows.person == 1], 0.25, atol=1e-6)
    np.testing.assert_allclose(found[windows.person == 2], 0.5, atol=1e-6)


def test_somebody_of_whom_no_joint_was_seen_in_the_middle_has_no_size_and_warns_nobody() -> None:
    one = track(1)
    one.keypoints[50] = 0  # not seen
    clips = [Clip("a", (one,), (640, 480))]
    windows = make_windows(clips)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = sizes(windows, clips)
    assert found[windows.middle == 50].tolist() == [0.0]
    assert (found[windows.middle != 50] > 0.2).all()


def test_at_the_same_position_only_scores_that_see_more_than_the_position_are_better_than_chance() -> None:
    masks = {f"c{i}": anywhere(i) for i in range(CLIPS)}
    position = {name: (np.arange(FRAMES) // 25).astype(np.float64) for name in masks}
    assert balanced_auc(position, masks) == (0.5, 1.0)
    assert balanced_auc({name: mask.astype(float) for name, mask in masks.items()}, masks)[0] == 1.0
    assert balanced_auc(position, {"c0": late(0)})[1] == 0.0


def test_the_command_prints_them_and_its_page_takes_their_colour(tmp_path: Path, dataset: Path) -> None:
    page = tmp_path / "page.html"
    words = [
        "evaluate", "--model", "untrained", "--poses", dataset / "test", "--masks", dataset / "masks", "--report", page,
    ]  # fmt: skip
    ran = CliRunner().invoke(main, [str(word) for word in (*words, "--json", tmp_path / "figures.json")])
    assert ran.exit_code == 0, ran.output
    found = json.loads((tmp_path / "figures.json").read_text())["baselines"]
    assert len(found["baselines"]) == 6
    for each in found["baselines"]:
        assert each["name"] in ran.output
        assert html.escape(each["name"]) in page.read_text()
    assert found["sentence"] in ran.output
    colour = {"ahead": "good", "unclear": "unclear", "behind": "bad"}[found["verdict"]]
    assert f'class="verdict {colour}"' in page.read_text()


def test_the_rank_correlation_is_that_of_scipy() -> None:
    clips, windows, masks = data(late)
    nll = np.random.default_rng(4).normal(size=len(windows)).astype(np.float32)
    result = evaluate_windows(nll, windows, clips, masks)
    ours = np.concatenate([result.frame_scores[name] for name in masks])
    others = score_without_model(windows, clips, masks)
    found = {b.name: b.correlation for b in compare_windows(result, nll, windows, clips, masks).baselines}
    for name, other in others.items():
        theirs = np.concatenate([other.frame_scores[clip] for clip in masks])
        if np.ptp(theirs) == 0:
            assert found[name] is None
        else:
            assert found[name] == pytest.approx(spearmanr(ours, theirs).statistic, abs=1e-12)
    assert sum(value is not None for value in found.values()) >= 4

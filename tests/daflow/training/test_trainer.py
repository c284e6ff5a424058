"""Training: it learns, repeats and resumes exactly, and keeps what suits people held out best."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import Poses, Windows, make_windows
from daflow.core.errors import InputError
from daflow.model.flow import ModelConfig
from daflow.model.torch_scorer import available_device, score
from daflow.training import trainer as training
from daflow.training.options import TrainOptions
from daflow.training.trainer import Trained, fit, hold_out_windows, mirrored, one_cycle

Change = Callable[[torch.Tensor], torch.Tensor]

QUICK = TrainOptions(epochs=3)


@pytest.fixture(scope="module")
def windows(dataset: Path) -> Windows:
    return make_windows(read_clips(dataset / "train"), stride=6)


@pytest.fixture(scope="module")
def poses(windows: Windows) -> Poses:
    return windows.poses


@pytest.fixture(scope="module")
def trained(poses: Poses) -> Trained:
    return fit(poses, options=TrainOptions(epochs=6))


def same(one: Trained, other: Trained) -> bool:
    states = one.model.state_dict().values(), other.model.state_dict().values()
    return one.history == other.history and all(torch.equal(a, b) for a, b in zip(*states, strict=True))


def test_training_lowers_the_nll(trained: Trained) -> None:
    first, *_, last = trained.history
    assert last.training < first.training - 1
    assert trained.best == 5
    assert last.held_out is None


def test_a_seed_repeats_exactly_on_any_number_of_cores(poses: Poses) -> None:
    before = torch.get_num_threads()
    found = []
    for threads, seed in ((1, 5), (2, 5), (1, 6)):
        torch.set_num_threads(threads)
        found.append(fit(poses, options=TrainOptions(epochs=1, seed=seed)))
    torch.set_num_threads(before)
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_training_goes_on_exactly(
    poses: Poses, windows: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    held_out = hold_out_windows(windows, 0.2)
    whole = fit(poses, options=QUICK, held_out=held_out)
    epoch = training._Run.epoch

    def interrupted(run: training._Run) -> None:
        if len(run.history) == after:
            raise KeyboardInterrupt
        epoch(run)

    monkeypatch.setattr(training._Run, "epoch", interrupted)
    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        fit(poses, options=QUICK, held_out=held_out, state=state)
    assert state.is_file()
    monkeypatch.setattr(training._Run, "epoch", epoch)
    torch.manual_seed(999)  # the state carries its own randomness
    assert same(whole, fit(poses, options=QUICK, held_out=held_out, state=state))
    assert same(whole, fit(poses, options=QUICK, held_out=held_out, state=state))  # nothing is left to do


def test_a_state_of_other_options_windows_or_none_is_refused(poses: Poses, tmp_path: Path) -> None:
    state = tmp_path / "state"
    run = training._Run(poses, ModelConfig(), QUICK, np.zeros(len(poses), np.bool_), None)
    run.save(state)
    for other in (
        {"options": TrainOptions(epochs=3, seed=1)},
        {"config": ModelConfig(block="tcn"), "options": QUICK},
        {"poses": poses[1:], "options": QUICK},
    ):
        with pytest.raises(InputError, match="with other windows or options"):
            fit(**{"poses": poses, "state": state, **other})  # type: ignore[arg-type]
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(InputError, match="not an interrupted training"):
        fit(poses, options=QUICK, state=state)


@pytest.mark.parametrize("changed", ["model", "best_weights", "optimizer", "random", "history", "best"])
@pytest.mark.parametrize("value", [None, 7, {"a": 1}, [{"training": 1.0}]])
def test_a_state_with_a_broken_part_is_refused(
    poses: Poses, tmp_path: Path, changed: str, value: object
) -> None:
    state = tmp_path / "state"
    fit(poses[:64], options=TrainOptions(epochs=1), state=state)
    content = torch.load(state, weights_only=True)
    torch.save({**content, changed: value}, state)
    with pytest.raises(InputError, match="not an interrupted training"):
        fit(poses[:64], options=TrainOptions(epochs=1), state=state)


def expanded(values: torch.Tensor) -> torch.Tensor:
    return values.new_ones(1).expand(1 << 40)


@pytest.mark.parametrize("weights", ["model", "best_weights"])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("actnorm.bias", lambda values: values * torch.nan),
        ("running_var", torch.neg),
        ("actnorm.bias", expanded),
    ],
)
def test_a_state_with_wrong_weights_is_refused(
    stopped: dict[str, Any], poses: Poses, tmp_path: Path, weights: str, name: str, change: Change
) -> None:
    wrong = next(each for each in stopped[weights] if each.endswith(name))
    state = {**stopped[weights], wrong: change(stopped[weights][wrong])}
    refuses({**stopped, weights: state}, poses, tmp_path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(
            (name, change)
            for name in ("step", "exp_avg", "exp_avg_sq")
            for change in (expanded, torch.Tensor.double)
        ),
        ("step", torch.neg),
        ("exp_avg", lambda values: values * torch.nan),
        ("exp_avg_sq", lambda values: values - 1),
    ],
)
def test_a_state_with_wrong_moments_of_the_optimizer_is_refused(
    stopped: dict[str, Any], poses: Poses, tmp_path: Path, name: str, change: Change
) -> None:
    moments = stopped["optimizer"]["state"]
    state = {**moments, 0: {**moments[0], name: change(moments[0][name])}}
    refuses({**stopped, "optimizer": {**stopped["optimizer"], "state": state}}, poses, tmp_path)


def test_a_state_that_cannot_be_read_is_not_called_damaged(
    stopped: dict[str, Any], poses: Poses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(stopped, tmp_path / "state")
    broken = OSError(5, "Input/output error")

    def fails(*_: object) -> None:
        raise broken

    monkeypatch.setattr(training, "load_torch_file", fails)
    with pytest.raises(OSError, match="Input/output error"):
        fit(poses[:64], options=QUICK, state=tmp_path / "state")


def test_the_options_of_the_optimizer_are_not_taken_from_a_state(
    stopped: dict[str, Any], poses: Poses, tmp_path: Path
) -> None:
    groups = [{**stopped["optimizer"]["param_groups"][0], "betas": (9.0, 9.0)}]
    torch.save({**stopped, "optimizer": {**stopped["optimizer"], "param_groups": groups}}, tmp_path / "state")
    run = training._Run(poses[:64], ModelConfig(), QUICK, np.zeros(64, np.bool_), None)
    run.resume(tmp_path / "state")
    assert run.optimizer.param_groups[0]["betas"] == (0.9, 0.999)


def refuses(content: dict[str, Any], poses: Poses, folder: Path) -> None:
    torch.save(content, folder / "state")
    with pytest.raises(InputError, match="not an interrupted training"):
        fit(poses[:64], options=QUICK, state=folder / "state")


@pytest.fixture(scope="module")
def stopped(poses: Poses, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The state of a training that was stopped."""
    state = tmp_path_factory.mktemp("stopped") / "state"
    fit(poses[:64], options=QUICK, state=state)
    content: dict[str, Any] = torch.load(state, weights_only=True)
    return content


def test_the_epoch_that_suits_those_held_out_best_is_kept(poses: Poses, rng: np.random.Generator) -> None:
    # People held out who do not resemble the others at all: the longer the training, the worse they score.
    strange = poses[:64] + rng.normal(0, 2, (64, *poses.shape[1:])).astype(np.float32)
    everything = np.concatenate([poses, strange])
    held_out = np.arange(len(everything)) >= len(poses)
    found = fit(everything, options=TrainOptions(epochs=5), held_out=held_out)
    scores = [epoch.held_out for epoch in found.history]
    assert scores[found.best] == min(scores)  # type: ignore[type-var]
    assert float(score(found.model, strange).double().mean()) == pytest.approx(min(scores), abs=1e-6)  # type: ignore[type-var]


def test_labels_separate_what_training_without_them_does_not(poses: Poses, rng: np.random.Generator) -> None:
    strange = poses + rng.normal(0, 0.2, poses.shape).astype(np.float32)
    both, labels, options = (
        np.concatenate([poses, strange]),
        np.repeat([1, -1], len(poses)),
        TrainOptions(epochs=10),
    )

    def separated(labels: np.ndarray | None) -> float:
        model = fit(both, options=options, labels=labels).model
        return float((score(model, poses)[:, None] < score(model, strange)).float().mean())

    assert separated(labels) > separated(None) + 0.05


def test_the_trained_model_prefers_what_it_was_trained_on(
    trained: Trained, poses: Poses, rng: np.random.Generator
) -> None:
    strange = poses + rng.normal(0, 1, poses.shape).astype(np.float32)
    assert score(trained.model, strange).median() > score(trained.model, poses).quantile(0.99)


def test_windows_mapped_from_a_file_train_the_same_model(poses: Poses, tmp_path: Path) -> None:
    (tmp_path / "poses").write_bytes(poses.tobytes())
    mapped = np.memmap(tmp_path / "poses", np.float32, "c", shape=poses.shape)
    options = TrainOptions(epochs=1)
    assert same(fit(poses, options=options), fit(mapped, options=options))


def test_whole_clips_are_held_out_or_whole_tracks_where_clips_are_few() -> None:
    rng = np.random.default_rng(0)
    clip, person = np.sort(rng.integers(0, 20, 1000)), rng.integers(0, 3, 1000)
    empty = np.zeros((1000, 2, 24, 18), np.float32)
    many = Windows(empty, clip, person, *[np.arange(1000)] * 3)
    chosen = hold_out_windows(many, 0.1)
    assert set(clip[chosen]).isdisjoint(clip[~chosen])
    assert len(set(clip[chosen])) == 2
    few = Windows(empty, clip // 10, person, *[np.arange(1000)] * 3)
    chosen = hold_out_windows(few, 0.3)
    tracks = few.clip * 10 + person
    assert set(tracks[chosen]).isdisjoint(tracks[~chosen])
    assert len(set(tracks[chosen])) == 2
    assert not hold_out_windows(many, 0).any()
    assert not hold_out_windows(
        Windows(empty, clip * 0, person * 0, *[np.arange(1000)] * 3), 0.5
    ).any()  # one person alone


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [one_cycle(progress) for progress in np.linspace(0, 1, 101)]
    assert max(rates) == rates[10] == pytest.approx(1)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_mirroring_twice_changes_nothing_and_once_swaps_sides(poses: Poses) -> None:
    windows = torch.from_numpy(poses[:5])
    once = mirrored(windows)
    assert torch.equal(mirrored(once), windows)
    right_wrist, left_wrist = 4, 7
    assert torch.equal(once[:, 0, :, right_wrist], -windows[:, 0, :, left_wrist])
    assert torch.equal(once[:, 1, :, right_wrist], windows[:, 1, :, left_wrist])


def test_scores_do_not_depend_on_the_batch(trained: Trained, poses: Poses) -> None:
    together = score(trained.model, poses[:10])
    alone = torch.cat([score(trained.model, poses[i : i + 1]) for i in range(10)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_no_windows_give_no_scores(trained: Trained, poses: Poses) -> None:
    assert score(trained.model, poses[:0]).shape == (0,)


def test_a_device_that_is_not_here_is_named() -> None:
    with pytest.raises(InputError, match="nonsense"):
        available_device("nonsense")

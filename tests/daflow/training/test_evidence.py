"""Fitting the evidence: on real windows of generated walkers, and on what cannot be fitted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.windows import Poses, make_windows
from daflow.core.errors import InputError
from daflow.core.evidence import CHANNELS
from daflow.model.flow import DAFlow, ModelConfig
from daflow.model.torch_scorer import judge
from daflow.training import evidence as module
from daflow.training.evidence import fit_evidence
from daflow.training.trainer import mirrored


@pytest.fixture(scope="module")
def walkers() -> Poses:
    clips = [generate_clip(f"walk_{seed}", seed, Scene(frames=300))[0] for seed in range(4)]
    return make_windows(clips, 24, 2).poses


@pytest.fixture(scope="module")
def flow() -> DAFlow:
    return DAFlow(ModelConfig(), torch.Generator().manual_seed(0)).eval()


def test_the_share_of_normal_windows_is_the_surprise_of_each_channel(walkers: Poses, flow: DAFlow) -> None:
    evidence = fit_evidence(("flow", "shape", "motion"), flow, walkers, 25.0)
    found = judge(flow, evidence, walkers)
    assert found.surprise is not None
    assert found.surprise.shape == (len(walkers), 3)
    assert np.allclose(found.score, found.surprise.sum(axis=1), atol=1e-4)
    for channel in found.surprise.T:
        assert (channel >= 2).mean() == pytest.approx(1 / 4, abs=0.01)
        assert (channel >= 4).mean() == pytest.approx(1 / 16, abs=0.01)
    assert evidence.windows == len(walkers)
    assert evidence.lag == 4


def test_a_posture_surprises_the_shape_and_a_fast_walk_the_motion(walkers: Poses, flow: DAFlow) -> None:
    evidence = fit_evidence(("flow", "shape", "motion"), flow, walkers, 25.0)
    lying = walkers[:50, ::-1].copy()  # x and y change places
    fast = walkers[:50].copy()
    fast += np.linspace(-8, 8, 24, dtype=np.float32).reshape(1, 1, 24, 1) * np.float32([1, 0]).reshape(
        1, 2, 1, 1
    )
    shape, motion = 1, 2
    for windows, channel, other in ((lying, shape, None), (fast, motion, shape)):
        surprise = judge(flow, evidence, windows).surprise
        assert surprise is not None
        assert np.median(surprise[:, channel]) > 12
        if other is not None:
            assert np.median(surprise[:, other]) < 4


def test_the_mirrored_windows_are_as_normal(walkers: Poses, flow: DAFlow) -> None:
    x = torch.from_numpy(walkers[:200])
    for augment, most in ((True, 0.05), (False, np.inf)):
        evidence = fit_evidence(("flow", "shape", "motion"), flow, walkers, 25.0, augment)
        both = [evidence.others["shape"](part) for part in (x, mirrored(x))]
        assert abs(float(both[0].mean() - both[1].mean())) < most


def test_the_fit_is_the_same_in_parts(walkers: Poses, flow: DAFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit_evidence(("flow", "motion"), flow, walkers, None)
    monkeypatch.setattr(module, "_BLOCK", 100)
    parts = fit_evidence(("flow", "motion"), flow, walkers, None)
    found = [judge(flow, evidence, walkers[:300]).score for evidence in (whole, parts)]
    assert np.allclose(*found, atol=1e-3)


@pytest.mark.parametrize(("fps", "lag"), [(10.0, 2), (30.0, 4), (1.0, 1), (1000.0, 23)])
def test_a_moment_is_the_same_time_at_any_rate(walkers: Poses, flow: DAFlow, fps: float, lag: int) -> None:
    assert fit_evidence(("flow", "motion"), flow, walkers[:100], fps).lag == lag


def test_who_never_moves_says_nothing_about_movement(walkers: Poses, flow: DAFlow) -> None:
    still = np.repeat(walkers[:64, :, :1], 24, axis=2)
    with pytest.raises(InputError, match=r"no movement that varies.*--evidence flow"):
        fit_evidence(("flow", "motion"), flow, still, 25.0)


def test_windows_that_are_held_out_are_not_looked_at(
    walkers: Poses, flow: DAFlow, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out = np.arange(len(walkers)) % 3 == 0
    poses = walkers.copy()
    poses[held_out] = np.nan  # one look would show
    monkeypatch.setattr(module, "_BLOCK", 100)
    found = fit_evidence(CHANNELS, flow, poses, 25.0, held_out=held_out)
    expected = fit_evidence(CHANNELS, flow, walkers[~held_out], 25.0)
    assert found.windows == expected.windows == (~held_out).sum()
    scores = [judge(flow, evidence, walkers[:200]).score for evidence in (found, expected)]
    assert np.allclose(*scores, rtol=1e-4, atol=1e-3)


def test_few_windows_are_told(walkers: Poses, flow: DAFlow, caplog: pytest.LogCaptureFixture) -> None:
    fit_evidence(("flow", "shape"), flow, walkers[:40], 25.0)
    assert "40 windows are too few to know how rare a posture or a movement is" in caplog.text


def test_bodies_that_stay_where_they_are_travel_nowhere(walkers: Poses, flow: DAFlow) -> None:
    """Joints move, and the centre of the body does not."""
    waving = walkers[:64] - walkers[:64].mean(axis=3, keepdims=True)
    waving = (waving[..., :9] - waving[..., 9:]) / 2
    with pytest.raises(InputError, match=r"no way of a body that varies.*--evidence flow"):
        fit_evidence(CHANNELS, flow, np.concatenate([waving, -waving], axis=3), 25.0)

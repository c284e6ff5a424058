from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daflow.errors import InputError
from daflow.windows import Poses
from export.verification import (
    LIMITS,
    Limits,
    Nll,
    VerificationSet,
    compare,
    generated_set,
    missed_limits,
    perturb,
    recorded_set,
)


@pytest.fixture(scope="module")
def data() -> VerificationSet:
    return generated_set(24)


def roughness(poses: Poses) -> Nll:
    """A stand-in for a score that is high for jumpy windows."""
    jumps: Nll = np.abs(np.diff(poses, axis=2)).mean(axis=(1, 2, 3), dtype=np.float32)
    return jumps


def test_a_form_that_scores_the_same_keeps_every_limit(data: VerificationSet) -> None:
    same = compare(data, roughness, roughness)
    assert same.windows == len(data.windows) + len(data.perturbed)
    assert (same.max_abs, same.max_error, same.auc_delta) == (0, 0, 0)
    assert same.spearman == pytest.approx(1)
    assert same.tail_spearman == pytest.approx(1)
    assert missed_limits(same, LIMITS["fp32"]) == []


def test_a_small_error_is_measured(data: VerificationSet) -> None:
    off = compare(data, roughness, lambda poses: roughness(poses) + np.float32(0.01))
    assert off.max_abs == pytest.approx(0.01, rel=1e-3)
    assert any("max_error is 0.01" in phrase for phrase in missed_limits(off, LIMITS["fp32"]))


def test_a_ruined_tail_is_seen_although_the_rest_ranks_well(data: VerificationSet) -> None:
    limit = np.quantile(roughness(data.windows.poses), 0.9)
    clipped = compare(data, roughness, lambda poses: np.minimum(roughness(poses), np.float32(limit)))
    assert clipped.spearman > 0.9
    assert any("tail_spearman" in phrase for phrase in missed_limits(clipped, LIMITS["fp16"]))


def test_nan_misses_the_limits(data: VerificationSet) -> None:
    def broken(poses: Poses) -> Nll:
        scores = roughness(poses)
        scores[:3] = np.nan
        return scores

    compared = compare(data, roughness, broken)
    assert compared.non_finite == 6
    assert "NaN" in missed_limits(compared, Limits())[0]


def test_a_reversed_ranking_changes_the_auc(data: VerificationSet) -> None:
    reversed_scores = compare(data, roughness, lambda poses: -roughness(poses))
    assert reversed_scores.spearman == pytest.approx(-1)
    assert reversed_scores.auc_delta is not None
    assert abs(reversed_scores.auc_delta) > 0.01


def test_perturbed_windows_are_abnormal_and_the_same_each_time(data: VerificationSet) -> None:
    assert np.array_equal(perturb(data.windows.poses), data.perturbed)
    assert np.median(roughness(data.perturbed)) > 1.5 * np.median(roughness(data.windows.poses))


def test_recordings_without_masks_give_no_auc(dataset: Path) -> None:
    recorded = recorded_set(dataset / "test", None, 24)
    assert compare(recorded, roughness, roughness).auc_delta is None
    with_masks = recorded_set(dataset / "test", dataset / "masks", 24)
    assert compare(with_masks, roughness, roughness).auc_delta == 0


def test_recordings_that_are_too_short_are_refused(dataset: Path) -> None:
    with pytest.raises(InputError, match="gives no window"):
        recorded_set(dataset / "test", None, 250)

"""What a model is verified on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daflow.core.data.windows import Poses
from daflow.core.errors import InputError
from daflow.core.scoring.comparison import Nll
from export.verification import VerificationSet, recorded_set


def roughness(poses: Poses) -> Nll:
    """A stand-in for a score that is high for jumpy windows."""
    jumps: Nll = np.abs(np.diff(poses, axis=2)).mean(axis=(1, 2, 3), dtype=np.float32)
    return jumps


def test_the_generated_set_has_normal_abnormal_and_extreme_windows(generated: VerificationSet) -> None:
    assert len(generated.sets.recorded) == len(generated.windows) > 1000
    assert len(generated.sets.perturbed) > 1000
    assert np.abs(generated.sets.extreme).max() > 100
    assert generated.masks is not None
    assert {int(label) for mask in generated.masks.values() for label in mask} == {0, 1}
    assert generated.origin == "generated recordings"


def test_with_labels_the_change_of_the_auc_is_reported_in_points(generated: VerificationSet) -> None:
    reference = generated.sets.score(roughness)
    same = generated.compare(reference, generated.sets.score(roughness))
    assert same.auc_delta == 0
    assert same.auc is not None
    assert 50 < same.auc < 100
    turned = generated.compare(reference, generated.sets.score(lambda poses: -roughness(poses)))
    assert turned.spearman == pytest.approx(-1)
    assert turned.auc_delta is not None
    assert abs(turned.auc_delta) > 1


def test_scores_that_are_no_numbers_have_no_auc(generated: VerificationSet) -> None:
    def broken(poses: Poses) -> Nll:
        scores = roughness(poses)
        scores[:3] = np.nan
        return scores

    compared = generated.compare(generated.sets.score(roughness), generated.sets.score(broken))
    assert compared.non_finite == 9
    assert compared.auc_delta is None


def test_recordings_without_masks_give_no_auc(dataset: Path) -> None:
    recorded = recorded_set(dataset / "test", None, 24)
    scores = recorded.sets.score(roughness)
    assert recorded.compare(scores, scores).auc_delta is None
    labelled = recorded_set(dataset / "test", dataset / "masks", 24)
    assert labelled.compare(scores, scores).auc_delta == 0


def test_recordings_that_are_too_short_are_refused(dataset: Path) -> None:
    with pytest.raises(InputError, match="gives no window"):
        recorded_set(dataset / "test", None, 250)
    with pytest.raises(InputError, match="There is no folder"):
        recorded_set(dataset / "nowhere", None, 24)

"""What disturbs the ranking stays in FP32, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.int8_ranges import Ranges
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import make_windows
from daflow.core.errors import CheckFailed
from daflow.core.scoring.comparison import WindowSets
from daflow.core.scoring.limits import LIMITS, Limits
from export.int8_graph import calibrated_ranges, operations
from export.sensitivity import MARGINS, Sensitivity


@pytest.fixture(scope="module")
def sets(dataset: Path) -> WindowSets:
    return WindowSets.of(make_windows(read_clips(dataset / "train")).poses[:200])


@pytest.fixture(scope="module")
def ranges(graphs: dict[str, Path], sets: WindowSets) -> Ranges:
    tensors = [name for names in operations(graphs["fp32"]).values() for name in names]
    windows = np.concatenate([sets.recorded, sets.perturbed])
    return calibrated_ranges(graphs["fp32"], tensors, windows, "percentile", "test")


@pytest.fixture(scope="module")
def sensitivity(graphs: dict[str, Path], ranges: Ranges, sets: WindowSets) -> Sensitivity:
    return Sensitivity(graphs["fp32"], ranges, sets)


def test_everything_is_int8_when_anything_goes(graphs: dict[str, Path], sensitivity: Sensitivity) -> None:
    assert sensitivity.choose(Limits()) == list(operations(graphs["fp32"]))


def test_a_spoilt_tensor_is_kept_in_fp32(graphs: dict[str, Path], ranges: Ranges, sets: WindowSets) -> None:
    spoilt = "flow.steps.5.block.ReduceMean"  # feeds two products
    tensors = {**ranges.tensors, spoilt: ranges.tensors[spoilt] * 1e-3}
    poisoned = ranges.model_copy(update={"tensors": tensors})
    limits = Limits(spearman=0.99)
    chosen = Sensitivity(graphs["fp32"], poisoned, sets).choose(limits)
    everything = list(operations(graphs["fp32"]))
    kept = set(everything) - set(chosen)
    assert kept & {"flow.steps.5.block.values.Gemm", "flow.steps.5.block.frame_gates.Gemm"}
    assert len(kept) < len(everything) / 2
    assert chosen == [name for name in everything if name not in kept]


def test_a_limit_that_no_operation_keeps_is_an_error(sensitivity: Sensitivity) -> None:
    with pytest.raises(CheckFailed, match="No operation"):
        sensitivity.choose(Limits(spearman=1.5))


def test_the_default_limits_leave_most_in_int8(sensitivity: Sensitivity) -> None:
    assert len(sensitivity.choose(LIMITS["int8"])) > 8


def test_a_smaller_margin_keeps_more_in_fp32(sensitivity: Sensitivity) -> None:
    counts = [len(sensitivity.choose(LIMITS["int8"], margin)) for margin in MARGINS]
    assert counts == sorted(counts, reverse=True)

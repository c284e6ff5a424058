"""INT8 ranges: what each method keeps, and a cache that fits one graph only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibration.int8_ranges import (
    BINS,
    LEVELS,
    METHODS,
    calibration_windows,
    entropy_bins,
    percentile_bins,
    read_ranges,
    write_ranges,
)
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import Poses, make_windows
from daflow.core.errors import InputError
from export.int8_graph import calibrated_ranges

TENSORS = ["flow.steps.1.block.ReduceMean", "flow.steps.2.block.Reshape"]


@pytest.fixture(scope="module")
def normal(dataset: Path) -> Poses:
    return make_windows(read_clips(dataset / "train")).poses


def half_normal(outlier: float) -> np.ndarray:
    values = np.abs(np.random.default_rng(0).standard_normal(100_000))
    return np.histogram([*values, outlier], bins=BINS, range=(0, outlier))[0].astype(np.float64)


def test_a_percentile_leaves_out_one_value_in_ten_thousand() -> None:
    histogram = np.zeros(BINS)
    histogram[:100], histogram[2000] = 1000, 5  # 5 of 100,005 lie far out
    assert percentile_bins(histogram) == 100
    histogram[2000] = 50
    assert percentile_bins(histogram) == 2001


def test_entropy_cuts_a_lonely_outlier_off() -> None:
    assert entropy_bins(half_normal(40.0)) < BINS / 4


def test_entropy_keeps_an_even_distribution_whole() -> None:
    assert entropy_bins(np.full(BINS, 10.0)) == BINS


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=BINS // 64, max_size=BINS // 64), st.integers(1, 10**6))
def test_any_histogram_gives_a_range(counts: list[int], mass: int) -> None:
    histogram = np.repeat(np.array(counts, dtype=np.float64), 64)
    histogram[0] += mass
    assert 1 <= percentile_bins(histogram) <= BINS
    assert LEVELS <= entropy_bins(histogram) <= BINS


def test_minmax_is_the_largest_magnitude(graphs: dict[str, Path], normal: Poses) -> None:
    model = onnx.load(graphs["fp32"])
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in TENSORS)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = {
        name: np.abs(v).max()
        for name, v in zip(TENSORS, session.run(TENSORS, {"poses": normal}), strict=True)
    }
    found = calibrated_ranges(graphs["fp32"], TENSORS, normal, "minmax", "test")
    assert found.tensors == pytest.approx(expected, rel=1e-5)
    assert found.windows == len(normal)


def test_the_methods_keep_more_and_less(graphs: dict[str, Path], normal: Poses) -> None:
    found = [calibrated_ranges(graphs["fp32"], TENSORS, normal, method, "test").tensors for method in METHODS]
    minmax, percentile, entropy = found
    for name in TENSORS:
        assert 0 < percentile[name] <= minmax[name]
        assert 0 < entropy[name] <= minmax[name]


def test_abnormal_windows_are_in_the_set_and_widen_the_ranges(graphs: dict[str, Path], normal: Poses) -> None:
    wide = calibration_windows(normal)
    assert len(wide) > 2 * len(normal)
    alone = calibrated_ranges(graphs["fp32"], TENSORS, normal, "minmax", "test").tensors
    both = calibrated_ranges(graphs["fp32"], TENSORS, wide, "minmax", "test").tensors
    assert all(both[name] > alone[name] for name in TENSORS)


def test_the_cache_is_readable_and_comes_back(graphs: dict[str, Path], normal: Poses, tmp_path: Path) -> None:
    ranges = calibrated_ranges(graphs["fp32"], TENSORS, normal, "entropy", "test")
    write_ranges(tmp_path / "ranges.json", ranges)
    assert json.loads((tmp_path / "ranges.json").read_text())["tensors"].keys() == set(TENSORS)
    assert read_ranges(tmp_path / "ranges.json", graphs["fp32"]) == ranges


def test_the_cache_of_another_graph_is_refused(
    graphs: dict[str, Path], normal: Poses, tmp_path: Path
) -> None:
    write_ranges(
        tmp_path / "ranges.json", calibrated_ranges(graphs["fp32"], TENSORS, normal, "minmax", "test")
    )
    with pytest.raises(InputError, match="belongs to another graph"):
        read_ranges(tmp_path / "ranges.json", graphs["fp16"])


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "x", None])
def test_a_range_must_be_a_positive_number(
    graphs: dict[str, Path], normal: Poses, tmp_path: Path, value: object
) -> None:
    ranges = calibrated_ranges(graphs["fp32"], TENSORS, normal, "minmax", "test").model_dump()
    ranges["tensors"][TENSORS[0]] = value
    (tmp_path / "ranges.json").write_text(json.dumps(ranges))
    with pytest.raises(InputError, match="is not a calibration cache"):
        read_ranges(tmp_path / "ranges.json", graphs["fp32"])


def test_a_missing_cache_says_where_one_comes_from(graphs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no calibration cache"):
        read_ranges(tmp_path / "none.json", graphs["fp32"])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_a_broken_cache_gives_one_sentence(content: bytes, graphs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "ranges.json").write_bytes(content)
    with pytest.raises(InputError):
        read_ranges(tmp_path / "ranges.json", graphs["fp32"])

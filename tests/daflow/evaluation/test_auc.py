from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from sklearn.metrics import average_precision_score, roc_auc_score

from daflow.core.data.frame_masks import Labels, read_masks
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import Windows, make_windows
from daflow.core.errors import InputError
from daflow.evaluation.auc import Evaluation, Figures, evaluate_frames, evaluate_windows, figures, smooth

LENGTH = 24
ClipNll = tuple[str, list[float]]  # a clip's name and the nll of its windows, which start at 0, 1, 2...


def labels(*values: int) -> Labels:
    return np.array(values, dtype=np.int64)


def evaluate_clips(clips: list[ClipNll], masks: dict[str, Labels]) -> Evaluation:
    counts = [len(nll) for _, nll in clips]
    start = np.array([start for count in counts for start in range(count)], dtype=np.int64)
    windows = Windows(
        poses=np.zeros((sum(counts), 2, LENGTH, 18), dtype=np.float32),
        clip=np.repeat(np.arange(len(clips)), counts),
        person=np.ones(sum(counts), dtype=np.int64),
        start=start,
        middle=start + LENGTH // 2,
        last=start + LENGTH - 1,
    )
    nll = np.array([value for _, of_clip in clips for value in of_clip], dtype=np.float32)
    return evaluate_windows(nll, windows, [Clip(name, (), (640, 480)) for name, _ in clips], masks)


def half_abnormal(frames: int) -> Labels:
    return np.repeat([0, 1], frames // 2)


def test_perfect_inverted_and_blind_scores() -> None:
    mask = labels(0, 0, 0, 1, 1)
    perfect, inverted, blind = (
        figures(scores, mask) for scores in (np.arange(5.0), -np.arange(5.0), np.zeros(5))
    )
    assert perfect == Figures(auc=1.0, auc_pr=1.0, eer=0.0, frames=5, abnormal=2)
    assert (inverted.auc, inverted.eer) == (0.0, 1.0)
    assert (blind.auc, blind.auc_pr, blind.eer) == (0.5, 0.4, 0.5)


def test_a_case_that_can_be_counted_by_hand() -> None:
    # Of the four pairs of an abnormal and a normal frame, (0.4, 0.8) alone is the wrong way round.
    found = figures(np.array([0.1, 0.8, 0.4, 0.9]), labels(0, 0, 1, 1))
    assert found.auc == 0.75
    assert found.auc_pr == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_the_equal_error_rate_where_one_of_ten_errs_on_each_side() -> None:
    normal, abnormal = [*range(9), 25.0], [3.5, *range(11, 20)]  # 25 and 3.5 are on the wrong side
    scores = np.array([*normal, *abnormal])
    assert figures(scores, np.repeat([0, 1], 10)).eer == pytest.approx(0.1)


def test_the_equal_error_rate_lies_between_two_thresholds_if_it_must() -> None:
    # (false alarms, misses) go from (0, 2/3) straight to (1/2, 1/3), for two frames of different kind have the score
    # 0.5; the line between the two points meets "false alarms = misses" at 2/5.
    found = figures(np.array([0.1, 0.5, 0.05, 0.5, 0.9]), labels(0, 0, 1, 1, 1))
    assert found.eer == pytest.approx(0.4)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1, -1]), st.integers(-9, 9)), min_size=2, max_size=60))
def test_the_areas_are_those_of_sklearn_over_the_labelled_frames(frames: list[tuple[int, int]]) -> None:
    kept = [(label, score) for label, score in frames if label != -1]
    truth = [label for label, _ in kept]
    assume(len(set(truth)) == 2)
    found = figures(np.array([float(score) for _, score in frames]), labels(*(label for label, _ in frames)))
    assert found.auc == pytest.approx(roc_auc_score(truth, [score for _, score in kept]))
    assert found.auc_pr == pytest.approx(average_precision_score(truth, [score for _, score in kept]))
    assert (found.frames, found.abnormal) == (len(truth), sum(truth))
    assert found.eer is not None
    assert 0 <= found.eer <= 1


@pytest.mark.parametrize("mask", [labels(0, 0), labels(1, 1), labels(-1, 0), labels(-1, -1), labels()])
def test_one_kind_of_frame_gives_no_figures(mask: Labels) -> None:
    counted = mask[mask >= 0]
    assert figures(np.zeros(len(mask)), mask) == Figures(None, None, None, len(counted), int(counted.sum()))


def test_smoothing_is_six_gaussians_one_after_the_other(rng: np.random.Generator) -> None:
    scores = rng.normal(size=200)
    expected = scores
    for sigma in (1, 2, 3, 4, 5, 6):
        expected = gaussian_filter1d(expected, sigma)
    assert np.allclose(smooth(scores), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("sigma", [8.0, 12.0])
def test_one_gaussian_smooths_instead_if_it_is_asked_for(rng: np.random.Generator, sigma: float) -> None:
    scores = rng.normal(size=200)
    expected = gaussian_filter1d(scores, sigma)
    assert np.allclose(smooth(scores, (sigma,)), expected, rtol=0, atol=1e-13)
    mask = half_abnormal(200)
    found = evaluate_frames({"a": scores}, {"a": mask}, sigmas=(sigma,))
    assert np.array_equal(found.frame_scores["a"], smooth(scores, (sigma,)))
    assert found.micro == figures(smooth(scores, (sigma,)), mask)
    assert evaluate_frames({"a": scores}, {"a": mask}).micro == figures(smooth(scores), mask)


@pytest.mark.parametrize("frames", [0, 1, 2, 7, 30])
def test_a_clip_shorter_than_a_gaussian_is_mirrored_again_and_again(
    frames: int, rng: np.random.Generator
) -> None:
    scores = rng.normal(size=frames)
    assert np.allclose(smooth(scores, (12,)), gaussian_filter1d(scores, 12), rtol=0, atol=1e-13)


def test_smoothing_is_a_convolution_that_mirrors_the_ends(rng: np.random.Generator) -> None:
    scores = rng.normal(size=200)
    expected = scores
    for sigma in range(1, 7):
        bell = np.exp(-0.5 * (np.arange(-4 * sigma, 4 * sigma + 1) / sigma) ** 2)
        padded = np.pad(expected, 4 * sigma, mode="symmetric")
        expected = np.convolve(padded, bell / bell.sum(), mode="valid")
    assert np.allclose(smooth(scores), expected)


def test_smoothing_leaves_its_input_as_it_was(rng: np.random.Generator) -> None:
    scores = rng.normal(size=50)
    before = scores.copy()
    smooth(scores)
    assert np.array_equal(scores, before)


def test_the_whole_protocol_by_hand(rng: np.random.Generator) -> None:
    nll = {name: rng.normal(size=60).round(3).tolist() for name in ("a", "b")}
    masks = {name: rng.integers(-1, 2, 100) for name in nll}
    best = min(np.float32(value) for values in nll.values() for value in values)
    smoothed = {}
    for name, values in nll.items():
        frames = np.full(100, float(best))
        frames[12:72] = np.float32(values)
        smoothed[name] = smooth(frames)
    found = evaluate_clips(list(nll.items()), masks)
    assert found.micro == figures(
        np.concatenate(list(smoothed.values())), np.concatenate(list(masks.values()))
    )
    assert found.clips == {name: figures(smoothed[name], masks[name]) for name in nll}
    assert found.windows == 120


def test_macro_is_the_mean_of_the_clips_and_micro_compares_them_as_one() -> None:
    rising = np.linspace(0, 1, 100).tolist()
    masks = {name: half_abnormal(100) for name in ("low", "high")} | {"normal": np.zeros(100, dtype=np.int64)}
    found = evaluate_clips(
        [("low", rising), ("high", [10 + nll for nll in rising]), ("normal", rising)], masks
    )
    aucs = [found.clips[name].auc for name in ("low", "high")]
    assert found.clips["normal"].auc is None
    assert found.macro_auc == pytest.approx(np.mean([auc for auc in aucs if auc is not None]))
    assert found.micro.auc is not None
    assert found.micro.auc < found.macro_auc - 0.1, "the normal frames of one clip outscore the other clip"


def test_ignored_frames_do_not_count() -> None:
    nll = [0.0] * 50 + [5.0] * 50
    mask = half_abnormal(100)
    mask[40:80] = -1
    found = evaluate_clips([("a", nll)], {"a": mask})
    assert (found.micro.frames, found.micro.abnormal) == (60, 20)


def test_a_clip_with_no_poses_takes_part_as_the_most_normal_one() -> None:
    scored: ClipNll = ("a", [1.0] * 50 + [5.0] * 50)
    mask = half_abnormal(100)
    alone = evaluate_clips([scored], {"a": mask})
    missed = evaluate_clips([scored, ("empty", [])], {"a": mask, "empty": np.ones(100, dtype=np.int64)})
    unread = evaluate_clips([scored], {"a": mask, "empty": np.ones(100, dtype=np.int64)})
    assert missed == unread
    assert missed.clips["empty"].frames == 100
    assert missed.micro.frames == 200
    assert missed.micro.auc is not None
    assert alone.micro.auc is not None
    assert missed.micro.auc < alone.micro.auc - 0.2, "its abnormal frames were all missed"


def test_a_clip_without_a_mask_is_skipped() -> None:
    scored: ClipNll = ("b", [1.0] * 50 + [5.0] * 50)
    masks = {"b": half_abnormal(100)}
    found = evaluate_clips([("a", [9.0] * 40), scored], masks)
    assert found == evaluate_clips([scored], masks)
    assert found.windows == 100


def test_no_common_clip_and_one_kind_of_frame_are_input_errors() -> None:
    with pytest.raises(InputError, match="No clip has a frame mask"):
        evaluate_clips([("a", [1.0] * 30)], {"b": half_abnormal(40)})
    with pytest.raises(InputError, match="only one kind of frame"):
        evaluate_clips([("a", [1.0] * 30)], {"a": np.zeros(40, dtype=np.int64)})


def test_an_evaluation_becomes_plain_values_for_json() -> None:
    found = evaluate_clips([("a", [1.0] * 50 + [5.0] * 50)], {"a": half_abnormal(100)})
    plain = json.loads(json.dumps(found.as_dict()))
    assert plain["auc"] == found.micro.auc
    assert plain["macro_auc"] == found.macro_auc
    assert plain["clips"]["a"]["abnormal"] == 50


@pytest.mark.parametrize("dtype", ["int8", "int64", "float32", "bool"])
def test_masks_of_any_plain_type_are_read(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "01_0001.npy", np.array([0, 1, 1]).astype(dtype))
    np.save(tmp_path / "01_0002.npy", np.array([-1, 0], dtype=np.int8))
    masks = read_masks(tmp_path)
    assert list(masks) == ["01_0001", "01_0002"]
    assert masks["01_0001"].tolist() == [0, 1, 1]
    assert masks["01_0002"].tolist() == [-1, 0]
    assert {mask.dtype for mask in masks.values()} == {np.dtype(np.int64)}


NO_MASKS: dict[str, npt.NDArray[Any]] = {
    "two dimensions": np.zeros((2, 2)),
    "no dimension": np.array(1),
    "a value of 2": np.array([0, 2]),
    "a fraction": np.array([0.5]),
    "NaN": np.array([0, np.nan]),
    "text": np.array(["0", "1"]),
    "complex": np.zeros(2, dtype=complex),
    "dates": np.zeros(2, dtype="datetime64[s]"),
    "records": np.zeros(2, dtype=[("label", int)]),
    "objects": np.array([0, 1], dtype=object),
}


@pytest.mark.parametrize("array", NO_MASKS.values(), ids=NO_MASKS.keys())
def test_an_array_that_is_no_mask_is_refused_by_name(tmp_path: Path, array: npt.NDArray[Any]) -> None:
    np.save(tmp_path / "01_0001.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=r"01_0001\.npy"):
        read_masks(tmp_path)


def npy(header: str) -> bytes:
    """A .npy file with a header of one's own and eight bytes of data."""
    padded = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode() + bytes(8)


def test_the_handmade_file_is_a_mask_if_its_header_is_right(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }"))
    assert read_masks(tmp_path)["a"].tolist() == [0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x80\x04\x95",
        npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }"),
        npy("{'descr': '<i8', 'fortran_order': False, 'shape': (100000000000000,), }"),
        npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1,"),
        npy("{}"),
    ],
    ids=["empty", "text", "pickle", "cut off", "terabytes", "broken header", "empty header"],
)
def test_a_file_that_is_no_array_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "01_0001.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"01_0001\.npy"):
        read_masks(tmp_path)


def test_missing_and_empty_folders_of_masks_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        read_masks(tmp_path / "missing")
    with pytest.raises(InputError, match="holds no frame masks"):
        read_masks(tmp_path)


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_a_model_that_scores_nan_or_infinity_is_not_evaluated(score: float) -> None:
    clip, mask = generate_clip("01_0001", 0, Scene(frames=80, event="run"))
    windows = make_windows([clip])
    nll = np.zeros(len(windows), dtype=np.float32)
    nll[3] = score
    with pytest.raises(InputError, match=r"1 of \d+ windows have a score that is NaN or infinite"):
        evaluate_windows(nll, windows, [clip], {"01_0001": mask})


def test_the_highest_score_of_a_clip_tells_abnormal_clips_from_normal_ones() -> None:
    masks = {
        "calm": labels(0, 0, 0),
        "fight": labels(0, 1, 0),
        "nobody": labels(0, 0, -1),
        "brawl": labels(1, 1, -1),
        "ignored": labels(-1, -1),
    }
    scores = {
        "calm": np.array([1.0, 2.0, 1.0]), "fight": np.array([1.0, 9.0, 1.0]),
        "nobody": np.array([np.nan, np.nan, 50.0]), "brawl": np.array([1.5, np.nan, 50.0]),
        "ignored": np.array([99.0, 99.0]),
    }  # fmt: skip
    found = evaluate_frames(scores, masks).by_clip
    assert (found.frames, found.abnormal) == (4, 2)
    assert found.auc == 0.75  # of four pairs only "brawl" is below "calm"; ignored frames do not count
    assert evaluate_frames({"a": np.arange(4.0)}, {"a": half_abnormal(4)}).by_clip.auc is None

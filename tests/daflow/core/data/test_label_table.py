"""Tables of labels: what they mean, and that whatever is wrong in one is said with its line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daflow.core.data.label_table import choose_clips, read_labels
from daflow.core.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clip,frame,posture\na,1,-1\na,2,0\na,3,1\n", {"a": [-1, 0, 1, 1]}),
        ("clip,frame,label\na,1,-1\na,2,0\na,0,1\n", {"a": [1, -1, 0]}),
        ("clip,frame,abnormal\na,1,-1\na,2,0\na,0,1\n", {"a": [1, -1, 0]}),
        ("\ufeffclip, frame, label\r\nb,0,1\r\n\r\na,0,0\r\n", {"b": [1], "a": [0]}),
    ],
)
def test_a_table_becomes_a_mask_for_each_clip(
    text: str, expected: dict[str, list[int]], tmp_path: Path
) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode())
    assert {clip: mask.tolist() for clip, mask in read_labels(path).items()} == expected


def test_a_folder_of_masks_is_read_as_well(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([0, 1, -1]))
    assert read_labels(tmp_path)["a"].tolist() == [0, 1, -1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the header"),
        ("clip,frame\na,0\n", "line 1: the header"),
        ("clip,frame,colour\na,0,1\n", "line 1: the header"),
        ("clip,frame,label\n", "holds no label"),
        ("clip,frame,label\na,0\n", "line 2: 2 values instead of clip,frame,label"),
        ("clip,frame,label\na,0,0\n,1,0\n", "line 3: the clip has no name"),
        ("clip,frame,label\na,-1,0\n", "line 2: frame '-1' is not a number"),
        ("clip,frame,label\na,99999999999,0\n", "line 2: frame '99999999999' is not a number"),
        ("clip,frame,posture\na,0,2\n", "line 2: posture '2' is not one of -1, 0, 1"),
        ("clip,frame,label\na,0,0\na,0,1\n", "line 3: frame 0 of clip a has a label already"),
        ('clip,frame,label\na,0,"0\n', "cannot be read as CSV"),
        ("clip,frame,label\na,9999999,0\nb,9999999,0\n", "more than 10000000 frames in total"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        read_labels(path)
    assert message in raised.value.message
    assert str(path) in raised.value.message


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        read_labels(tmp_path / "nothing.csv")
    (tmp_path / "video.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_labels(tmp_path / "video.csv")


_CELLS = st.one_of(
    st.sampled_from(["a", "0", "1", "-1", "2", '"', "clip", "\x00", "\r", "9" * 20]), st.text(max_size=3)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.sampled_from(["clip,frame,label", "clip,frame,posture", "frame"]),
    rows=st.lists(st.lists(_CELLS, max_size=4), max_size=5),
    tail=st.binary(max_size=8),
)
def test_no_bytes_break_the_reader(header: str, rows: list[list[str]], tail: bytes, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    text = "\n".join([header, *(",".join(row) for row in rows)])
    path.write_bytes(text.encode("utf-8", "replace") + tail)
    with contextlib.suppress(InputError):
        assert all(np.isin(mask, (-1, 0, 1)).all() for mask in read_labels(path).values())


def test_a_pattern_that_fits_nothing_is_an_error() -> None:
    assert choose_clips({"a": 1, "b": 2}, [], "label") == {"a": 1, "b": 2}
    with pytest.raises(InputError, match="--clips c\\* matches the name of no clip with a label"):
        choose_clips({"a": 1}, ["a", "c*"], "label")


@pytest.mark.parametrize("line", ["a," + "9" * 10_000 + ",0", "a,0," + "x" * 10_000])
def test_a_long_cell_is_shown_in_short(tmp_path: Path, line: str) -> None:
    (tmp_path / "l.csv").write_text(f"clip,frame,label\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"l\.csv, line 2: .* is not") as caught:
        read_labels(tmp_path / "l.csv")
    assert len(caught.value.message) < 200 + len(str(tmp_path))

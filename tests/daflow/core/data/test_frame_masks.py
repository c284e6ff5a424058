"""Frame masks that somebody else wrote: what is no mask is named, before room is made for it."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daflow.core.data.frame_masks import read_masks
from daflow.core.data.tracks import MAX_FRAMES
from daflow.core.errors import InputError


def npy(mask: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, mask, **options)
    return file.getvalue()


def npz(mask: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, mask=mask)
    return file.getvalue()


def header(text: str, version: bytes = b"\x01\x00", values: bytes = b"\0" * 8) -> bytes:
    size = len(text).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + size + text.encode() + values


def declared(shape: str, descr: str = "'<i8'", order: str = "False") -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}\n")


MASK = np.array([0, 1, -1, 0])
NO_MASKS = {
    "empty": b"",
    "an archive": npz(MASK),
    "begins like an archive": b"PK\x03\x04" + npy(MASK),
    "of python objects": npy(np.array([0, None]), allow_pickle=True),
    "of texts": npy(np.array(["0", "1"])),
    "of complex numbers": npy(MASK.astype(complex)),
    "of times": npy(MASK.astype("M8[s]")),
    "of structures": npy(np.zeros(4, [("a", "i4"), ("b", "i4")])),
    "of huge structures": declared("(1,)", "[('a', '<i8', (1000000000, 1000))]"),
    "of two dimensions": npy(np.zeros((2, 2))),
    "of no dimension": npy(np.zeros(())),
    "in another order": npy(np.asfortranarray(np.zeros((2, 2)))),
    "of other numbers": npy(np.array([0, 2])),
    "of NaN": npy(np.array([0, np.nan])),
    "cut": npy(MASK)[:-1],
    "longer": npy(MASK) + b"\0",
    "of 1e23 values": declared("(100000000000000000000000,)"),
    "of 1e12 values": declared("(1000000000000,)"),
    "of 1e12 values in 0 rows": declared("(0, 1000000000000,)"),
    "of -1 values": declared("(-1,)"),
    "of -8 times -1 values": declared("(-8, -1)"),
    "of true values": declared("(True,)"),
    "of a text of values": declared("('1',)"),
    "of a type of its own": declared("(1,)", "'import os'"),
    "of an unknown version": b"\x93NUMPY\x09\x00" + npy(MASK)[8:],
    "with a header of megabytes": header(" " * (4 << 20), b"\x02\x00"),
    "with a header of 4 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}",
    "with a nested header": header("(" * 9000, b"\x02\x00"),
    "with a header of nothing": header(""),
}


@pytest.mark.parametrize("kind", NO_MASKS)
@pytest.mark.parametrize("name", ["a.npy", "a_tracks.txt"])
def test_what_is_no_mask_is_named_and_takes_no_room(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / name).write_bytes(NO_MASKS[kind])
    if name == "a_tracks.txt" and kind == "empty":
        pytest.skip("a clip without abnormal frames")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=f"{name} is not a"):
            read_masks(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < (64 << 20)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["i1", "<i4", ">i8", "u1", "?", "<f2", "<f8"])
def test_a_mask_may_be_of_any_plain_numbers(tmp_path: Path, kind: str) -> None:
    np.save(tmp_path / "a.npy", np.array([0, 1, 1], dtype=kind))
    (tmp_path / "b_tracks.txt").write_bytes(npy(np.array([0, 1, 1], dtype=kind)))
    masks = read_masks(tmp_path)
    assert masks["a"].tolist() == [0, 1, 1]
    assert masks["b"].tolist() == [1, 0, 0]
    assert masks["a"].dtype == masks["b"].dtype == np.int64


def test_a_mask_of_more_frames_than_a_clip_may_have_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        file.truncate(17 * MAX_FRAMES)
    monkeypatch.delattr(Path, "read_bytes")
    with pytest.raises(InputError, match=r"a\.npy is too large"):
        read_masks(tmp_path)


spans = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(spans)
def test_intervals_may_overlap(tmp_path: Path, spans: list[list[int]]) -> None:
    (tmp_path / "a_tracks.txt").write_text("\n".join(f"1,{first},{last}" for first, last in spans))
    abnormal = {frame for first, last in spans for frame in range(first, last)}
    length = max((last for _, last in spans), default=0)
    assert read_masks(tmp_path)["a"].tolist() == [int(frame in abnormal) for frame in range(length)]


def test_many_long_intervals_are_marked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, each of the frames would be written a thousand times."""
    zeros = np.zeros
    monkeypatch.setattr(np, "zeros", lambda *args, **kwargs: zeros(*args, **kwargs).view(CountsWrites))
    (tmp_path / "a_tracks.txt").write_text("1,0,9999\n" * 1_000)
    assert read_masks(tmp_path)["a"].sum() == 9999
    assert CountsWrites.writes < 10


class CountsWrites(np.ndarray[Any, np.dtype[Any]]):
    """An array that counts how often a part of one is set."""

    writes = 0

    def __setitem__(self, where: Any, value: Any) -> None:
        CountsWrites.writes += 1
        super().__setitem__(where, value)


VALID = npy(MASK)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(VALID) - 1), st.binary(max_size=4), st.integers(0, 4))
def test_a_changed_mask_is_read_or_named(tmp_path: Path, position: int, new: bytes, gone: int) -> None:
    (tmp_path / "a.npy").write_bytes(VALID[:position] + new + VALID[position + gone :])
    try:
        mask = read_masks(tmp_path)["a"]
    except InputError:
        return
    assert mask.ndim == 1
    assert set(mask.tolist()) <= {-1, 0, 1}

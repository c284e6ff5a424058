"""Frame masks: .npy files, and UBnormal's text files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from daflow.core.data.frame_masks import read_masks

from ..fuzzer import Check, Fuzzer
from ..inputs import Input, mutated

_HEADERS = (
    "<i8",
    "|i1",
    "|b1",
    "<f8",
    "<f2",
    "|u1",
    "<c16",
    "|O",
    "<M8[s]",
    "|V8",
    "<U3",
    "|S0",
    "<i99",
    "[('a', '<i8')]",
)
_SHAPES = (
    "(3,)",
    "()",
    "(0,)",
    "(-1,)",
    "(1, 3)",
    "(10**23,)",
    f"({10**23},)",
    f"({10**9}, {10**9})",
    "(3",
    "(" * 300,
    "3,",
)


def npy(dtype: str, shape: str, data: bytes = bytes(24), version: int = 1, order: str = "False") -> bytes:
    """Return a .npy file whose header says what it is told."""
    quoted = dtype if dtype.startswith("[") else f"'{dtype}'"
    header = f"{{'descr': {quoted}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    size = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes((version, 0)) + size + header + data


def _saved(values: list[float], dtype: str) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values, dtype=dtype))
    return file.getvalue()


def _seeds() -> list[Input]:
    archive = io.BytesIO()
    np.savez(archive, mask=np.zeros(3))
    return [
        Input("valid.npy", _saved([0, 1, -1, 0], "int64")),
        Input("float.npy", _saved([0, 1, 1], "float32")),
        Input("archive.npy", archive.getvalue()),
        Input("inverted.txt", _saved([1, 1, 0], "uint8")),
        Input("valid.txt", b"1,10,20\n2,15.0,40.0\n"),
    ]


def _mutated(inputs: Sequence[Input]) -> st.SearchStrategy[Input]:
    headers = st.builds(
        npy,
        st.sampled_from(_HEADERS),
        st.sampled_from(_SHAPES),
        st.binary(max_size=32),
        st.integers(0, 4),
        st.sampled_from(("False", "True", "0", "[")),
    )
    spans = st.lists(
        st.tuples(
            *[st.sampled_from(("1", "-1", "0", "1e400", "nan", "9" * 30, "9" * 5_000, "1e6", "", "\u0661"))]
            * 3
        )
    ).map(lambda rows: "\n".join(",".join(row) for row in rows).encode())
    return mutated(inputs, lambda kind, _: headers if kind == "npy" else headers | spans)


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    def check(given: Input) -> None:
        path = folder / ("clip.npy" if given.kind == "npy" else "clip_tracks.txt")
        path.write_bytes(given.content)
        try:
            read_masks(folder)
        finally:
            path.unlink()

    yield check


FUZZER = Fuzzer(_seeds, _mutated, _opened)

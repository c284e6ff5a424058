"""Frame masks: .npy files, UBnormal's text files, and UCSD's pictures."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from daflow.core.data.frame_masks import read_masks
from daflow.core.data.picture_masks import read_picture_masks

from ..fuzzer import Check, Fuzzer
from ..inputs import Input, mutated

_DTYPES = (
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


def bmp(
    bits: int, width: int, height: int, pixels: bytes, palette: bytes = b"", size: int = 40, lie: int = 0,
    kind: bytes = b"BM", compression: int = 0,
) -> bytes:  # fmt: skip
    """Return a BMP file whose headers say what they are told; `lie` is added to where its pixels begin."""
    start = 54 + len(palette) + lie
    head = struct.pack("<2s8xI", kind, start % 2**32)
    return (
        head
        + struct.pack("<IiiHHI", size, width, height, 1, bits, compression)
        + bytes(20)
        + palette
        + pixels
    )


def _saved(values: list[float], dtype: str) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values, dtype=dtype))
    return file.getvalue()


def _seeds() -> list[Input]:
    archive = io.BytesIO()
    np.savez(archive, mask=np.zeros(3))
    return [
        Input("valid.npy", _saved([0, 1, -1, 0], "int64")),
        Input("valid-float.npy", _saved([0, 1, 1], "float32")),
        Input("archive.npy", archive.getvalue()),
        Input("valid-inverted.txt", _saved([1, 1, 0], "uint8")),
        Input("valid.txt", b"1,10,20\n2,15.0,40.0\n"),
        Input("valid-colours.bmp", bmp(24, 3, 2, bytes(24))),
        Input("valid-palette.bmp", bmp(8, 5, 2, bytes(16), palette=bytes(3) + b"\xff" * 5)),
    ]


def _mutated(inputs: Sequence[Input]) -> st.SearchStrategy[Input]:
    headers = st.builds(
        npy,
        st.sampled_from(_DTYPES),
        st.sampled_from(_SHAPES),
        st.binary(max_size=32),
        st.integers(0, 4),
        st.sampled_from(("False", "True", "0", "[")),
    )
    sides = st.sampled_from((-(2**31), -2, -1, 0, 1, 2, 5, 60_000, 2**31 - 1))
    pictures = st.builds(
        bmp,
        st.sampled_from((0, 1, 4, 8, 8, 8, 24, 24, 32, 65_535)),
        sides,
        sides,
        st.binary(max_size=64),
        st.binary(max_size=16) | st.just(bytes(1_024)),
        st.sampled_from((40, 40, 40, 0, 1, 12, 124, 2**31, 2**32 - 1)),
        st.sampled_from((0, 0, 0, 1, -1, -54, 40, 2**31)),
        st.sampled_from((b"BM", b"BM", b"BA")),
        st.sampled_from((0, 0, 0, 1, 3)),
    )
    spans = st.lists(
        st.tuples(
            *[st.sampled_from(("1", "-1", "0", "1e400", "nan", "9" * 30, "9" * 5_000, "1e6", "", "\u0661"))]
            * 3
        )
    ).map(lambda rows: "\n".join(",".join(row) for row in rows).encode())
    structured = {"npy": headers, "txt": headers | spans, "bmp": pictures}
    return mutated(inputs, lambda kind, _: structured[kind])


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    picture = folder / "clip_gt" / "001.bmp"
    picture.parent.mkdir()

    def check(given: Input) -> None:
        if given.kind == "bmp":
            picture.write_bytes(given.content)
            read_picture_masks(folder)
            return
        path = folder / ("clip.npy" if given.kind == "npy" else "clip_tracks.txt")
        path.write_bytes(given.content)
        try:
            read_masks(folder)
        finally:
            path.unlink()

    yield check


FUZZER = Fuzzer(_seeds, _mutated, _opened)

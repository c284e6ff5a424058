"""Masks of pixels as UCSD publishes them: which frames they mark, and that what is no mask is named."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.core.data.picture_masks import read_picture_masks
from daflow.core.errors import InputError

GREY = b"".join(bytes([value, value, value, 0]) for value in range(256))


def bmp(picture: npt.NDArray[np.uint8], palette: bytes = GREY, compression: int = 0) -> bytes:
    """A BMP file of `(H, W)` indices of a palette or `(H, W, 3)` colours, from the bottom to the top."""
    height, width, *colours = picture.shape
    bits = 24 if colours else 8
    palette = b"" if colours else palette
    rows = picture[::-1].reshape(height, -1)
    padding = np.full((height, -rows.shape[1] % 4), 77, dtype=np.uint8)
    pixels = np.hstack([rows, padding]).tobytes()
    offset = 54 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    return struct.pack("<2sIHHI", b"BM", offset + len(pixels), 0, 0, offset) + info + palette + pixels


def blank(*shape: int) -> npt.NDArray[np.uint8]:
    return np.zeros(shape, dtype=np.uint8)


def marked(*shape: int) -> npt.NDArray[np.uint8]:
    picture = blank(*shape)
    picture[-1, -1] = 1
    return picture


def test_a_frame_is_abnormal_when_its_mask_is_not_black(tmp_path: Path) -> None:
    folder = tmp_path / "Test001_gt"
    folder.mkdir()
    masks = {1: blank(6, 9), 2: marked(6, 9), 10: blank(6, 9, 3), 11: marked(6, 9, 3)}
    for number, picture in masks.items():
        (folder / f"{number}.bmp").write_bytes(bmp(picture))
    (folder / "._1.bmp").write_bytes(b"of macOS")
    (tmp_path / "Test001").mkdir()
    found = read_picture_masks(tmp_path)
    assert {clip: labels.tolist() for clip, labels in found.items()} == {"Test001": [0, 1, 0, 1]}
    assert read_picture_masks(folder) == {}


def test_the_palette_says_what_is_black(tmp_path: Path) -> None:
    (tmp_path / "a_gt").mkdir()
    turned = b"".join(bytes([255 - value] * 3 + [0]) for value in range(256))
    (tmp_path / "a_gt" / "1.bmp").write_bytes(bmp(np.full((4, 4), 255, np.uint8), turned))
    (tmp_path / "a_gt" / "2.bmp").write_bytes(bmp(blank(4, 4), turned))
    assert read_picture_masks(tmp_path)["a"].tolist() == [0, 1]


def test_masks_are_read_as_ffmpeg_writes_them(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    (tmp_path / "a_gt").mkdir()
    for number, value in ((1, 0), (2, 255)):
        encoder = av.CodecContext.create("bmp", "w")
        encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = 10, 6, "gray", 25
        picture = av.VideoFrame.from_ndarray(np.full((6, 10), value, np.uint8), format="gray")
        (tmp_path / "a_gt" / f"{number}.bmp").write_bytes(b"".join(map(bytes, encoder.encode(picture))))
    assert read_picture_masks(tmp_path)["a"].tolist() == [0, 1]


@pytest.mark.parametrize(
    "content",
    [b"", b"BM", b"no picture" * 20, bmp(blank(4, 4), compression=1), bmp(blank(4, 4))[:-9], bmp(marked(4, 4), b""),
     struct.pack("<2s8xIIiiHHI24x", b"BM", 54, 40, 2**31 - 1, -(2**31), 1, 24, 0)],
)  # fmt: skip
def test_what_is_no_mask_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a_gt").mkdir()
    (tmp_path / "a_gt" / "1.bmp").write_bytes(content)
    with pytest.raises(InputError, match=r"1\.bmp is not a mask that can be read"):
        read_picture_masks(tmp_path)


def test_a_folder_of_masks_without_any_is_named(tmp_path: Path) -> None:
    (tmp_path / "a_gt").mkdir()
    with pytest.raises(InputError, match=r"a_gt must have a mask for each frame, such as 001\.bmp; it has 0"):
        read_picture_masks(tmp_path)


@given(st.integers(0, 70), st.binary(max_size=8))
def test_a_damaged_mask_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, place: int, damage: bytes
) -> None:
    folder = tmp_path_factory.mktemp("masks")
    (folder / "a_gt").mkdir()
    whole = bmp(marked(4, 4))
    (folder / "a_gt" / "1.bmp").write_bytes(whole[:place] + damage + whole[place + len(damage) :])
    with contextlib.suppress(InputError):
        assert read_picture_masks(folder)["a"].shape == (1,)

"""Pictures come upright, whatever kind of source stores them lying or mirrored."""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.sources.frames import Image
from runtime.sources.orientation import UPRIGHT, Turn, turn_of
from runtime.sources.uri import open_source

av = pytest.importorskip("av")


def bright_corner(image: Image) -> tuple[int, int]:
    """Return whether the bright quarter is at the bottom and at the right."""
    half = (image.shape[0] // 2, image.shape[1] // 2)
    quarters = [
        [image[row * half[0] :, column * half[1] :][: half[0], : half[1]].mean() for column in (0, 1)]
        for row in (0, 1)
    ]
    return np.unravel_index(int(np.argmax(quarters)), (2, 2))  # type: ignore[return-value]


# a, b, u, c, d, v, x, y, w of a display matrix; where the bright top left quarter is shown
MATRICES = {
    "upright": ((1, 0, 0, 0, 1, 0, 0, 0, 1), (0, 0)),
    "clockwise": ((0, 1, 0, -1, 0, 0, 0, 0, 1), (0, 1)),
    "half": ((-1, 0, 0, 0, -1, 0, 0, 0, 1), (1, 1)),
    "anticlockwise": ((0, -1, 0, 1, 0, 0, 0, 0, 1), (1, 0)),
    "mirrored": ((-1, 0, 0, 0, 1, 0, 0, 0, 1), (0, 1)),
    "flipped": ((1, 0, 0, 0, -1, 0, 0, 0, 1), (1, 0)),
    "transposed": ((0, 1, 0, 1, 0, 0, 0, 0, 1), (0, 0)),
    "transverse": ((0, -1, 0, -1, 0, 0, 0, 0, 1), (1, 1)),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_a_video_is_shown_as_its_display_matrix_says(
    tmp_path: Path, make_video: Callable[..., Path], name: str, suffix: str
) -> None:
    matrix, corner = MATRICES[name]
    scaled = [number * (1 << 30 if place == 8 else 1 << 16) for place, number in enumerate(matrix)]
    path = make_video(tmp_path / f"video.{suffix}", 3, turn=scaled)
    size = (64, 48) if matrix[0] else (48, 64)
    with open_source(str(path)) as source:
        frames = list(source)
    assert [frame.size for frame in frames] == [size] * 3
    for frame in frames:
        assert frame.image is not None
        assert frame.image.shape == (size[1], size[0], 3)
        assert frame.image.flags.c_contiguous
        assert bright_corner(frame.image) == corner


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_shown_as_its_exif_orientation_says(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    pillow = pytest.importorskip("PIL.Image")
    ops = pytest.importorskip("PIL.ImageOps")
    pixels = np.zeros((48, 64, 3), dtype=np.uint8)
    pixels[:24, :32] = 200
    picture, exif = pillow.fromarray(pixels), pillow.Exif()
    exif[0x112] = orientation
    picture.save(tmp_path / f"1.{suffix}", exif=exif)
    expected = np.asarray(ops.exif_transpose(pillow.open(tmp_path / f"1.{suffix}")).convert("RGB"))
    with open_source(str(tmp_path)) as source:
        (frame,) = source
    assert frame.image is not None
    assert frame.size == (expected.shape[1], expected.shape[0])
    assert np.abs(frame.image.astype(int) - expected).mean() < 4


@pytest.fixture
def folder_server(tmp_path: Path) -> Iterator[str]:
    """A web server of the test's folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_network_stream_is_turned_too(
    tmp_path: Path, make_video: Callable[..., Path], folder_server: str
) -> None:
    make_video(tmp_path / "live.mp4", 20, turn=-90)
    with open_source(f"{folder_server}/live.mp4", "all") as source:
        frames = list(itertools.islice(source, 20))
    assert [frame.size for frame in frames] == [(48, 64)] * 20
    assert all(bright_corner(frame.image) == (0, 1) for frame in frames if frame.image is not None)


@pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="GStreamer is not here")
def test_a_pipeline_is_turned_by_its_tag(tmp_path: Path) -> None:
    tag = "taginject tags=image-orientation=rotate-90"
    corner = "video/x-raw,width=64,height=48,framerate=25/1"
    # A bright picture with dark borders at the right and below.
    box = "videobox right=-32 bottom=-24 fill=black"
    pipeline = f"gst:videotestsrc pattern=white ! {corner} ! {box} ! {tag}"
    with open_source(pipeline, "all") as source:
        frame = next(iter(source))
    assert frame.size == (72, 96)
    assert frame.image is not None
    assert bright_corner(frame.image) == (0, 1)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=9, max_size=9))
def test_any_matrix_is_a_turn_and_turning_loses_no_pixel(numbers: list[int]) -> None:
    turn = turn_of(np.array(numbers, dtype=np.int32).tobytes())
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    turned = turn(image)
    assert turned.shape == ((3, 2, 3) if turn.transpose else (2, 3, 3))
    assert sorted(map(tuple, turned.reshape(-1, 3))) == sorted(map(tuple, image.reshape(-1, 3)))


def test_what_is_no_matrix_is_upright() -> None:
    assert turn_of(None) == turn_of(b"short") == turn_of(bytes(36)) == UPRIGHT == Turn()

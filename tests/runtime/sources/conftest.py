"""Real video files of every kind, made with PyAV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def make_video() -> Callable[..., Path]:
    """Return a function that writes a video whose picture moves; its top left quarter is bright."""
    av = pytest.importorskip("av")

    def make(
        path: Path,
        frames: int = 50,
        size: tuple[int, int] = (64, 48),
        codec: str = "libx264",
        form: str | None = None,
        rate: Any = 25,
        stamps: Sequence[int] | None = None,
        turn: int | Sequence[int] = 0,
        options: dict[str, str] | None = None,
    ) -> Path:
        """Write a video.

        Args:
            path: of the file.
            frames: how many.
            size: width and height as stored, pixels.
            codec: FFmpeg's name of the encoder.
            form: FFmpeg's name of the container; None goes by the suffix.
            rate: what the header says.
            stamps: time stamps in milliseconds; None goes by the rate.
            turn: rotation in degrees, or a display matrix.
            options: of the container.
        """
        noise = np.random.default_rng(0).integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
        noise[: size[1] // 2, : size[0] // 2] += 150
        with av.open(str(path), "w", format=form, options=options or {}) as container:
            stream = container.add_stream(codec, rate=rate)
            stream.width, stream.height, stream.gop_size = *size, 10
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            if stamps is not None:
                stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            if isinstance(turn, int) and turn:
                stream.set_display_rotation(turn)
            elif not isinstance(turn, int):
                stream.set_display_matrix(turn)
            for number in range(frames if stamps is None else len(stamps)):
                picture = av.VideoFrame.from_ndarray(noise + np.uint8(number % 40), format="rgb24")
                if stamps is not None:
                    picture.pts, picture.time_base = stamps[number], Fraction(1, 1000)
                for packet in stream.encode(picture):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
        return path

    return make

from __future__ import annotations

import io
import math
from dataclasses import replace

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from runtime.drawing import ABNORMAL, BLANK, NORMAL, UNSCORED
from runtime.replays.pictures import gif_of, mp4_of
from runtime.replays.skeletons import AlarmSkeletons, RecordedFrame, RecordedPerson

Pictures = list[tuple[float, npt.NDArray[np.uint8]]]


def person(number: int, left: float, score: float | None) -> RecordedPerson:
    keypoints = np.ones((18, 3), dtype=np.float32)
    keypoints[:, 0] = left + 0.1 * np.sin(np.arange(18))
    keypoints[:, 1] = np.linspace(0.3, 0.7, 18)
    return RecordedPerson(number, score, keypoints)


def alarm(first: float = -2.0, last: float = 3.0, spacing: float = 0.1, **fields: object) -> AlarmSkeletons:
    """Person 7, who raises it, walks to the right; person 1 stands at the left, and person 2 has no score."""
    frames = tuple(
        RecordedFrame(time, (person(7, 0.5 + 0.02 * time, 9.0), person(1, 0.15, 2.0), person(2, 0.85, None)))
        for time in np.arange(first, last + 1e-6, spacing).tolist()
    )
    made = AlarmSkeletons(
        id="a", camera="door", began_utc=1_700_000_000.0, frame_size=(640, 360), threshold=5.0, unit="bits",
        peak=0.5, seconds=1.5, complete=True, raised=frozenset({7}), frames=frames,
    )  # fmt: skip
    return replace(made, **fields)  # type: ignore[arg-type]


def read(data: bytes) -> Pictures:
    with av.open(io.BytesIO(data)) as container:
        return [
            (float(frame.time or 0), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)
        ]


def share(picture: npt.NDArray[np.uint8], colour: tuple[int, int, int], near: int = 40) -> float:
    return float((np.abs(picture.astype(int) - colour).max(axis=-1) < near).mean())


def test_the_gif_shows_everybody_on_a_dark_ground_at_the_speed_of_the_camera() -> None:
    pictures = read(gif_of(alarm()))
    times = [time for time, _ in pictures]
    assert len(pictures) == 52
    assert np.diff(times)[:-1] == pytest.approx(0.1, abs=0.011)
    assert times[-1] == pytest.approx(6.0, abs=0.02)
    for _, picture in pictures:
        assert picture.shape == (270, 480, 3)
        assert share(picture, BLANK, 4) > 0.85
        third = picture.shape[1] // 3
        left, middle, right = (picture[30:-30, third * part : third * (part + 1)] for part in range(3))
        assert share(left, NORMAL) > 0.002
        assert share(left, ABNORMAL) == 0
        assert share(middle, ABNORMAL) > 0.002
        assert share(right, UNSCORED) > 0.002
    moved = np.abs(pictures[0][1].astype(int) - pictures[40][1]).max(axis=-1) > 60
    assert moved.mean() > 0.005


def test_the_words_are_red_while_the_alarm_is_on() -> None:
    pictures = read(gif_of(alarm()))
    red = [share(picture[:24], ABNORMAL) > 0.001 for _, picture in pictures]
    first, last = red.index(True), len(red) - 1 - red[::-1].index(True)
    assert (pictures[first][0] - 2.0, pictures[last][0] - 2.0) == (
        pytest.approx(0.0, abs=0.11),
        pytest.approx(1.5, abs=0.11),
    )
    assert all(red[first : last + 1])


def test_a_long_alarm_is_shown_around_its_peak_and_is_not_large() -> None:
    long = alarm(-5.0, 400.0, 0.1, peak=300.0, seconds=395.0)
    gif = gif_of(long)
    pictures = read(gif)
    assert pictures[-1][0] == pytest.approx(21.0, abs=0.2)
    assert len(pictures) <= 202
    assert len(gif) < 1_500_000
    assert all(share(picture[:24], ABNORMAL) > 0.001 for _, picture in pictures)
    assert read(mp4_of(replace(long, frames=long.frames[::10])))[-1][0] == pytest.approx(61.0, abs=1.0)


def test_a_gap_is_not_waited_for() -> None:
    with_gap = alarm()
    frames = tuple(
        frame._replace(time=frame.time + (100 if frame.time > 0 else 0)) for frame in with_gap.frames
    )
    pictures = read(mp4_of(replace(with_gap, frames=frames, peak=50.0)))
    assert pictures[-1][0] < 10


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (101, 99), (1920, 60)])
def test_the_mp4_has_the_form_of_the_picture(size: tuple[int, int]) -> None:
    data = mp4_of(alarm(frame_size=size))
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
    pictures = read(data)
    assert len(pictures) == 52
    height, width = pictures[0][1].shape[:2]
    assert max(width, height) == 720
    assert width / height == pytest.approx(size[0] / max(size[1], size[0] * 32 / 720), rel=0.05)
    assert share(pictures[10][1], ABNORMAL, 70) > 0.001


def test_an_alarm_without_frames_and_one_without_an_end_are_drawn() -> None:
    for odd in (
        alarm(frames=()),
        alarm(-0.5, 0.5, seconds=None, peak=None, threshold=math.inf),
        alarm(-0.5, 0.5, camera="Büro"),
        alarm(0.0, 0.0),
    ):
        assert read(gif_of(odd))
        assert read(mp4_of(odd))


def test_an_outline_is_drawn_faintly_behind_the_skeletons() -> None:
    edges = np.zeros((180, 320, 4), dtype=np.uint8)
    edges[80:100, 20:300] = 255
    png = cv2.imencode(".png", edges)[1].tobytes()
    with_outline, without = (
        read(gif_of(alarm(-0.5, 0.5, outline=each)))[5][1].astype(int) for each in (png, None)
    )
    grey = np.abs(with_outline - 70).max(axis=-1) < 8
    assert 0.05 < grey.mean() < 0.12
    assert (np.abs(without - 70).max(axis=-1) < 8).mean() < 0.01
    assert share(with_outline.astype(np.uint8), ABNORMAL) > 0.002

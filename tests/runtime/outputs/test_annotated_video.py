from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest

from daflow.core.alarms.zones import Zone
from runtime.outputs.annotated_video import AnnotatedVideo
from runtime.pipeline.results import FrameResult

pytest.importorskip("av")

MakeResult = Callable[..., FrameResult]
ReadVideo = Callable[[Path], list[npt.NDArray[np.uint8]]]
CHART = 96


def redness_of_the_border(picture: npt.NDArray[np.uint8]) -> float:
    """The fraction of red pixels along the edges of the picture above the chart."""
    view = picture[:-CHART].astype(int)
    edges = np.concatenate([view[1], view[-2], view[:, 1], view[:, -2]])
    return float(((edges[:, 0] > 150) & (edges[:, 1:].max(axis=1) < 120)).mean())


def test_the_video_has_every_frame_and_its_size(
    tmp_path: Path, make_result: MakeResult, read_video: ReadVideo
) -> None:
    path = tmp_path / "new" / "video.mp4"
    with AnnotatedVideo(path, fps=25) as video:
        for index in range(40):
            video(make_result(index, size=(640, 360)))
    pictures = read_video(path)
    assert len(pictures) == 40
    assert {picture.shape for picture in pictures} == {(360 + CHART, 640, 3)}


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ((320, 240), (480, 360)),
        ((161, 121), (480, 360)),
        ((481, 271), (480, 270)),
        ((1280, 720), (1280, 720)),
        ((2560, 1440), (2560, 1440)),
        ((8000, 4000), (2714, 1356)),
        ((60_000, 60_000), (1920, 1920)),
        ((10, 4000), (16, 4096)),
        ((8000, 1), (4096, 16)),
    ],
)
def test_the_picture_has_a_size_that_can_be_encoded_and_read(
    tmp_path: Path, make_result: MakeResult, size: tuple[int, int], drawn: tuple[int, int]
) -> None:
    with AnnotatedVideo(tmp_path / "video.mp4", fps=25) as video:
        picture = video.draw(make_result(0, size=size))
        video(make_result(1, size=size))  # the encoder takes it
    assert picture.shape == (drawn[1] + CHART, drawn[0], 3)


def test_the_frames_of_an_alarm_have_a_red_border(
    tmp_path: Path, make_result: MakeResult, read_video: ReadVideo
) -> None:
    path = tmp_path / "video.mp4"
    alarms = [10 <= index < 20 for index in range(30)]
    with AnnotatedVideo(path, fps=25) as video:
        for index, alarm in enumerate(alarms):
            video(make_result(index, 6.0 if alarm else 2.0, size=(640, 360), alarm=alarm))
    redness = [redness_of_the_border(picture) for picture in read_video(path)]
    assert [value > 0.9 for value in redness] == alarms
    assert max(value for value, alarm in zip(redness, alarms, strict=True) if not alarm) < 0.1


def test_the_picture_of_the_source_is_shown(tmp_path: Path, make_result: MakeResult) -> None:
    blue = np.zeros((360, 640, 3), dtype=np.uint8)
    blue[..., 2] = 200
    with AnnotatedVideo(tmp_path / "video.mp4", fps=25, privacy="pictures") as video:
        picture = video.draw(make_result(0, size=(640, 360), image=blue))
        dark = video.draw(make_result(1, size=(640, 360)))
    assert picture[300, 600].tolist() == [0, 0, 200]
    assert dark[300, 600].max() < 60


def test_a_skeleton_has_the_colour_of_its_score(tmp_path: Path, make_result: MakeResult) -> None:
    with AnnotatedVideo(tmp_path / "video.mp4", fps=25) as video:
        pictures = [
            video.draw(make_result(i, score, size=(640, 360))) for i, score in enumerate((None, 2, 6))
        ]
    people = [picture[60:180, 70:130].reshape(-1, 3).astype(int) for picture in pictures]
    drawn = [person[person.max(axis=1) > 100].mean(axis=0) for person in people]
    unscored, normal, abnormal = drawn
    assert np.ptp(unscored) < 20
    assert normal.argmax() == 1
    assert abnormal.argmax() == 0


def test_the_chart_draws_any_scores(tmp_path: Path, make_result: MakeResult) -> None:
    with AnnotatedVideo(tmp_path / "video.mp4", fps=25) as video:
        for index, score in enumerate([None, -1e6, 5.0, 1e6, None, 0.0] * 50):
            assert video.draw(make_result(index, score)).shape == (360 + CHART, 480, 3)


def test_a_picture_of_another_size_is_fitted(
    tmp_path: Path, make_result: MakeResult, read_video: ReadVideo
) -> None:
    path = tmp_path / "video.mp4"
    with AnnotatedVideo(path, fps=25) as video:
        video(make_result(0, size=(640, 360)))
        video(make_result(1, size=(360, 640)))
    assert [picture.shape for picture in read_video(path)] == [(456, 640, 3)] * 2


def test_a_skeleton_with_nan_or_far_outside_is_drawn_without_an_error(
    tmp_path: Path, make_result: MakeResult
) -> None:
    with AnnotatedVideo(tmp_path / "video.mp4", fps=25) as video:
        for value in (np.nan, np.inf, 1e30, -1e30):
            result = make_result(0, 6.0)
            result.people[0].keypoints[2, :2] = value
            video.draw(result)


def test_what_was_written_can_be_played_after_a_kill(
    tmp_path: Path, make_result: MakeResult, read_video: ReadVideo
) -> None:
    path, copy = tmp_path / "video.mp4", tmp_path / "as_a_killed_process_leaves_it.mp4"
    with AnnotatedVideo(path, fps=25) as video:
        for index in range(200):
            video(make_result(index, size=(64, 48)))
        shutil.copy(path, copy)
    assert len(read_video(copy)) >= 100
    assert len(read_video(path)) == 200


def test_no_frame_at_all_is_no_error(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "video.mp4", fps=25):
        pass


def test_with_skeletons_no_pixel_of_the_camera_is_in_the_file(
    tmp_path: Path, make_result: MakeResult, read_video: ReadVideo, rng: np.random.Generator
) -> None:
    magenta = np.zeros((360, 640, 3), dtype=np.uint8)
    magenta[..., 0] = magenta[..., 2] = rng.integers(120, 255, (360, 640), dtype=np.uint8)

    def record(privacy: Literal["skeletons", "pictures"], image: npt.NDArray[np.uint8] | None) -> bytes:
        path = tmp_path / f"{privacy}{image is None}.mp4"
        with AnnotatedVideo(path, fps=25, privacy=privacy) as video:
            for index in range(10):
                video(make_result(index, 2.0, size=(640, 360), image=image))
        return path.read_bytes()

    assert record("skeletons", magenta) == record("skeletons", None)
    assert len(record("pictures", magenta)) > 3 * len(record("skeletons", magenta))


def test_without_a_threshold_there_is_no_line(tmp_path: Path, make_result: MakeResult) -> None:
    with AnnotatedVideo(tmp_path / "video.mp4", fps=25) as video:
        with_line = video.draw(make_result(0, 2.0, threshold=5.0))[-CHART:]
        without = video.draw(make_result(1, 2.0, threshold=float("inf")))[-CHART:]
    red = [int(((p[..., 0] > 150) & (p[..., 1] < 120)).sum()) for p in (with_line, without)]
    assert red[0] > 400
    assert red[1] == 0


def test_a_score_far_above_the_threshold_leaves_the_line_where_it_can_be_seen(
    tmp_path: Path, make_result: MakeResult
) -> None:
    with AnnotatedVideo(tmp_path / "video.mp4", fps=25) as video:
        video.draw(make_result(0, 2.0, threshold=5.0))
        chart = video.draw(make_result(1, 5000.0, threshold=5.0))[-CHART:]
    red = ((chart[..., 0] > 150) & (chart[..., 1] < 120)).sum(axis=1)
    assert 10 < int(red.argmax()) < CHART - 15, "the threshold is between the borders"


def test_zones_are_drawn_where_they_are(tmp_path: Path, make_result: MakeResult) -> None:
    square = ((0.5, 0.5), (0.75, 0.5), (0.75, 0.75), (0.5, 0.75))
    with AnnotatedVideo(tmp_path / "video.mp4", fps=25) as video:
        plain, watched, ignored = (
            video.draw(make_result(0, 2.0, size=(640, 360), zones=zones)).astype(int)
            for zones in (
                {},
                {"door": Zone(kind="watch", points=square)},
                {"Straße": Zone(kind="ignore", points=square)},
            )
        )
    for drawn in (watched, ignored):
        rows, columns = np.nonzero(np.abs(drawn - plain)[:-CHART].sum(axis=2) > 60)
        assert (columns.min(), columns.max()) == pytest.approx((0.5 * 639, 0.75 * 639), abs=3)
        assert (rows.min(), rows.max()) == pytest.approx((0.5 * 359, 0.75 * 359), abs=3)
    assert (watched[180, 330:470] != ignored[180, 330:470]).any()

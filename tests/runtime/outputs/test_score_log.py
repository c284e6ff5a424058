from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from runtime.outputs.score_log import ScoreLog
from runtime.pipeline.results import FrameResult

MakeResult = Callable[..., FrameResult]


def test_every_frame_has_a_line_also_one_with_nobody(tmp_path: Path, make_result: MakeResult) -> None:
    path = tmp_path / "folder" / "scores.csv"
    with ScoreLog(path) as log:
        log(make_result(0, None))
        log(make_result(1, 6.25, alarm=True, camera="door"))
    assert path.read_text().splitlines() == [
        "camera,frame,time,person,score,alarm",
        "camera,0,0.000,,,0",
        "door,1,0.040,7,6.2500,1",
    ]


def test_a_second_run_appends_without_another_header(tmp_path: Path, make_result: MakeResult) -> None:
    path = tmp_path / "scores.csv"
    for run in range(2):
        with ScoreLog(path) as log:
            log(make_result(run, 1.0))
    with path.open(newline="") as file:
        assert [row["frame"] for row in csv.DictReader(file)] == ["0", "1"]


def test_a_line_is_there_before_the_log_is_closed(tmp_path: Path, make_result: MakeResult) -> None:
    path = tmp_path / "scores.csv"
    with ScoreLog(path) as log:
        log(make_result(3, 1.0))
        assert path.read_text().endswith("camera,3,0.120,7,1.0000,0\n")

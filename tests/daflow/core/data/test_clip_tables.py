"""The tables by clip name beside pose tracks: frame sizes and frame rates."""

import json
import multiprocessing
from pathlib import Path

import pytest

from daflow.core.data.clip_tables import (
    FRAME_RATES,
    FRAME_SIZES,
    add_frame_rates,
    add_frame_sizes,
    read_frame_rates,
    read_frame_sizes,
)
from daflow.core.data.frame_rate import FrameRate, measured_rate
from daflow.core.data.tracks import Clip
from daflow.core.errors import InputError


def test_what_is_added_is_read(tmp_path: Path) -> None:
    add_frame_sizes(tmp_path / "new", {"a": (320, 240)})
    add_frame_sizes(tmp_path / "new", {"b": (640, 480), "a": (1, 2)})
    add_frame_rates(tmp_path / "new", {"a": FrameRate(9.9, 8.0, 10.5)})
    assert read_frame_sizes(tmp_path / "new") == {"a": (1, 2), "b": (640, 480)}
    assert read_frame_rates(tmp_path / "new") == {"a": FrameRate(9.9, 8.0, 10.5)}


def test_a_rate_may_be_written_by_hand_and_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / FRAME_RATES).write_text('{"a": 12.5}', encoding="utf-8-sig")
    (tmp_path / FRAME_SIZES).write_text('{"a": [320, 240]}', encoding="utf-8-sig")
    assert read_frame_rates(tmp_path) == {"a": FrameRate(12.5, 12.5, 12.5)}
    assert read_frame_sizes(tmp_path) == {"a": (320, 240)}


@pytest.mark.parametrize(
    "text",
    [
        "[]", "{", '{"a": [0, 4]}', '{"a": [1.5, 4]}', '{"a": [1, 1, 1]}', '{"a": [1, 1], "a": [2, 2]}',
        '{"a": ["1", 2]}', '{"a": [1e400, 1]}', "[" * 5000, "\xff", '{"a": [' + "9" * 400 + ", 1]}",
        '{"a": [true, 1]}', '{"a": [32769, 1]}', '{"a": [1, -1]}', '{"a": [NaN, 1]}', '{"a": [Infinity, 1]}',
    ],
)  # fmt: skip
def test_an_invalid_table_of_sizes_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / FRAME_SIZES).write_text(text, encoding="latin-1")
    with pytest.raises(
        InputError, match=r"frame_sizes\.json is invalid.*must hold \{clip: \[width, height\]\}"
    ):
        read_frame_sizes(tmp_path)


@pytest.mark.parametrize(
    "rate",
    [
        0,
        -1,
        True,
        1e5,
        1e-5,
        10**400,
        "1" * 5000,
        "NaN",
        "Infinity",
        [],
        {},
        {"fps": 3},
        {"fps": 1, "low": 1, "up": 1},
    ],
)
def test_an_invalid_rate_is_one_sentence(tmp_path: Path, rate: object) -> None:
    text = rate if isinstance(rate, str) else json.dumps(rate)
    (tmp_path / FRAME_RATES).write_text(f'{{"a": {text}}}', encoding="utf-8")
    with pytest.raises(InputError, match=r"frame_rates\.json is invalid"):
        read_frame_rates(tmp_path)


def _add(folder: str, first: int) -> None:
    for number in range(first, first + 10):
        add_frame_sizes(folder, {f"clip{number}": (320, 240)})


def test_processes_that_add_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add, args=(str(tmp_path), 10 * n)) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(read_frame_sizes(tmp_path)) == 40


@pytest.mark.parametrize(
    "size",
    [(0, 1), (-1, 1), (32769, 1), (10**400, 1), (1.0, 1), (True, 1), (1,), (1, 2, 3), "1920x1080", None],
)
def test_no_clip_has_an_impossible_frame_size(size: object) -> None:
    with pytest.raises(InputError, match=r"The frame size .* is not a width and a height in pixels"):
        Clip("a", (), size)  # type: ignore[arg-type]


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf"), 1e5, 10**400])
def test_no_clip_has_an_impossible_rate(fps: float) -> None:
    with pytest.raises(InputError, match=r"The frame rate .* is not from 0\.001 to 10000"):
        FrameRate.constant(fps)


@pytest.mark.parametrize("times", [[0.0, 1e-9, 2e-9], [0.0, 1e7, 2e7]])
def test_a_rate_that_no_table_can_hold_is_not_known(times: list[float]) -> None:
    assert measured_rate([0, 1, 2], times) is None

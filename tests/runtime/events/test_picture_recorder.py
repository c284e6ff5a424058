"""Snapshots and clips of alarms, from pictures to the store."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from runtime.events.alarm_recorder import AlarmEventRecorder
from runtime.events.store import EventStore
from runtime.events.store_writer import StoreWriter
from runtime.pipeline.results import FrameResult

MakeResult = Callable[..., FrameResult]


def picture(index: int) -> npt.NDArray[np.uint8]:
    """A picture whose brightness says its number."""
    return np.full((360, 1280, 3), index // 2, dtype=np.uint8)


def play(
    store: EventStore, make_result: MakeResult, pictures: bool, frames: int = 250, jump: int | None = None
) -> None:
    """Let an alarm begin after 4 s and end after 6; its score is highest after 5 s."""
    with StoreWriter(store) as writer:
        recorder = AlarmEventRecorder(store, writer, pictures=pictures)
        recorder.set_camera("camera", None, 5.0, 5.0)
        for index in range(frames):
            on = 100 <= index < 150
            change = {100: "begin", 150: "end"}.get(index)
            score = 9.0 + (index == 125) if on else 1.0
            recorder(make_result(index, score, (1280, 360), alarm=on, change=change, image=picture(index)))
            kept = recorder._replays._pictures
            while kept is not None and kept._waiting:
                time.sleep(0.001)
        recorder.close()
        assert writer.flush(60)


def decoded(data: bytes) -> list[tuple[float, npt.NDArray[np.uint8]]]:
    with av.open(io.BytesIO(data)) as container:
        return [(float(f.time or 0), f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


def test_a_snapshot_at_the_peak_and_a_clip_are_kept(store: EventStore, make_result: MakeResult) -> None:
    play(store, make_result, pictures=True, frames=300)
    (alarm,) = store.recent()
    assert store.replay_parts(alarm["id"]) == ["clip", "skeletons", "snapshot"]
    snapshot = store.replay(alarm["id"], "snapshot")
    assert snapshot is not None
    ((_, shown),) = decoded(snapshot)
    assert shown.shape == (180, 640, 3)
    assert shown.mean() == pytest.approx(62, abs=2)
    clip = decoded(store.replay(alarm["id"], "clip") or b"")
    times = [at for at, _ in clip]
    assert np.diff(times) == pytest.approx(0.2, abs=0.01)
    assert times[-1] == pytest.approx(11.0, abs=0.3)
    assert [frame.mean() for _, frame in clip] == pytest.approx(
        [2.5 * number for number in range(len(clip))], abs=4
    )


def test_nothing_of_a_picture_is_kept_where_it_is_not_allowed(
    store: EventStore, make_result: MakeResult
) -> None:
    play(store, make_result, pictures=False)
    (alarm,) = store.recent()
    assert store.replay_parts(alarm["id"]) == ["skeletons"]


def test_pictures_of_earlier_runs_are_removed_when_they_are_not_allowed_any_more(
    tmp_path: Path, make_result: MakeResult
) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path) as store:
        play(store, make_result, pictures=True, frames=160)
        (alarm,) = store.recent()
        clip, snapshot = (store.replay(alarm["id"], part) or b"" for part in ("clip", "snapshot"))
    assert clip[100:200] in path.read_bytes()
    with EventStore(path) as store, StoreWriter(store) as writer:
        AlarmEventRecorder(store, writer, pictures=False)
        assert store.replay_parts(alarm["id"]) == ["skeletons"]
    left = path.read_bytes()
    for part in (clip, snapshot):
        assert part[100:200] not in left


def test_a_camera_that_is_too_fast_is_dropped_and_its_memory_is_bounded(
    store: EventStore, make_result: MakeResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StoreWriter(store) as writer:
        recorder = AlarmEventRecorder(store, writer, pictures=True)
        recorder.set_camera("camera", None, 5.0, 5.0)
        kept: Any = recorder._replays._pictures
        assert kept is not None
        for index in range(4000):
            recorder(make_result(index, 1.0, (64, 48), image=np.zeros((48, 64, 3), dtype=np.uint8)))
            assert kept._waiting <= 4
        recorder.close()
        assert len(kept._rings["camera"]) <= 27

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daflow.core.bundle import Bundle
from daflow.core.errors import InputError
from runtime.profiling.edge import EdgeRun, measure_edge, measure_pace
from runtime.profiling.events import EventPipe


def edge_of(bundle: Bundle, source: str, **options: Any) -> EdgeRun:
    return EdgeRun(bundle.folder, source, "onnxruntime", options)


def test_events_are_timed_from_their_frame_through_store_and_delivery(bundle: Bundle) -> None:
    found = measure_pace(edge_of(bundle, "synthetic:people=1,event=none,fps=100"), 1.5)
    assert found.windows > 0
    assert found.to_event
    assert found.to_event.p50_ms > found.delay.min_ms
    assert found.frames_per_second < 110  # at the source's pace, not at full speed
    assert found.frames_per_second == pytest.approx((found.frames - 1) / found.seconds)


def test_the_edge_alone_never_alarms_and_a_generated_source_has_no_end(bundle: Bundle) -> None:
    run = edge_of(bundle, "synthetic:people=1")
    config = run.config(1e8)
    assert config.cameras["camera"].source == "synthetic:people=1,frames=0"
    assert config.camera("camera").alarm.threshold == 1e8
    assert not config.realtime
    assert run.config(1e8, realtime=True).realtime
    assert edge_of(bundle, "synthetic:").config(1).cameras["camera"].source == "synthetic:frames=0"


def test_a_live_source_sets_its_own_pace(bundle: Bundle) -> None:
    run = edge_of(bundle, "rtsp://127.0.0.1:1/live")
    assert run.live
    assert not run.config(1e8, realtime=True).realtime


def test_a_short_recording_is_measured_whole_in_each_round(bundle: Bundle) -> None:
    found = measure_edge(edge_of(bundle, "synthetic:frames=60,people=2,event=none"), 60.0, 4)
    assert 4 * 30 < found.edge.frame.count <= 4 * 59
    assert 4 * 30 < found.stages["alarm"].count <= 4 * 60
    assert len(found.edge.processor.rounds_ms) == 4
    assert found.edge.people == pytest.approx(2, abs=0.2)


def test_a_source_that_is_too_short_is_refused(bundle: Bundle) -> None:
    with pytest.raises(InputError, match="too short to measure"):
        measure_pace(edge_of(bundle, "synthetic:frames=1"), 1.0)


def test_the_pipe_reads_every_message_and_leaves_nothing(tmp_path: Path) -> None:
    with EventPipe() as pipe:
        path = pipe.path
        with path.open("wb", buffering=0) as stream:
            for kind in ("begin", "update", "end"):
                line = json.dumps({"event": kind, "utc": "2020-01-01T00:00:00.000+00:00"}).encode() + b"\n"
                stream.write(line[:20])
                stream.write(line[20:])
    assert len(pipe.delays) == 2
    assert min(pipe.delays) > 1e8
    assert not path.exists()

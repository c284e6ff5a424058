"""A running service tells what becomes of its cameras and of the disk."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daflow.core.bundle import Bundle
from runtime.config.schema import Config
from runtime.machine.disk import full_disk
from runtime.service.service import Service


def test_a_camera_that_is_lost_and_a_full_disk_are_told_to_every_delivery(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mosquitto: Callable[..., Any]
) -> None:
    monkeypatch.setattr("runtime.events.camera_states._CONNECT_S", 0.0)
    monkeypatch.setattr("runtime.service.state_watch._LOOK_S", 0.05)
    broker = mosquitto()
    config = {
        "bundle": bundle.folder,
        "cameras": {"door": {"source": "rtsp://127.0.0.1:9/live"}},
        "events": tmp_path / "events.jsonl",
        "camera_states": {"hold_seconds": 0.2, "min_free_mb": 1e9},
        "mqtt": {"host": "127.0.0.1", "port": broker.port},
    }
    with Service(Config.model_validate(config)) as service:
        thread = threading.Thread(target=service.run)
        thread.start()
        try:
            _wait(lambda: len(_lines(tmp_path / "events.jsonl")) >= 2)
            _wait(lambda: service.health()["events"]["deliveries"]["mqtt"]["delivered"] >= 2)
        finally:
            service.stop()
            thread.join(30)
        assert service.store.recent() == [], "they are no alarms"
    lines = {(line["type"], line["state"]): line for line in _lines(tmp_path / "events.jsonl")}
    assert set(lines) == {("camera_state", "lost"), ("device_state", "disk_full")}
    assert lines["camera_state", "lost"]["camera"] == "door"
    assert "MB are free at" in lines["device_state", "disk_full"]["detail"]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _wait(condition: Callable[[], object]) -> None:
    for _ in range(3000):
        if condition():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not happen in time")


def test_a_disk_is_full_below_the_least_free_space(tmp_path: Path) -> None:
    files = [tmp_path / "none" / "x", tmp_path / "file"]
    assert full_disk(files, 0) is None
    assert (full_disk(files, 1e9) or "").endswith(f"MB are free at {tmp_path}")
    assert full_disk([tmp_path / "none" / "x"], 1e9) is None

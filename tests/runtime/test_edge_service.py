"""The whole service as an operator runs it: a process, with cameras and brokers that fail."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak import growth, soak
from daflow.core.bundle import Bundle
from runtime.events.store import EventStore

pytestmark = pytest.mark.slow


class Edge:
    """`daflow-edge` in a process of its own, with a live page."""

    def __init__(self, folder: Path, text: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.config = folder / "edge.toml"
        self.config.write_text(
            f'{text}\n[serve]\naddress = "127.0.0.1:{port}"\n[store]\npath = "events.db"\n'
        )
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "log.txt"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "runtime.cli", "--config", str(self.config)]
            environment = {**os.environ, "CAMERA_PASSWORD": "open-sesame"}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def health(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"{self.url}/api/health", timeout=10) as answer:  # noqa: S310  our own server
                return dict(json.load(answer))
        except OSError:
            return {"cameras": {}, "events": {}}

    def camera(self, name: str) -> dict[str, Any]:
        return dict(self.health()["cameras"].get(name, {"state": "not there", "frames": 0, "alarms": 0}))

    def pending(self, delivery: str) -> int:
        """How many events wait for a delivery."""
        deliveries = self.health()["events"].get("deliveries", {})
        return int(deliveries[delivery]["pending"]) if deliveries else 1000

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"{self.health()}\n{self.log.read_text()}"
            time.sleep(0.1)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def edge_with(folder: Path, text: str) -> Iterator[Edge]:
    edge = Edge(folder, text)
    edge.start()
    try:
        yield edge
    finally:
        if edge.process is not None and edge.process.poll() is None:
            edge.process.kill()
            edge.process.wait()


@pytest.mark.parametrize("losses", [2, pytest.param(5, marks=pytest.mark.everything)])
def test_a_camera_whose_server_is_killed_comes_back_each_time(
    bundle: Bundle, tmp_path: Path, rtsp_server: Any, shared: Path, pose_model: Path, losses: int
) -> None:
    """A person falls before the camera again and again; the events of before each loss are there afterwards."""
    video = shared / "data" / "urfd" / "fall-01.mp4"
    account = ("guard", "open-sesame")

    def serve() -> None:
        picture = "videoconvert ! videorate ! video/x-raw,framerate=25/1"
        rtsp_server.serve(f"filesrc location={video} ! decodebin ! {picture}", account)

    serve()
    uri = rtsp_server.uri.replace("rtsp://", "rtsp://guard:${CAMERA_PASSWORD}@")
    text = f"""
bundle = "{bundle.folder}"
pose_model = "{pose_model}"
alarm.threshold = -100
[cameras.door]
source = "{uri}"
"""
    with edge_with(tmp_path, text) as edge:
        frames = 0
        for loss in range(losses):
            edge.until(lambda loss=loss: edge.camera("door")["alarms"] > loss)  # type: ignore[misc]
            rtsp_server.kill()
            edge.until(lambda: edge.camera("door")["state"] == "lost")
            edge.until(lambda: not edge.camera("door")["alarm"])  # a lost camera sees nobody
            health = edge.health()
            assert not health["ready"]
            assert health["cameras"]["door"]["frames"] > frames
            frames = health["cameras"]["door"]["frames"]
            serve()
        edge.until(lambda: edge.camera("door")["frames"] > frames)
        assert edge.camera("door")["reconnects"] >= losses
        assert edge.camera("door")["restarts"] == 0
        assert edge.end() == 0
    with EventStore(tmp_path / "events.db") as store:
        alarms = store.recent()
        assert len(alarms) >= losses
        assert all(alarm["ended_utc"] and not alarm["interrupted"] for alarm in alarms)
        assert sum(alarm["reason"] == "camera_lost" for alarm in alarms) == losses
    log = edge.log.read_text()
    assert "Traceback" not in log
    assert (
        len(re.findall(r"^\S+T\S+[+-]\d\d:\d\d INFO: camera door is connected: .*x\d+$", log, re.MULTILINE))
        == 1
    )
    assert "open-sesame" not in log


FALLS = """
bundle = "{bundle}"
realtime = true
alarm.threshold = {threshold}
alarm.update_seconds = 0.2
[cameras.hall]
source = "synthetic:frames=0,people=3,seed=1"
[cameras.door]
source = "synthetic:frames=0,people=1,seed=2"
"""


def test_a_broker_that_is_away_gets_every_event_when_it_comes_back(
    bundle: Bundle, tmp_path: Path, mosquitto: Callable[..., Any]
) -> None:
    import paho.mqtt.client as mqtt

    broker = mosquitto(password="open-sesame")  # noqa: S106
    received: list[tuple[str, int]] = []

    def take(_: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        content = json.loads(message.payload)
        received.append((content["id"], content["sequence"]))

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "listener")
    client.username_pw_set("daflow", "open-sesame")
    client.reconnect_delay_set(0.05, 0.1)  # type: ignore[arg-type]
    client.on_message = take
    client.on_connect = lambda client, *_: client.subscribe("daflow/+/events", qos=1) and None
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    text = (
        FALLS.format(bundle=bundle.folder, threshold=-100)
        + f"""
[mqtt]
host = "127.0.0.1"
port = {broker.port}
username = "daflow"
password_env = "CAMERA_PASSWORD"
"""
    )
    with edge_with(tmp_path, text) as edge:
        edge.until(lambda: len(received) > 5)
        broker.stop()
        edge.until(lambda: edge.pending("mqtt") > 10)
        assert edge.health()["ready"]
        broker.start()
        edge.until(lambda: edge.pending("mqtt") <= 2)
        assert edge.end() == 0
    with EventStore(tmp_path / "events.db") as store:
        stored = [(message.id, message.sequence) for _, message in store.messages_after(0, 10_000)]
    deadline = time.monotonic() + 10
    while not set(stored) <= set(received) and time.monotonic() < deadline:
        time.sleep(0.05)
    client.disconnect()
    client.loop_stop()
    # The broker keeps nothing: what it had acknowledged, but not passed on when it was killed, is its loss.
    missing = set(stored) - set(received)
    assert len(missing) <= 2, missing
    assert set(received) <= set(stored)
    assert len(received) - len(set(received)) <= 20
    assert "open-sesame" not in edge.log.read_text()


def test_a_killed_service_goes_on_and_ends_the_alarm_that_was_on(bundle: Bundle, tmp_path: Path) -> None:
    with edge_with(tmp_path, FALLS.format(bundle=bundle.folder, threshold=-100)) as edge:
        edge.until(lambda: edge.camera("hall")["alarms"] and edge.health()["events"]["stored"] > 3)
        edge.end(signal.SIGKILL)
        edge.start()
        edge.until(lambda: edge.camera("hall")["alarms"] > 0)
        assert edge.end() == 0
    with EventStore(tmp_path / "events.db") as store:
        alarms = store.recent()
    assert sum(alarm["interrupted"] for alarm in alarms) == 2  # one of each camera
    assert all(alarm["ended_utc"] for alarm in alarms)


@pytest.mark.parametrize("frames", [60_000, pytest.param(500_000, marks=pytest.mark.everything)])
def test_nothing_grows(bundle: Bundle, tmp_path: Path, frames: int) -> None:
    threads = threading.active_count()
    tenths = soak(bundle.folder, frames, 4, tmp_path)
    assert growth(tenths) == [], tenths
    assert threading.active_count() <= threads

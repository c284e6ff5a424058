from __future__ import annotations

import itertools
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from daflow.core.alarms.p_value import normal_scores
from daflow.core.alarms.zones import Zone
from daflow.core.bundle import Bundle, read_bundle, write_manifest
from daflow.core.data.windows import Poses
from daflow.core.errors import CheckFailed, InputError
from daflow.core.log import PACKAGES
from daflow.core.scoring.onnx import OnnxScorer
from runtime.cli import main
from runtime.config.schema import AlarmOptions, Config, LogOptions
from runtime.events.store import EventStore
from runtime.pipeline.results import FrameResult
from runtime.service.camera_worker import ProcessingRate
from runtime.service.logs import JsonFormatter, TextFormatter, set_up_logs
from runtime.service.service import Service
from runtime.sources.frames import Frame, Keypoints
from runtime.sources.synthetic import SyntheticSource

Complete = Callable[[], bool]

NORMAL = "synthetic:frames=0,people=2,event=none"
PICTURES = "gst:videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=25/1"

needs_gstreamer = pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="GStreamer is not here")


def wait_for(condition: Complete, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def config_of(bundle: Bundle | Path, cameras: dict[str, str], **fields: Any) -> Config:
    folder = bundle if isinstance(bundle, Path) else bundle.folder
    sources = {name: {"source": source} for name, source in cameras.items()}
    return Config.model_validate({"bundle": folder, "cameras": sources, **fields})


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """Run a service in a thread; an exception of it is raised at the end."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            service.run()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    with service:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield service
        finally:
            service.stop()
            thread.join(30)
            assert not thread.is_alive()
    if failures:
        raise failures[0]


def camera(service: Service, name: str = "door") -> dict[str, Any]:
    return dict(service.health()["cameras"][name])


def test_cameras_share_one_scorer_and_are_scored_in_one_batch(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras = {f"c{number}": f"synthetic:frames=120,people=2,event=none,seed={number}" for number in range(4)}
    batches: list[int] = []
    judge = OnnxScorer.judge

    def counted(self: OnnxScorer, poses: Poses) -> Any:
        batches.append(len(poses))
        return judge(self, poses)

    monkeypatch.setattr(OnnxScorer, "judge", counted)
    with Service(config_of(bundle, cameras)) as service:
        service.run()
    health = service.health()
    assert [facts["frames"] for facts in health["cameras"].values()] == [120] * 4
    assert max(batches) > 2  # more than the two people of one frame
    assert len(batches) < 4 * 97
    assert len(service.summary()) == 4


def test_many_cameras_give_what_each_gives_alone(bundle: Bundle, tmp_path: Path) -> None:
    cameras = {name: f"synthetic:frames=90,people=2,seed={seed}" for name, seed in (("a", 1), ("b", 2))}
    with Service(config_of(bundle, cameras, scores=tmp_path / "together.csv")) as service:
        service.run()
    together = (tmp_path / "together.csv").read_text().splitlines()[1:]
    for name, source in cameras.items():
        with Service(config_of(bundle, {name: source}, scores=tmp_path / f"{name}.csv")) as service:
            service.run()
        alone = (tmp_path / f"{name}.csv").read_text().splitlines()[1:]
        assert [line for line in together if line.startswith(f"{name},")] == alone
        assert len(alone) == 90


def test_the_health_says_how_each_camera_and_stage_is_doing(bundle: Bundle) -> None:
    with running(Service(config_of(bundle, {"door": NORMAL}, realtime=True))) as service:
        wait_for(lambda: camera(service)["people"] == 2 and camera(service)["score"] is not None)
        health = service.health()
    facts = health["cameras"]["door"]
    assert health["ready"]
    assert facts["state"] == "streaming"
    assert facts["fps"] > 0
    assert {"capture", "window", "score", "alarm", "sinks", "delay"} <= set(health["stages"])
    assert health["scorer"] == "onnxruntime fp32"
    assert 10 < health["memory_mb"] < 10_000
    json.dumps(health, allow_nan=False)


def test_a_recording_that_is_missing_ends_the_start_with_a_sentence(bundle: Bundle, tmp_path: Path) -> None:
    threads = threading.active_count()
    with (
        pytest.raises(InputError, match=r"missing\.mp4"),
        Service(config_of(bundle, {"a": NORMAL, "b": str(tmp_path / "missing.mp4")})),
    ):
        pass
    wait_for(lambda: threading.active_count() <= threads)


class Nobody:
    """A pose estimator that finds nobody."""

    def estimate(self, frame: Frame) -> Keypoints:
        return np.zeros((0, 17, 3), dtype=np.float32)

    def close(self) -> None:
        pass


def test_an_unreachable_camera_is_retried_and_does_not_stop_the_others(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.poses.people.open_estimator", lambda options: Nobody())
    cameras = {"gone": "rtsp://127.0.0.1:9/live", "door": NORMAL}
    with running(Service(config_of(bundle, cameras))) as service:
        wait_for(lambda: camera(service, "gone")["state"] == "lost" and camera(service)["frames"] > 50)
        health = service.health()
    assert not health["ready"]
    assert health["problems"][0].startswith("camera gone is lost since ")
    assert camera(service, "gone")["error"]


# Reloading


def test_deliveries_that_cannot_be_opened_change_nothing(
    bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    first = config_of(bundle, {"door": NORMAL}, events=tmp_path / "events.jsonl", alarm={"threshold": 99})
    second = config_of(bundle, {"door": NORMAL}, events=tmp_path / "file" / "x", alarm={"threshold": 77})
    with running(Service(first, lambda: second)) as service:
        wait_for(lambda: camera(service)["frames"] > 30)
        service.reload()
        wait_for(lambda: "the configuration was not changed" in caplog.text)
        assert camera(service)["threshold"] == 99
        assert list(service.health()["events"]["deliveries"]) == ["lines"]


def test_reloading_changes_only_what_differs(bundle: Bundle) -> None:
    first = {"stays": f"{NORMAL},seed=1", "goes": f"{NORMAL},seed=2", "changes": f"{NORMAL},seed=3"}
    second = {"stays": first["stays"], "changes": f"{NORMAL},seed=4", "comes": f"{NORMAL},seed=5"}
    configs = [config_of(bundle, second, realtime=True, alarm={"threshold": 77})]
    first_config = config_of(bundle, first, realtime=True, alarm={"threshold": 99})
    with running(Service(first_config, configs.pop)) as service:
        wait_for(lambda: all(camera(service, name)["frames"] > 30 for name in first))
        workers = {name: slot.worker for name, slot in service._manager._slots.items()}
        service.reload()
        wait_for(lambda: "comes" in service.health()["cameras"] and camera(service, "comes")["frames"] > 0)
        after = {name: slot.worker for name, slot in service._manager._slots.items()}
        assert set(after) == set(second) == set(service.health()["cameras"])
        assert after["stays"] is workers["stays"]
        assert after["changes"] is not workers["changes"]
        wait_for(lambda: {facts["threshold"] for facts in service.health()["cameras"].values()} == {77})
        assert workers["goes"] is not None
        assert workers["goes"].ended


def test_a_wrong_configuration_changes_nothing(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Config:
        raise InputError("serve.address: it is wrong")

    with running(Service(config_of(bundle, {"door": NORMAL}), broken)) as service:
        wait_for(lambda: camera(service)["frames"] > 30)
        service.reload()
        wait_for(lambda: "the configuration was not changed: serve.address: it is wrong" in caplog.text)
        frames = camera(service)["frames"]
        wait_for(lambda: camera(service)["frames"] > frames)


def test_reloading_takes_a_new_calibration_of_the_bundle(bundle: Bundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))
    config = config_of(folder, {"door": NORMAL})
    with running(Service(config, lambda: config)) as service:
        wait_for(lambda: camera(service)["frames"] > 30)
        manifest = read_bundle(folder).manifest
        assert manifest.alarm is not None
        alarm = manifest.alarm.model_copy(update={"threshold": 123.0})
        write_manifest(folder, manifest.model_copy(update={"cameras": {"door": alarm}}))
        service.reload()
        wait_for(lambda: camera(service)["threshold"] == 123.0)
        assert camera(service)["restarts"] == 0


def test_reloading_takes_other_zones_and_reads_on(bundle: Bundle) -> None:
    def zoned(zones: dict[str, Any]) -> Config:
        # An ignored floor comes with a camera that is never armed: neither needs the camera to be opened again.
        schedule = {"armed": []} if zones else {}
        cameras = {"door": {"source": NORMAL, "zones": zones, "schedule": schedule}}
        return Config.model_validate({"bundle": bundle.folder, "cameras": cameras, "realtime": True})

    everywhere = {"kind": "ignore", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    configs = [zoned({}), zoned({"floor": everywhere})]
    with running(Service(zoned({}), configs.pop)) as service:
        wait_for(lambda: camera(service)["score"] is not None)
        worker = service._manager._slots["door"].worker
        service.reload()
        wait_for(lambda: camera(service)["zones"] != {})
        wait_for(lambda: camera(service)["people"] > 0 and camera(service)["score"] is None)
        assert camera(service)["provisional"]
        assert not camera(service)["calibrated"]
        assert "zones (floor)" in camera(service)["misfit"]
        assert not camera(service)["armed"]
        service.reload()
        wait_for(lambda: camera(service)["score"] is not None)
        assert service._manager._slots["door"].worker is worker
        assert not camera(service)["provisional"]
        assert camera(service)["calibrated"]
        assert camera(service)["armed"]
    with running(Service(config_of(bundle, {"door": NORMAL}, alarm={"threshold": 77}))) as service:
        assert not camera(service)["calibrated"], "its threshold was set by hand"


def test_zones_that_are_drawn_hold_at_once_and_after_a_restart(bundle: Bundle, tmp_path: Path) -> None:
    config = config_of(bundle, {"door": NORMAL}, realtime=True, store={"path": tmp_path / "events.db"})
    floor = Zone.model_validate({"kind": "ignore", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]})
    with running(Service(config)) as service:
        wait_for(lambda: camera(service)["score"] is not None)
        worker = service._manager._slots["door"].worker
        with pytest.raises(KeyError):
            service.save_zones("gate", {})
        service.save_zones("door", {"floor": floor})
        wait_for(lambda: camera(service)["people"] > 0 and camera(service)["score"] is None)
        assert "zones (floor)" in camera(service)["misfit"]
        assert service._manager._slots["door"].worker is worker
    with running(Service(config)) as service:
        assert list(camera(service)["zones"]) == ["floor"]
        service.save_zones("door", {})
        wait_for(lambda: camera(service)["score"] is not None)
        assert camera(service)["misfit"] is None
    with running(Service(config_of(bundle, {"door": NORMAL}, realtime=True))) as service:
        with pytest.raises(InputError, match=r"store\.path"):
            service.save_zones("door", {"floor": floor})
        assert camera(service)["zones"] == {}


# Supervision


class Hangs:
    """A pose estimator of which the first one hangs at its fifth frame, until it is released."""

    def __init__(self, first: bool, release: threading.Event) -> None:
        self.first, self.release, self.frames = first, release, 0

    def estimate(self, frame: Frame) -> Keypoints:
        self.frames += 1
        if self.first and self.frames == 5:
            self.release.wait(60)
        return np.zeros((0, 17, 3), dtype=np.float32)

    def close(self) -> None:
        pass


@needs_gstreamer
def test_a_camera_that_stalls_is_restarted(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release, opened = threading.Event(), itertools.count()
    monkeypatch.setattr(
        "runtime.poses.people.open_estimator", lambda options: Hangs(next(opened) == 0, release)
    )
    with running(Service(config_of(bundle, {"door": PICTURES}, stall_seconds=1))) as service:
        wait_for(lambda: camera(service)["restarts"] == 1)
        frames = camera(service)["frames"]
        wait_for(lambda: camera(service)["frames"] > frames + 5)
        assert camera(service)["state"] == "streaming"
        release.set()
    assert "restarting camera door: stage pose has stalled" in caplog.text


@needs_gstreamer
def test_a_camera_whose_estimator_fails_is_restarted(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Fails:
        def estimate(self, frame: Frame) -> Keypoints:
            raise RuntimeError("out of memory")

        def close(self) -> None:
            pass

    monkeypatch.setattr("runtime.poses.people.open_estimator", lambda options: Fails())
    with running(Service(config_of(bundle, {"door": PICTURES, "hall": NORMAL}))) as service:
        wait_for(lambda: camera(service)["restarts"] == 2)
        assert camera(service, "hall")["restarts"] == 0
    assert "restarting camera door: pose failed: RuntimeError: out of memory" in caplog.text


def test_a_scorer_that_fails_or_stalls_is_opened_again(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()
    trouble: list[Callable[[], None]] = []
    judge, close, closed = OnnxScorer.judge, OnnxScorer.__exit__, []

    def fail() -> None:
        raise RuntimeError("the device is gone")

    def hang() -> None:
        release.wait(60)

    def troubled(self: OnnxScorer, poses: Poses) -> Any:
        if trouble:
            trouble.pop()()
        return judge(self, poses)

    def counted(self: OnnxScorer, *error: object) -> None:
        closed.append(self)
        close(self, *error)

    monkeypatch.setattr(OnnxScorer, "judge", troubled)
    monkeypatch.setattr(OnnxScorer, "__exit__", counted)
    with running(Service(config_of(bundle, {"door": NORMAL}, stall_seconds=1))) as service:
        for action, words in ((fail, "the device is gone"), (hang, "it has stalled")):
            wait_for(lambda: service._clock.seconds.get("score") is not None)
            trouble.append(action)
            wait_for(lambda words=words: words in caplog.text)  # type: ignore[misc]
            frames = camera(service)["frames"]
            wait_for(lambda frames=frames: camera(service)["frames"] > frames + 50)  # type: ignore[misc]
        release.set()
    wait_for(lambda: len(closed) == 3)


def test_a_scorer_that_always_fails_ends_the_service(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any, poses: Any) -> Any:
        raise RuntimeError("the device is gone")

    monkeypatch.setattr("daflow.core.scoring.onnx.OnnxScorer.judge", fail)
    with (
        pytest.raises(CheckFailed, match="failed 3 times in a row: RuntimeError: the device is gone"),
        running(Service(config_of(bundle, {"door": NORMAL}))) as service,
    ):
        wait_for(lambda: service._scoring.restarts > 3)


@needs_gstreamer
def test_too_many_stalled_threads_end_the_service(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Nobody):
        def estimate(self, frame: Frame) -> Keypoints:
            release.wait(60)
            return super().estimate(frame)

    def release_after_five(service: Service) -> None:
        wait_for(lambda: len(service._manager._abandoned) >= 5)
        time.sleep(0.5)  # for the supervisor to count them
        release.set()

    release = threading.Event()
    monkeypatch.setattr("runtime.poses.people.open_estimator", lambda options: Hanging())
    cameras = dict.fromkeys("abcde", PICTURES)
    with (
        pytest.raises(CheckFailed, match="camera threads have stalled"),
        running(Service(config_of(bundle, cameras, stall_seconds=0.5))) as service,
    ):
        release_after_five(service)


@needs_gstreamer
def test_threads_that_are_about_to_end_do_not_end_the_service(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload stops many cameras at once, and some take longer than it waits."""

    class Slow(Nobody):
        def estimate(self, frame: Frame) -> Keypoints:
            time.sleep(1.2)  # longer than a reload waits for a camera
            return super().estimate(frame)

    monkeypatch.setattr("runtime.poses.people.open_estimator", lambda options: Slow())
    cameras = {f"c{number}": PICTURES for number in range(6)}
    second = config_of(bundle, {"door": NORMAL})
    with running(Service(config_of(bundle, cameras), lambda: second)) as service:
        wait_for(lambda: all(facts["state"] == "streaming" for facts in service.health()["cameras"].values()))
        service.reload()
        wait_for(lambda: list(service.health()["cameras"]) == ["door"])
        frames = camera(service)["frames"]
        wait_for(lambda: camera(service)["frames"] > frames + 10)


def test_systemd_is_notified(bundle: Bundle, tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(f'bundle = "{bundle.folder}"\n[cameras.door]\nsource = "{NORMAL}"\n')
    words = [sys.executable, "-m", "runtime.cli", "--config", str(config)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(300)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                log = _reload_and_stop(process, manager)
            finally:
                process.kill()  # it would watch for ever
    assert (process.returncode, b"was reloaded" in log) == (0, True)


def _reload_and_stop(process: subprocess.Popen[bytes], manager: socket.socket) -> bytes:
    """Follow a service by what it tells systemd; return its log."""

    def until(word: str) -> list[str]:
        said = []
        while not said or word not in said[-1]:
            said.append(manager.recv(4096).decode())
        return said

    assert until("READY=1")[-1] == "READY=1\nSTATUS=watching door"  # before it, while the model is opened
    until("WATCHDOG=1")
    process.send_signal(signal.SIGHUP)
    assert any("MONOTONIC_USEC=" in line for line in until("RELOADING=1"))
    until("READY=1")
    process.terminate()
    until("STOPPING=1")
    _, log = process.communicate(timeout=300)
    return log


# Alarms and events


def test_the_alarm_of_a_recording_that_is_over_ends(bundle: Bundle) -> None:
    """No frame comes any more, and so nobody is seen; a camera that is lost is the same."""
    cameras = {"short": "synthetic:frames=60", "door": NORMAL}
    with running(Service(config_of(bundle, cameras, alarm={"threshold": -100}))) as service:
        wait_for(lambda: camera(service, "short")["state"] == "ended")
        wait_for(lambda: camera(service, "short")["alarms"] == 1 and not camera(service, "short")["alarm"])
        wait_for(lambda: any(alarm["ended_utc"] for alarm in service.store.recent(camera="short")))
        assert service.store.recent(camera="short")[0]["reason"] == "source_ended"


def reasons(path: Path) -> dict[str, str]:
    """Return why the last alarm of each camera ended."""
    with EventStore(path) as store:
        return {alarm["camera"]: alarm["reason"] for alarm in reversed(store.recent())}


def test_an_alarm_ends_with_the_reason(
    bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "runtime")
    # A moment in which nobody is there must not end an alarm, however fast the stream runs.
    shared: dict[str, Any] = {
        "alarm": {"threshold": -100.0, "end_seconds": 1e5}, "store": {"path": tmp_path / "e.db"},
    }  # fmt: skip
    cameras = {"stays": NORMAL, "removed": NORMAL, "changed": NORMAL}
    first = config_of(bundle, cameras, **shared)
    second = config_of(bundle, {"stays": NORMAL, "changed": NORMAL}, **shared)
    changed = second.cameras["changed"].model_copy(update={"alarm": AlarmOptions(threshold=1e6)})
    second = second.model_copy(update={"cameras": {**second.cameras, "changed": changed}})
    with running(Service(first, lambda: second)) as service:
        wait_for(lambda: all(camera(service, name)["alarm"] for name in cameras))
        service.reload()
        wait_for(lambda: "removed" not in service.health()["cameras"])
        wait_for(lambda: not camera(service, "changed")["alarm"])
    assert reasons(tmp_path / "e.db") == {
        "stays": "service_stopped", "removed": "camera_removed", "changed": "settings_changed",
    }  # fmt: skip
    ends = [record.getMessage() for record in caplog.records if "alarm ends" in record.getMessage()]
    assert len(ends) == 3
    assert "camera removed: alarm ends after" in caplog.text
    assert ": camera removed; highest score " in caplog.text
    assert re.search(r"camera stays: alarm begins: score -?\d+\.\d\d bits/dim", caplog.text)


def test_the_alarm_of_a_recording_that_is_over_says_so(bundle: Bundle, tmp_path: Path) -> None:
    store = {"path": tmp_path / "e.db"}
    with Service(
        config_of(bundle, {"door": "synthetic:frames=60"}, alarm={"threshold": -100}, store=store)
    ) as service:
        service.run()
    assert reasons(tmp_path / "e.db") == {"door": "source_ended"}


def test_the_alarm_of_a_camera_that_is_lost_says_so(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source gives no frames after the hundredth, and says that it is lost."""
    lost = threading.Event()
    read = SyntheticSource.__iter__

    def until_lost(self: SyntheticSource) -> Iterator[Frame]:
        for frame in read(self):
            while frame.index > 100 and lost.is_set():
                time.sleep(0.02)
            yield frame

    monkeypatch.setattr(SyntheticSource, "__iter__", until_lost)
    monkeypatch.setattr("runtime.service.cameras._is_absent", lambda worker: lost.is_set())
    config = config_of(bundle, {"door": NORMAL}, alarm={"threshold": -100}, store={"path": tmp_path / "e.db"})
    lost.set()
    with running(Service(config)) as service:
        wait_for(lambda: "camera_lost" in {alarm["reason"] for alarm in service.store.recent()})
        lost.clear()


def test_the_broker_hears_of_a_camera_that_was_never_reached(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, mosquitto: Callable[..., Any]
) -> None:
    monkeypatch.setattr("runtime.poses.people.open_estimator", lambda options: Nobody())
    told: dict[str, list[str]] = {}
    broker = mosquitto()
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: told.setdefault(message.topic, []).append(
        message.payload.decode()
    )
    client.on_connect = lambda client, *_: client.subscribe("daflow/#", qos=1) and None
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    mqtt = {"host": "127.0.0.1", "port": broker.port}
    first = config_of(bundle, {"gone": "rtsp://127.0.0.1:9/live", "door": NORMAL}, mqtt=mqtt, realtime=True)
    second = config_of(bundle, {"door": NORMAL}, mqtt=mqtt, realtime=True)
    with running(Service(first, lambda: second)) as service:
        wait_for(lambda: told.get("daflow/door/status", [""])[-1] == "streaming")
        wait_for(lambda: told.get("daflow/gone/status", [""])[-1] == "lost")
        assert "streaming" not in told["daflow/gone/status"]
        service.reload()
        wait_for(lambda: told["daflow/gone/status"][-1] == "" and told["daflow/gone/alarm"][-1] == "")
        wait_for(lambda: len(told["daflow/available"]) == 2)
        assert told["daflow/available"] == ["online", "online"]  # the connection was kept
    wait_for(lambda: told["daflow/available"][-1] == "offline")
    assert told["daflow/door/status"][-1] == "stopped"
    client.disconnect()
    client.loop_stop()


def test_a_run_that_ends_before_its_broker_lets_it_in_says_so(
    bundle: Bundle, mosquitto: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BROKER_PASSWORD", "wrong")
    broker = mosquitto("hunter2")
    words = [
        "--bundle", str(bundle.folder), "--source", "hall=synthetic:frames=60", "--threshold", "-100", "--mqtt-host",
        "127.0.0.1", "--mqtt-port", str(broker.port), "--mqtt-username", "daflow", "--mqtt-password-env",
        "BROKER_PASSWORD",
    ]  # fmt: skip
    lost = CliRunner().invoke(main, words)
    assert lost.exit_code == 2
    assert f"mqtt: 127.0.0.1:{broker.port} does not let daflow-edge in: Not authorized" in lost.output
    assert re.search(
        r"mqtt: 2 events were not delivered and are lost, .*: .* is not connected: Not authorized",
        lost.output,
    )
    kept = CliRunner().invoke(main, [*words, "--store", str(tmp_path / "e.db")])
    assert kept.exit_code == 0
    assert re.search(
        r"mqtt: 2 events were not delivered and wait in the store: .*: Not authorized", kept.output
    )
    assert "camera hall (synthetic:frames=60): 60 frames" in kept.output


def test_the_count_of_a_stage_goes_on_beyond_what_is_kept_and_over_reloads(bundle: Bundle) -> None:
    first = config_of(bundle, {"door": NORMAL, "goes": NORMAL})
    configs = [config_of(bundle, {"door": f"{NORMAL},seed=9"})]
    with running(Service(first, configs.pop)) as service:
        wait_for(lambda: camera(service)["frames"] > 100)
        counts = [service.health()["stages"]["window"]["count"]]
        service.reload()
        wait_for(lambda: "seed=9" in camera(service)["source"])
        while counts[-1] < 5_000:
            counts.append(service.health()["stages"]["window"]["count"])
            assert counts[-1] >= counts[-2]
            time.sleep(0.01)
        figures = service.health()["stages"]["window"]
    assert figures["sum_s"] > 0
    assert [count for _, count in figures["buckets"]] == sorted(count for _, count in figures["buckets"])
    assert figures["buckets"][-1][1] <= figures["count"]


def test_when_every_recording_is_over_an_alarm_ends_at_its_last_frame(bundle: Bundle) -> None:
    source = "synthetic:frames=90,people=1,event=none,seed=3"
    results: list[FrameResult] = []
    with Service(
        config_of(bundle, {"door": source}, alarm={"threshold": -100.0}), listeners=[results.append]
    ) as service:
        service.start()
        wait_for(lambda: service._manager.ended and len(results) == 90)
        assert results[-1].alarm
        service.supervise(0)
    assert len(results) == 90


def test_a_camera_that_is_read_anew_goes_on_in_time_and_raises_alarms(bundle: Bundle) -> None:
    configs = [
        config_of(bundle, {"door": f"{NORMAL},seed={seed}"}, alarm={"threshold": -100}) for seed in (2, 1)
    ]
    times: list[float] = []
    frames: list[int] = []

    def listen(result: FrameResult) -> None:
        times.append(result.frame.time)
        frames.append(result.frame.index)

    with running(Service(configs.pop(), configs.pop, [listen])) as service:
        wait_for(lambda: camera(service)["frames"] > 2000)
        service.reload()
        wait_for(lambda: "seed=2" in camera(service)["source"])
        alarms = camera(service)["alarms"]
        wait_for(lambda: camera(service)["alarms"] > alarms + 1)
    assert times == sorted(times)
    assert frames == sorted(set(frames))


def _p_values(result: FrameResult) -> list[float | None]:
    return [person.p_value for person in result.people]


def test_scores_that_are_smoothed_otherwise_have_no_p_values(
    bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))
    manifest = read_bundle(folder).manifest
    assert manifest.alarm is not None
    alarm = manifest.alarm.model_copy(update={"normal": normal_scores(np.arange(100.0))})
    write_manifest(folder, manifest.model_copy(update={"alarm": alarm}))
    for seconds, has_one in ((None, True), (3.0, False)):
        found: list[float | None] = []
        config = config_of(folder, {"door": "synthetic:frames=60"}, alarm={"smoothing_seconds": seconds})
        with Service(config, listeners=[lambda result, to=found: to.extend(_p_values(result))]) as service:  # type: ignore[misc]
            service.run()
        assert any(value is not None for value in found) == has_one
    assert "no p-values and no drift detection" in caplog.text


def test_alarms_are_stored_and_a_run_goes_on_where_the_last_ended(bundle: Bundle, tmp_path: Path) -> None:
    config = config_of(
        bundle, {"door": "synthetic:frames=60"}, alarm={"threshold": -100}, store={"path": tmp_path / "e.db"}
    )
    for _ in range(2):
        with Service(config) as service:
            service.run()
    with EventStore(tmp_path / "e.db") as store:
        alarms = store.recent()
        assert len(alarms) == 2
        whole = store.alarm(alarms[0]["id"])
    assert whole is not None
    assert (whole["event"], whole["camera"]) == ("end", "door")
    assert np.array(whole["peak"]["skeletons"]).shape == (24, 18, 2)
    assert whole["model"]["daflow"]
    assert len(whole["model"]["bundle"]) == 64


def test_the_log_can_be_read_by_programs(bundle: Bundle) -> None:
    ran = CliRunner().invoke(
        main,
        ["--bundle", str(bundle.folder), "--source", "synthetic:frames=40",
         "--threshold", "-100", "--webhook-url", "http://127.0.0.1:9/", "--log-format", "json"],
    )  # fmt: skip
    *lines, error = ran.stderr.splitlines()
    assert lines
    for line in lines:
        assert {"time", "level", "logger", "thread", "message"} == set(json.loads(line))
    assert "webhook: 2 events were not delivered and are lost" in error
    assert ran.exit_code == 2


def test_a_line_of_the_log_has_a_time_and_stays_a_line() -> None:
    record = logging.LogRecord(
        "runtime", logging.INFO, "", 1, "%s is skipped", ("a\n\x1b[31mERROR: b.mp4",), None
    )
    line = TextFormatter().format(record)
    time, level, message = line.split(" ", 2)
    assert datetime.fromisoformat(time).utcoffset() is not None
    assert abs(datetime.fromisoformat(time).timestamp() - record.created) <= 1
    assert (level, message) == ("INFO:", r"a\n\x1b[31mERROR: b.mp4 is skipped")
    set_up_logs(handler := logging.StreamHandler(), LogOptions())
    assert isinstance(handler.formatter, TextFormatter)


def test_the_log_of_other_handlers_keeps_its_format() -> None:
    ours, other = logging.StreamHandler(), logging.StreamHandler()
    formatter = logging.Formatter("%(message)s")
    other.setFormatter(formatter)
    package = logging.getLogger("runtime")
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in PACKAGES]
    package.addHandler(other)
    try:
        set_up_logs(ours, LogOptions(format="json", level="error"))
        assert isinstance(ours.formatter, JsonFormatter)
        assert other.formatter is formatter
        assert not package.isEnabledFor(logging.WARNING)
    finally:
        package.removeHandler(other)
        for logger, level in before:
            logger.setLevel(level)


def test_a_reload_applies_the_options_of_the_log(bundle: Bundle) -> None:
    applied: list[LogOptions] = []
    second = config_of(bundle, {"door": NORMAL}, log={"level": "error"})
    service = Service(config_of(bundle, {"door": NORMAL}), lambda: second, set_up_logs=applied.append)
    with running(service):
        service.reload()
        wait_for(lambda: bool(applied))
    assert applied == [second.log]


# The rate of a camera


def test_the_rate_is_of_the_recent_frames_and_0_after_a_pause() -> None:
    now = 0.0
    rate = ProcessingRate(lambda: now)
    assert rate.per_second() == 0
    for frame in range(100):
        now = frame / 25
        rate.add(now)
    assert rate.per_second() == pytest.approx(25)
    now += 9
    assert rate.per_second() == pytest.approx(25)
    now += 2
    assert rate.per_second() == 0

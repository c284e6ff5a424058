"""Cameras that are armed and disarmed over a real broker, by a service that always has an alarm."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from daflow.core.bundle import Bundle
from runtime.config.schema import Config
from runtime.service.service import Service

Eventually = Callable[..., None]
SET, STATE = "daflow/door/armed/set", "daflow/door/armed/state"


class HomeAssistant:
    """A client that hears everything, and publishes commands."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, str]] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1) and None
        self._client.on_message = lambda client, data, message: self.heard.append(
            (message.topic, message.payload.decode())
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def last(self, topic: str) -> str | None:
        return next((text for heard, text in reversed(list(self.heard)) if heard == topic), None)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(text) for topic, text in list(self.heard) if topic == "daflow/door/events"]

    def publish(self, topic: str, text: str, *, retain: bool = False) -> None:
        self._client.publish(topic, text, qos=1, retain=retain).wait_for_publish(5)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def home(broker: Any) -> Iterator[HomeAssistant]:
    client = HomeAssistant(broker.port)
    yield client
    client.close()


@contextmanager
def running(
    bundle: Bundle, broker: Any, store: Path, commands: bool = True, **camera: object
) -> Iterator[Service]:
    """Two people who walk on and on, and whose every score is above the threshold."""
    config = {
        "bundle": bundle.folder,
        "cameras": {
            "door": {
                "source": "synthetic:frames=0,people=2,event=none",
                "realtime": True,
                "alarm": {"threshold": -1e6, "update_seconds": 0},
                **camera,
            }
        },
        "mqtt": {"host": "127.0.0.1", "port": broker.port, "commands": commands},
        "store": {"path": store},
    }
    with Service(Config.model_validate(config)) as service:
        thread = threading.Thread(target=service.run)
        thread.start()
        try:
            yield service
        finally:
            service.stop()
            thread.join(30)
            assert not thread.is_alive()


def test_a_camera_is_disarmed_and_armed_again(
    bundle: Bundle, broker: Any, home: HomeAssistant, tmp_path: Path, eventually: Eventually
) -> None:
    with running(bundle, broker, tmp_path / "events.sqlite") as service:
        eventually(lambda: home.last("daflow/door/alarm") == "ON", 30)
        assert home.last(STATE) == "ON"
        home.publish(SET, "OFF")
        eventually(lambda: home.last(STATE) == "OFF")
        eventually(lambda: home.last("daflow/door/alarm") == "OFF")
        ended = home.events()[-1]
        assert (ended["event"], ended["reason"], ended["armed"]) == ("end", "disarmed", True)
        eventually(lambda: [event["armed"] for event in service.store.recent(1)] == [False])
        assert service.health()["cameras"]["door"]["alarm"], "it is scored all the same"
        assert service.health()["cameras"]["door"]["armed_why"] == "said"
        home.publish(SET, "ON")
        eventually(lambda: home.last("daflow/door/alarm") == "ON")
        stored = [message for _, message in service.store.messages_after(0)]
    delivered = [event for event in home.events() if event["event"] == "begin"]
    assert [event["armed"] for event in delivered] == [True, True]
    begins = [message.armed for message in stored if message.kind == "begin"]
    assert begins == [True, False, True], "the one in between is stored, and was not published"


def test_a_snooze_and_a_restart(
    bundle: Bundle, broker: Any, home: HomeAssistant, tmp_path: Path, eventually: Eventually
) -> None:
    store = tmp_path / "events.sqlite"
    with running(bundle, broker, store):
        eventually(lambda: home.last(STATE) == "ON", 30)
        home.publish(SET, "0.1")  # six seconds, on for the next start
        eventually(lambda: home.last(STATE) == "OFF")
        home.publish(SET, "OFF")
    before = len(home.heard)
    home.publish(SET, "ON", retain=True)  # the broker keeps it for whoever connects
    with running(bundle, broker, store) as service:
        eventually(lambda: service.health()["cameras"]["door"]["alarm"], 30)
        assert not service.health()["cameras"]["door"]["armed"]
        assert {text for topic, text in home.heard[before:] if topic == STATE} == {"OFF"}
        home.publish(SET, "ON")
        eventually(lambda: home.last(STATE) == "ON")
        home.publish(SET, "0.02")
        eventually(lambda: home.last(STATE) == "OFF")
        eventually(lambda: home.last(STATE) == "ON")
        for nonsense in ("", "no", "-3", "nan", "1e9", "on"):
            home.publish(SET, nonsense)
        home.publish("daflow/gate/armed/set", "OFF")
        home.publish("daflow/door/more/armed/set", "OFF")
        home.publish(SET, "OFF")
        eventually(lambda: home.last(STATE) == "OFF")


def test_the_last_alarm_is_labelled(
    bundle: Bundle, broker: Any, home: HomeAssistant, tmp_path: Path, eventually: Eventually
) -> None:
    state, set_ = "daflow/door/alarm/label", "daflow/door/alarm/label/set"
    with running(bundle, broker, tmp_path / "events.sqlite") as service:
        eventually(lambda: home.last("daflow/door/alarm") == "ON", 30)
        assert home.last(state) == "none"
        home.publish(set_, "false")
        eventually(lambda: home.last(state) == "false")
        (alarm,) = service.store.recent()
        assert (alarm["label"], alarm["labelled_by"]) == ("false", "MQTT")
        told = json.loads(home.last("daflow/door/alarm/labels") or "")
        assert (told["type"], told["alarm"], told["label"]) == ("alarm_label", alarm["id"], "false")
        for nonsense in ("", "FALSE", "yes"):
            home.publish(set_, nonsense)
        home.publish(
            SET, "OFF"
        )  # another begins, which is not delivered: the label is still of the one before
        eventually(lambda: home.last(STATE) == "OFF")
        eventually(lambda: [event["armed"] for event in service.store.recent(1)] == [False])
        home.publish(set_, "real")
        eventually(lambda: home.last(state) == "real")
        assert [event["label"] for event in service.store.recent()] == [None, "real"]
        home.publish(set_, "none")
        eventually(lambda: home.last(state) == "none")
        home.publish(set_, "real")
        eventually(lambda: home.last(state) == "real")
    before = len(home.heard)
    home.publish(set_, "false", retain=True)
    with running(bundle, broker, tmp_path / "events.sqlite"):
        eventually(lambda: len(home.heard) > before and home.last("daflow/available") == "online", 30)
        assert next(text for topic, text in home.heard[before:] if topic == state) == "real"
        eventually(lambda: home.last(STATE) == "OFF")
        home.publish(SET, "ON")
        eventually(lambda: home.last("daflow/door/alarm") == "ON")
        eventually(lambda: home.last(state) == "none")  # of the new alarm nothing was said yet


def test_the_switch_of_home_assistant_and_a_broker_that_may_not_command(
    bundle: Bundle, broker: Any, home: HomeAssistant, tmp_path: Path, eventually: Eventually
) -> None:
    topic = "homeassistant/switch/daflow_daflow/door_armed/config"
    with running(bundle, broker, tmp_path / "events.sqlite"):
        eventually(lambda: home.last(topic), 30)
        config = json.loads(home.last(topic) or "")
        assert (config["command_topic"], config["state_topic"]) == (SET, STATE)
        assert config["availability"] == [{"topic": "daflow/available"}]
        assert config["name"] == "Armed"
    schedule = {"armed": [], "time_zone": "Europe/Berlin"}
    with running(bundle, broker, tmp_path / "events.sqlite", commands=False, schedule=schedule) as service:
        eventually(lambda: home.last(topic) == "")
        eventually(lambda: home.last(STATE) == "OFF")
        home.publish(SET, "ON")
        eventually(lambda: service.health()["cameras"]["door"]["alarm"], 30)
        assert not service.health()["cameras"]["door"]["armed"]
        eventually(lambda: [event["armed"] for event in service.store.recent(1)] == [False])
        assert home.last("daflow/door/alarm") == "OFF"

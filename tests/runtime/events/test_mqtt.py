"""Against a real broker."""

from __future__ import annotations

import json
import logging
import re
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import ValidationError

from daflow.core.errors import InputError
from runtime.config.schema import MqttOptions
from runtime.events.announced_topics import AnnouncedTopics
from runtime.events.delivery import DeliveryFailed
from runtime.events.message import EventMessage
from runtime.events.mqtt import Mqtt
from runtime.events.mqtt_client import login_failure
from runtime.events.readable_id import readable_id
from runtime.events.sender import Sender
from runtime.events.store import EventStore

MakeMessage = Callable[..., EventMessage]
Eventually = Callable[..., None]
DEVICE = "daflow_shop_daflow_8594322e69"
"""A / of the topic cannot be in an id."""


class Listener:
    """Another client: remembers everything that the broker passes on, and asks again after a reconnect."""

    def __init__(self, broker: Any, password: str | None = None) -> None:
        self.heard: list[tuple[str, str, bool]] = []
        self.subscriptions = 0
        self._client = Client(CallbackAPIVersion.VERSION2)  # an id of its own: two of one name end each other
        if password:
            self._client.username_pw_set("daflow", password)
        if broker.ca.exists():
            self._client.tls_set(str(broker.ca))
        self._client.reconnect_delay_set(0.05, 0.1)  # type: ignore[arg-type]
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1) and None
        self._client.on_subscribe = self._subscribed
        self._client.on_message = lambda client, data, message: self.heard.append(
            (message.topic, message.payload.decode(), message.retain)
        )
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()

    def _subscribed(self, *_: object) -> None:
        self.subscriptions += 1

    def publish(self, topic: str, payload: str) -> None:
        self._client.publish(topic, payload, qos=1).wait_for_publish(5)

    def topic(self, topic: str) -> list[str]:
        return [payload for heard, payload, _ in list(self.heard) if heard == topic]

    def last(self) -> dict[str, str]:
        return {topic: payload for topic, payload, _ in list(self.heard)}

    def keys(self) -> list[str]:
        contents = [json.loads(text) for topic, text, _ in list(self.heard) if topic.endswith("/events")]
        return [f"{content['id']}-{content['sequence']}" for content in contents]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def listen(eventually: Eventually) -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def make(broker: Any, password: str | None = None) -> Listener:
        listener = Listener(broker, password)
        listeners.append(listener)
        eventually(lambda: listener.subscriptions)
        return listener

    yield make
    for listener in listeners:
        listener.close()


def connect(
    broker: Any,
    timeout: float = 10.0,
    cameras: Collection[str] = ("door", "hall"),
    announced: AnnouncedTopics | None = None,
    alarms_on: Collection[str] = (),
    **options: object,
) -> Mqtt:
    fields = {"host": "127.0.0.1", "port": broker.port, **options}
    return Mqtt(MqttOptions.model_validate(fields), cameras, timeout, announced, alarms_on)


def available(retained: dict[str, str], component: str = "binary_sensor", name: str = "door_alarm") -> bool:
    """Return whether Home Assistant would show an entity as available."""
    (config,) = [
        json.loads(text)
        for topic, text in retained.items()
        if topic.startswith(f"homeassistant/{component}/") and topic.endswith(f"/{name}/config") and text
    ]
    assert config["availability_mode"] == "all"
    states = []
    for where in config["availability"]:
        value = retained.get(where["topic"], "")
        if "value_template" in where:
            assert where["value_template"] == "{{ 'online' if value == 'streaming' else 'offline' }}"
            value = "online" if value == "streaming" else "offline"
        states.append(value == "online")
    return all(states)


def test_a_message_and_the_state_of_its_camera_arrive(
    broker: Any, listen: Callable[..., Listener], make_message: MakeMessage, eventually: Eventually
) -> None:
    listener = listen(broker)
    mqtt = connect(broker)
    begin, end = make_message(), make_message(sequence=1, kind="end", score=None)
    mqtt.deliver([begin])
    eventually(lambda: listener.topic("daflow/door/score"))
    assert listener.topic("daflow/door/events") == [begin.json()]
    assert listener.last()["daflow/door/alarm"] == "ON"
    assert listener.last()["daflow/hall/alarm"] == "OFF"
    assert listener.last()["daflow/door/score"] == "4.5"
    mqtt.deliver([end])
    eventually(lambda: listener.last()["daflow/door/alarm"] == "OFF")
    assert listener.topic("daflow/door/events") == [begin.json(), end.json()]
    assert listener.topic("daflow/available") == ["online"]
    mqtt.close()
    eventually(lambda: listener.topic("daflow/available") == ["online", "offline"])
    late = listen(broker)
    eventually(lambda: "daflow/hall/alarm" in late.last())
    retained = {topic: payload for topic, payload, retain in late.heard if retain}
    assert retained["daflow/available"] == "offline"
    assert retained["daflow/door/alarm"] == "OFF"
    assert "daflow/door/events" not in retained


def test_home_assistant_finds_the_cameras(
    broker: Any, listen: Callable[..., Listener], eventually: Eventually
) -> None:
    listener = listen(broker)
    mqtt = connect(broker, topic="shop/daflow")
    topic = f"homeassistant/binary_sensor/{DEVICE}/door_alarm/config"
    eventually(lambda: listener.topic("shop/daflow/available"))
    entity = json.loads(listener.last()[topic])
    assert entity["state_topic"] == "shop/daflow/door/alarm"
    assert entity["device_class"] == "safety"
    assert entity["device"]["identifiers"] == ["daflow_" + readable_id("shop/daflow", "door")]
    assert entity["availability_mode"] == "all"
    assert [where["topic"] for where in entity["availability"]] == [
        "shop/daflow/available", "shop/daflow/door/status",
    ]  # fmt: skip
    announced = {
        name: json.loads(payload)["unique_id"]
        for name, payload in listener.last().items()
        if "config" in name
    }
    assert len(announced) == len(set(announced.values())) == 10
    before = len(listener.topic(topic))
    listener.publish("homeassistant/status", "online")
    eventually(lambda: len(listener.topic(topic)) == before + 1)
    mqtt.close()


def test_without_discovery_home_assistant_is_left_alone(
    broker: Any, listen: Callable[..., Listener], eventually: Eventually
) -> None:
    listener = listen(broker)
    mqtt = connect(broker, discovery=False)
    eventually(lambda: listener.topic("daflow/available"))
    mqtt.close()
    assert not [topic for topic in listener.last() if topic.startswith("homeassistant")]


def outage(
    broker: Any,
    listener: Listener,
    store: EventStore,
    make: MakeMessage,
    eventually: Eventually,
    seconds: float,
) -> None:
    """Stop the broker until a delivery has failed, and for some seconds; check that all messages arrive in order."""
    store.register(["mqtt"])
    sent = [make(f"{number:032x}", kind="end", text="x" * 100) for number in range(200)]
    with Sender(store, connect(broker, timeout=0.5), first_wait=0.1, max_wait=1) as sender:
        store.append(*sent[:100])
        eventually(lambda: len(listener.keys()) > 10)
        broker.stop()
        store.append(*sent[100:])
        eventually(lambda: sender.statistics()["failures"] > 0)
        time.sleep(seconds)
        assert sender.statistics()["pending"] >= 100
        subscriptions = listener.subscriptions
        broker.start()
        eventually(lambda: listener.subscriptions > subscriptions or sender.drain(0))
        eventually(lambda: sender.statistics()["pending"] == 0, 60)
        eventually(lambda: listener.keys()[-1] == sent[-1].key)
    keys = listener.keys()
    unique = list(dict.fromkeys(keys))
    assert set(unique) <= {message.key for message in sent}
    assert unique == sorted(unique)
    assert unique[-100:] == [message.key for message in sent[100:]]
    assert len(keys) - len(unique) <= 1  # the one that was on its way when the broker stopped
    assert sender.statistics()["delivered"] == 200
    assert listener.last()["daflow/available"] == "offline"


def test_a_broker_that_is_stopped_for_a_while_loses_nothing(
    broker: Any,
    listen: Callable[..., Listener],
    store: EventStore,
    make_message: MakeMessage,
    eventually: Eventually,
) -> None:
    outage(broker, listen(broker), store, make_message, eventually, 0.0)


@pytest.mark.everything
def test_a_broker_that_is_stopped_for_a_minute_loses_nothing(
    broker: Any,
    listen: Callable[..., Listener],
    store: EventStore,
    make_message: MakeMessage,
    eventually: Eventually,
) -> None:
    outage(broker, listen(broker), store, make_message, eventually, 60.0)


def test_a_broker_that_freezes_is_noticed_and_nothing_is_sent_twice(
    broker: Any, listen: Callable[..., Listener], make_message: MakeMessage, eventually: Eventually
) -> None:
    listener = listen(broker)
    mqtt = connect(broker, timeout=0.5)
    mqtt.deliver([make_message()])
    broker.freeze()
    late = [make_message(sequence=1, kind="end")]
    for _ in range(2):
        with pytest.raises(DeliveryFailed, match="does not acknowledge"):
            mqtt.deliver(late)
    broker.freeze(signal.SIGCONT)
    mqtt.deliver(late)
    eventually(lambda: len(listener.keys()) == 2)
    mqtt.close()
    assert listener.keys() == [f"{'a' * 32}-0", f"{'a' * 32}-1"]


def test_closing_does_not_wait_for_a_frozen_broker(broker: Any, make_message: MakeMessage) -> None:
    mqtt = connect(broker)
    mqtt.deliver([make_message()])
    broker.freeze()
    closing = threading.Thread(target=mqtt.close, daemon=True)
    closing.start()
    closing.join(15)  # paho alone would wait for the broker until its keepalive of 30 s has passed
    assert not closing.is_alive()


def test_a_broker_that_is_not_there_is_said(mosquitto: Callable[..., Any], make_message: MakeMessage) -> None:
    broker = mosquitto()
    broker.stop()
    mqtt = connect(broker, timeout=0.5)
    with pytest.raises(
        DeliveryFailed, match=rf"127.0.0.1:{broker.port} is not connected: Connection refused"
    ):
        mqtt.deliver([make_message()])
    mqtt.close()


@pytest.mark.parametrize("tls", [False, True])
def test_with_a_password_and_with_tls(
    mosquitto: Callable[..., Any],
    listen: Callable[..., Listener],
    make_message: MakeMessage,
    eventually: Eventually,
    tmp_path: Path,
    tls: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    broker = mosquitto("hunter2", tls=tls)
    (tmp_path / "right").write_text("hunter2\n")
    (tmp_path / "wrong").write_text("hunter3\n")
    safe = {"tls": True, "ca_file": broker.ca} if tls else {}
    listener = listen(broker, "hunter2")
    right = connect(broker, username="daflow", password_file=tmp_path / "right", **safe)
    right.deliver([make_message()])
    eventually(lambda: len(listener.keys()) == 1)
    right.close()
    for options in ({"username": "daflow", "password_file": tmp_path / "wrong"}, {}):
        wrong = connect(broker, 1.0, **safe, **options)
        with pytest.raises(DeliveryFailed, match="Not authorized") as failed:
            wrong.deliver([make_message(sequence=1)])
        wrong.close()
        assert "hunter" not in str(failed.value)
    assert "hunter" not in caplog.text


# paho does not close the socket of a failed handshake; it goes with its last reference.
@pytest.mark.filterwarnings("ignore:.*unclosed <ssl.SSLSocket")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_certificate_of_somebody_else_is_refused(
    mosquitto: Callable[..., Any], make_message: MakeMessage
) -> None:
    broker, other = mosquitto(tls=True), mosquitto(tls=True)
    mqtt = connect(broker, 2.0, tls=True, ca_file=other.ca)
    with pytest.raises(DeliveryFailed, match=r"is not connected: .*certificate"):
        mqtt.deliver([make_message()])
    mqtt.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"password_env": "MQTT_PASSWORD"}, "no user name"),
        ({"tls": True, "ca_file": "/nowhere/ca.pem"}, "No such file"),
    ],
)
def test_options_that_cannot_be_used_are_refused(
    options: dict[str, object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "hunter2")
    with pytest.raises(InputError, match=said) as error:
        Mqtt(MqttOptions.model_validate({"host": "127.0.0.1", **options}), ["door"])
    assert "hunter2" not in error.value.message


def retained(broker: Any, listen: Callable[..., Listener], eventually: Eventually) -> dict[str, str]:
    """Return what the broker retains, as somebody who comes later sees it."""
    late = listen(broker)
    late.publish("end", "")
    eventually(lambda: late.topic("end"))
    return {topic: payload for topic, payload, retain in late.heard if retain}


def test_a_camera_is_available_only_while_it_streams(
    broker: Any, listen: Callable[..., Listener], eventually: Eventually
) -> None:
    listener = listen(broker)
    mqtt = connect(broker)
    eventually(lambda: listener.topic("daflow/available"))
    assert listener.last()["daflow/door/status"] == "connecting"
    assert not available(listener.last())
    for state in ("streaming", "frozen", "streaming", "black", "lost", "failed", "stalled", "ended"):
        mqtt.set_camera_states({"door": state, "hall": "streaming", "unknown": "lost"})
        eventually(lambda state=state: listener.last()["daflow/door/status"] == state)  # type: ignore[misc]
        assert available(listener.last()) == (state == "streaming")
        assert available(listener.last(), "sensor", "door_score") == (state == "streaming")
    eventually(lambda: available(listener.last(), name="hall_alarm"))
    told = len(listener.topic("daflow/door/status"))
    mqtt.set_camera_states({"door": "ended", "hall": "streaming"})
    mqtt.close()
    eventually(lambda: listener.last()["daflow/available"] == "offline")
    assert len(listener.topic("daflow/door/status")) == told + 1
    assert listener.last()["daflow/door/status"] == listener.last()["daflow/hall/status"] == "stopped"
    assert not [topic for topic in listener.last() if "unknown" in topic]


def test_a_state_that_changes_while_the_broker_is_away_is_told_later(
    broker: Any, listen: Callable[..., Listener], eventually: Eventually
) -> None:
    listener = listen(broker)
    mqtt = connect(broker)
    mqtt.set_camera_states({"door": "streaming"})
    eventually(lambda: listener.last().get("daflow/door/status") == "streaming")
    broker.stop()
    eventually(lambda: not mqtt._connected)
    mqtt.set_camera_states({"door": "lost"})
    broker.start()
    eventually(lambda: listener.last()["daflow/door/status"] == "lost", 40)
    mqtt.close()


@pytest.mark.parametrize("live", [True, False])
def test_a_camera_that_is_removed_leaves_nothing_behind(
    broker: Any,
    listen: Callable[..., Listener],
    store: EventStore,
    make_message: MakeMessage,
    eventually: Eventually,
    live: bool,
) -> None:
    mqtt = connect(broker, announced=AnnouncedTopics(store))
    mqtt.deliver([make_message()])
    assert len([topic for topic in retained(broker, listen, eventually) if "door" in topic]) == 9
    if live:
        mqtt.set_cameras(["hall"])
    else:
        mqtt.close()
        mqtt = connect(broker, announced=AnnouncedTopics(store), cameras=["hall"])
    # An event that waited is delivered, but retains nothing.
    mqtt.deliver([make_message(sequence=1, kind="end")])
    left = retained(broker, listen, eventually)
    assert not [topic for topic in left if "door" in topic]
    assert len([topic for topic in left if "hall" in topic]) == 8  # no score: it had no event
    eventually(lambda: mqtt.set_camera_states({}) or not any("door" in topic for topic in saved(store)))
    assert any("hall" in topic for topic in saved(store))
    mqtt.set_cameras(["hall", "door"])
    eventually(lambda: "daflow/door/alarm" in retained(broker, listen, eventually))
    assert any("door" in topic for topic in saved(store))
    mqtt.close()


def saved(store: EventStore) -> list[str]:
    (topics,) = store.get("mqtt.retained").values()
    return list(topics)


@pytest.mark.parametrize(
    "change",
    [{"topic": "other"}, {"discovery_prefix": "ha"}, {"discovery": False}],
)
def test_topics_that_are_not_used_any_more_are_emptied(
    broker: Any,
    listen: Callable[..., Listener],
    store: EventStore,
    eventually: Eventually,
    change: dict[str, object],
) -> None:
    connect_and_close(broker, store, eventually)
    before = set(retained(broker, listen, eventually))
    connect_and_close(broker, store, eventually, **change)
    after = set(retained(broker, listen, eventually))
    gone = {
        topic for topic in before if topic.startswith("daflow/" if "topic" in change else "homeassistant/")
    }
    assert gone
    assert not gone & after
    connect_and_close(broker, store, eventually)
    assert set(retained(broker, listen, eventually)) == before


def connect_and_close(broker: Any, store: EventStore, eventually: Eventually, **options: object) -> None:
    mqtt = connect(broker, announced=AnnouncedTopics(store), **options)
    eventually(lambda: mqtt._connected)
    mqtt.close()


def test_an_alarm_that_is_on_is_not_announced_as_off(
    broker: Any, listen: Callable[..., Listener], eventually: Eventually
) -> None:
    listener = listen(broker)
    mqtt = connect(broker, alarms_on=["door"])
    eventually(lambda: listener.topic("daflow/available"))
    assert (listener.last()["daflow/door/alarm"], listener.last()["daflow/hall/alarm"]) == ("ON", "OFF")
    mqtt.close()


def test_home_assistant_that_asks_without_end_is_answered_now_and_then(
    broker: Any, listen: Callable[..., Listener], eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.events.mqtt._ANNOUNCE_SECONDS", 0.5)
    listener = listen(broker)
    mqtt = connect(broker)
    eventually(lambda: listener.topic("daflow/available"))
    for _ in range(500):
        listener.publish("homeassistant/status", "online")
    listener.publish("end", "")
    eventually(lambda: listener.topic("end"))
    asked_until = time.monotonic()
    eventually(lambda: time.monotonic() - asked_until > 1)  # the last one is answered too
    told = len(listener.topic("daflow/available"))
    assert 2 <= told <= 60  # at the start, and once in half a second
    mqtt.close()


def test_a_broker_that_acknowledges_nothing_fills_no_memory(
    dripping_server: Callable[..., Any], make_message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.events.mqtt_client.MAX_QUEUED", 50)
    accepted = b"\x20\x02\x00\x00"  # CONNACK, and then nothing
    mqtt = connect(dripping_server(accepted, b""), timeout=0.3)
    for number in range(100):
        mqtt.set_camera_states({"door": f"state {number}"})
        time.sleep(0.005)
    for _ in range(3):
        with pytest.raises(DeliveryFailed, match="acknowledge"):
            mqtt.deliver([make_message()])
    assert len(mqtt._client._out_messages) <= 50
    mqtt.close()


# As above: paho leaves the socket of a handshake that failed.
@pytest.mark.filterwarnings("ignore:.*unclosed <")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("drip", [b"", b"\x20"])
def test_a_broker_that_never_lets_us_in_is_a_failed_delivery(
    dripping_server: Callable[..., Any],
    store: EventStore,
    make_message: MakeMessage,
    eventually: Eventually,
    tls: bool,
    drip: bytes,
) -> None:
    server = dripping_server(b"\x16\x03\x03\x40\x00" if tls else b"\x20\x7f", drip if tls else b"")
    store.register(["mqtt"])
    with Sender(store, connect(server, timeout=0.5, tls=tls), first_wait=0.05, max_wait=0.1) as sender:
        store.append(make_message())
        eventually(lambda: sender.statistics()["failures"] >= 2)
        statistics = sender.statistics()
    assert "is not connected" in statistics["last_error"]
    assert statistics["pending"] == 1


def test_a_wrong_password_is_told_at_once(
    mosquitto: Callable[..., Any],
    make_message: MakeMessage,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    eventually: Eventually,
) -> None:
    broker = mosquitto("hunter2")
    (tmp_path / "wrong").write_text("hunter3")
    options = {"username": "daflow", "password_file": tmp_path / "wrong"}
    mqtt = connect(broker, 600.0, **options)
    with pytest.raises(DeliveryFailed, match="is not connected: Not authorized"):
        mqtt.deliver([make_message()])
    eventually(lambda: "does not let daflow-edge in: Not authorized" in caplog.text)
    mqtt.close()
    assert "hunter" not in caplog.text
    failure = login_failure(
        MqttOptions.model_validate({"host": "127.0.0.1", "port": broker.port, **options}), 10
    )
    assert failure is not None
    assert (failure.reason, failure.refused) == ("Not authorized", True)


def test_a_login_that_succeeds_leaves_no_trace(
    mosquitto: Callable[..., Any], listen: Callable[..., Listener], eventually: Eventually, tmp_path: Path
) -> None:
    broker = mosquitto("hunter2", tls=True)
    (tmp_path / "right").write_text("hunter2")
    listener = listen(broker, "hunter2")
    fields = {
        "host": "127.0.0.1", "port": broker.port, "username": "daflow", "password_file": tmp_path / "right",
        "tls": True, "ca_file": broker.ca,
    }  # fmt: skip
    assert login_failure(MqttOptions.model_validate(fields), 10) is None
    assert listener.heard == []


@pytest.mark.parametrize(
    "topic",
    [
        "daflow/#",
        "/daflow",
        "daflow/",
        "home+",
        "$SYS",
        "a\nb",
        "a\x00b",
        "a\u2028b",
        "x" * 70_000,
        "客" * 100,
        "",
    ],
)
@pytest.mark.parametrize("field", ["topic", "discovery_prefix"])
def test_what_is_no_topic_is_refused(topic: str, field: str) -> None:
    with pytest.raises(ValidationError, match=r"first part of a topic|at least 1 character"):
        MqttOptions.model_validate({"host": "127.0.0.1", field: topic})


def test_a_topic_may_have_any_letters(
    broker: Any, listen: Callable[..., Listener], make_message: MakeMessage, eventually: Eventually
) -> None:
    listener = listen(broker)
    devices = [
        connect(broker, cameras=["Küche 1", "客厅"], topic=topic) for topic in ("客厅", "卧室", "a/b", "a_b")
    ]
    devices[0].deliver([make_message(camera="客厅")])
    eventually(lambda: listener.last().get("客厅/客厅/alarm") == "ON")
    eventually(lambda: len([topic for topic in listener.last() if topic.endswith("/available")]) == 4)
    configs = {
        topic: json.loads(text) for topic, text in listener.last().items() if topic.endswith("/config")
    }
    assert len(configs) == 4 * 2 * 5
    assert len({config["unique_id"] for config in configs.values()}) == 40
    assert len({config["device"]["identifiers"][0] for config in configs.values()}) == 8
    assert all(
        re.fullmatch(r"homeassistant/\w+/[A-Za-z0-9_-]+/[A-Za-z0-9_-]+/config", topic, re.ASCII)
        for topic in configs
    )
    for device in devices:
        device.close()

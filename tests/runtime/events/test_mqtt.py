"""Against a real broker."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from daflow.core.errors import InputError
from runtime.config.schema import MqttOptions
from runtime.events.delivery import DeliveryFailed
from runtime.events.message import EventMessage
from runtime.events.mqtt import Mqtt
from runtime.events.sender import Sender
from runtime.events.store import EventStore

MakeMessage = Callable[..., EventMessage]
Eventually = Callable[..., None]


class Listener:
    """Another client: remembers everything that the broker passes on, and asks again after a reconnect."""

    def __init__(self, broker: Any, password: str | None = None) -> None:
        self.heard: list[tuple[str, str, bool]] = []
        self.subscriptions = 0
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="listener")
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
def broker(mosquitto: Callable[..., Any]) -> Any:
    return mosquitto()


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


def connect(broker: Any, timeout: float = 10.0, **options: object) -> Mqtt:
    fields = {"host": "127.0.0.1", "port": broker.port, **options}
    return Mqtt(MqttOptions.model_validate(fields), ["door", "hall"], timeout)


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
    topic = "homeassistant/binary_sensor/daflow_shop_daflow/door_alarm/config"
    eventually(lambda: listener.topic("shop/daflow/available"))
    entity = json.loads(listener.last()[topic])
    assert entity["state_topic"] == "shop/daflow/door/alarm"
    assert entity["availability_topic"] == "shop/daflow/available"
    assert entity["device_class"] == "safety"
    assert entity["device"]["identifiers"] == ["daflow_shop_daflow"]
    announced = {
        name: json.loads(payload)["unique_id"]
        for name, payload in listener.last().items()
        if "config" in name
    }
    assert len(announced) == len(set(announced.values())) == 4
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
        ({"topic": "daflow/#"}, "topic 'daflow/#' is invalid"),
        ({"topic": "/daflow"}, "is invalid"),
        ({"discovery_prefix": "home+"}, "discovery_prefix"),
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

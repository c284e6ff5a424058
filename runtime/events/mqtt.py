"""Publishes messages to an MQTT broker, with the state of each camera, and announces the cameras to Home Assistant."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from runtime.config.schema import MqttOptions
from runtime.events.announced_topics import AnnouncedTopics
from runtime.events.camera_topics import PARTS, CameraTopics, Command
from runtime.events.delivery import DeliveryFailed
from runtime.events.home_assistant_discovery import announcements
from runtime.events.labels import NO_LABEL, LabelledAlarm
from runtime.events.message import EventMessage, MessageType
from runtime.events.mqtt_client import KEEPALIVE_S, LoginFailure, handled_failure, make_client, stop_client

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

logger = logging.getLogger(__name__)

_MAX_RECONNECT_S = 30
_QUEUE_IS_FULL = 15  # paho's MQTT_ERR_QUEUE_SIZE
_ANNOUNCE_SECONDS = 5.0
"""Between two announcements that Home Assistant asks for: whoever may publish to the broker can ask without end."""


MESSAGE_TOPICS: Mapping[MessageType, str] = {
    "alarm": "events", "alarm_label": "alarm/labels", "camera_state": "states", "device_state": "states",
}  # fmt: skip
"""Where messages are published by type, below the topic of their camera, or of the device."""


class Mqtt:
    """Publishes with quality of service 1; a message is delivered when the broker has acknowledged it.

    Messages are published to `TOPIC/CAMERA/events`, those that are of no alarm to the topics of `MESSAGE_TOPICS`; in
    place of an `alarm_evidence` the picture of the alarm to `TOPIC/CAMERA/alarm/picture`, which is retained. The values
    of `CameraTopics` and `TOPIC/available` (`online`, or `offline` as last will) are retained. The retained topics of a
    camera that is removed are emptied. It reconnects by itself.

    Args:
        options: the section `mqtt` of the configuration, with a host.
        cameras: the names of the cameras.
        timeout: seconds to wait for the connection, and for each acknowledgement.
        announced: the topics that were published earlier; those that are not published any more are emptied.
        alarms_on: cameras whose alarm is on.
        labels: the last alarm of each camera, and what was said of it.
        commands: called by another thread with a camera and what was published at its topic, by the topic below that
            of the camera, such as `armed/set`.
        page: the address of the live page, for Home Assistant; None when it is not known.
        picture: returns the GIF of the alarm of an `alarm_evidence` message; None publishes no pictures.

    Raises:
        InputError: the password or the certificate cannot be used, or paho-mqtt is missing.
    """

    name = "mqtt"

    def __init__(
        self,
        options: MqttOptions,
        cameras: Collection[str],
        timeout: float = 10.0,
        announced: AnnouncedTopics | None = None,
        alarms_on: Collection[str] = (),
        labels: Mapping[str, LabelledAlarm] = MappingProxyType({}),
        commands: Mapping[str, Command] = MappingProxyType({}),
        page: str | None = None,
        picture: Callable[[EventMessage], bytes | None] | None = None,
    ) -> None:
        self._options = options
        self._page = page
        self.pictures = options.pictures and picture is not None
        self._picture = picture
        self._commands = commands if options.commands else {}
        self._timeout = timeout
        self._changed = threading.Condition()
        self._connected = False
        self._closed = False
        self._problem = "no answer yet"
        self._failed = False
        """Whether the last try to connect has failed."""
        self._acknowledged: set[int] = set()
        self._emptying: dict[int, str] = {}
        """Topics whose empty message the broker has not acknowledged, by its id."""
        self._emptied: set[str] = set()
        self._sent: tuple[str, set[int]] | None = None
        # Held while what is published is read and published, so that an older state never follows a newer one. Never
        # taken in `_on_publish`, which paho calls with a lock of its own that publishing needs.
        self._publishing = threading.RLock()
        self._announced = announced or AnnouncedTopics()
        self._cameras = {name: CameraTopics("ON" if name in alarms_on else "OFF") for name in cameras}
        for name in self._cameras.keys() & labels:
            camera = self._cameras[name]
            camera.last_alarm, camera.label = labels[name].id, labels[name].label or NO_LABEL
        self._announced_at = -_ANNOUNCE_SECONDS
        self._announce_later: threading.Timer | None = None
        self._client = self._make_client()
        self._client.connect_async(options.host or "", options.port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    def deliver(self, messages: Sequence[EventMessage]) -> None:
        """Publish one message after the other, each when the one before is acknowledged, so that the order is kept.

        A message that an earlier try published, but whose acknowledgement did not come in time, is not published again.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._connected or self._closed or self._failed, self._timeout)
            if not self._connected:
                raise DeliveryFailed(f"{self._broker} is not connected: {self._problem}")
        for done, message in enumerate(messages):
            if self._sent is None or self._sent[0] != message.key:
                with self._changed:
                    self._acknowledged.clear()  # of announcements; message ids are reused
                ids = self._publish_message(message)
                if ids is None:
                    raise DeliveryFailed(
                        f"{self._broker} acknowledges nothing, and too much waits for it", delivered=done
                    )
                self._sent = message.key, ids
            ids = self._sent[1]
            with self._changed:
                self._changed.wait_for(partial(self._settled, ids), self._timeout)
                if not ids <= self._acknowledged:
                    raise DeliveryFailed(f"{self._broker} does not acknowledge the message", delivered=done)
                self._acknowledged.clear()
            self._sent = None

    def set_cameras(self, cameras: Collection[str]) -> None:
        """Announce these cameras and no others: the retained topics of those that are missing are emptied."""
        with self._publishing:
            self._cameras = {name: self._cameras.get(name) or CameraTopics() for name in cameras}
            if self._is_connected():
                self._announce()

    def set_camera_states(self, states: Mapping[str, str]) -> None:
        """Publish the states of cameras that have changed; called often."""
        with self._publishing:
            for name, state in states.items():
                camera = self._cameras.get(name)
                if camera is None or camera.status == state:
                    continue
                camera.status = state
                if self._is_connected() and self._publish(f"{name}/status", state) is None:
                    self._announce_again()
            self._forget_emptied()

    def set_armed(self, armed: Mapping[str, bool]) -> None:
        """Publish which cameras are armed, where that has changed; called often."""
        with self._publishing:
            for name, value in armed.items():
                camera = self._cameras.get(name)
                if camera is None or camera.armed == value:
                    continue
                camera.armed = value
                state = "ON" if value else "OFF"
                if self._is_connected() and self._publish(f"{name}/armed/state", state) is None:
                    self._announce_again()

    def close(self) -> None:
        """Publish that this device and its cameras are offline, if the broker answers, and disconnect."""
        with self._changed:
            connected, self._closed = self._connected, True
            self._changed.notify_all()
        with self._publishing:
            if self._announce_later is not None:
                self._announce_later.cancel()
        if connected:
            with self._publishing:
                for name in self._cameras:
                    self._publish(f"{name}/status", "stopped")
                offline = self._publish("available", "offline")
            with self._changed:
                self._changed.wait_for(lambda: offline in self._acknowledged, 2.0)
            self._forget_emptied()
            self._client.disconnect()
            with self._changed:
                self._changed.wait_for(lambda: not self._connected, 1.0)
        stop_client(self._client, 1.0)

    def _settled(self, ids: set[int]) -> bool:
        return self._closed or ids <= self._acknowledged

    @property
    def _broker(self) -> str:
        return f"{self._options.host}:{self._options.port}"

    def _is_connected(self) -> bool:
        with self._changed:
            return self._connected and not self._closed

    def _make_client(self) -> Client:
        client = make_client(self._options, self._timeout)
        client.will_set(f"{self._options.topic}/available", "offline", qos=1, retain=True)
        client.reconnect_delay_set(1, _MAX_RECONNECT_S)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _publish(self, topic: str, payload: str | bytes, *, retain: bool = True) -> int | None:
        """Publish under our topic; return the message id that the broker acknowledges, None when too much waits."""
        return self._publish_to(f"{self._options.topic}/{topic}", payload, retain=retain)

    def _publish_to(self, topic: str, payload: str | bytes, *, retain: bool = True) -> int | None:
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        return None if info.rc == _QUEUE_IS_FULL else info.mid

    def _publish_message(self, message: EventMessage) -> set[int] | None:
        """Publish a message and what it says of its camera; return the message ids, None when too much waits."""
        if message.type == "alarm_evidence":
            return self._publish_picture(message)
        with self._publishing:
            topic = "/".join(filter(None, (message.camera, MESSAGE_TOPICS[message.type])))
            ids = [self._publish(topic, message.json(), retain=False)]
            camera = self._cameras.get(message.camera)
            if camera is not None:  # of a camera that was removed nothing is retained any more
                ids += [
                    self._publish(f"{message.camera}/{part}", text) for part, text in camera.take(message)
                ]
        known = {number for number in ids if number is not None}
        return known if len(known) == len(ids) else None

    def _publish_picture(self, message: EventMessage) -> set[int] | None:
        """Publish the picture of an alarm, if there is one; return the message id, None when too much waits."""
        picture = self._picture(message) if self._picture else None
        with self._publishing:
            if picture is None or message.camera not in self._cameras:
                return set()
            number = self._publish(f"{message.camera}/alarm/picture", picture)
        return None if number is None else {number}

    def _announce(self) -> None:
        """Empty the topics of cameras that are gone, announce the others and publish their states."""
        with self._publishing:
            discovery = dict(self._discovery())
            topics = {*discovery, *self._retained_topics()}
            stale = self._announced.of(self._broker) - topics
            self._announced.add(self._broker, topics)
            # Home Assistant's topics first: it would read an empty state as unknown.
            prefix = f"{self._options.discovery_prefix}/"
            for topic in sorted(stale, key=lambda topic: (not topic.startswith(prefix), topic)):
                self._empty(topic)
            for topic, payload in discovery.items():
                self._publish_to(topic, payload)
            for name, camera in self._cameras.items():
                for part, text in camera.values():
                    self._publish(f"{name}/{part}", text)
            self._publish("available", "online")

    def _discovery(self) -> Iterator[tuple[str, str]]:
        options = self._options
        if options.discovery:
            yield from announcements(
                options.topic,
                options.discovery_prefix,
                list(self._cameras),
                self._commands,
                self._page,
                self.pictures,
            )

    def _retained_topics(self) -> Iterator[str]:
        topic = self._options.topic
        yield f"{topic}/available"
        for name in self._cameras:
            for part in (*PARTS, *(["alarm/picture"] if self.pictures else [])):
                yield f"{topic}/{name}/{part}"

    def _empty(self, topic: str) -> None:
        """Remove what the broker retains of a topic."""
        number = self._publish_to(topic, "")
        if number is None:
            return
        with self._changed:
            if number in self._acknowledged:
                self._emptied.add(topic)
            else:
                self._emptying[number] = topic

    def _forget_emptied(self) -> None:
        """Remove the topics that the broker has emptied from those that were announced."""
        with self._changed:
            emptied, self._emptied = self._emptied, set()
        if emptied:
            published = {*dict(self._discovery()), *self._retained_topics()}
            self._announced.remove(self._broker, emptied - published)

    def _announce_again(self) -> None:
        """Announce the cameras once more, but not more often than every few seconds."""
        with self._publishing:
            if self._closed or (self._announce_later is not None and self._announce_later.is_alive()):
                return
            wait = self._announced_at + _ANNOUNCE_SECONDS - time.monotonic()
            if wait > 0:
                self._announce_later = threading.Timer(wait, self._announce_if_connected)
                self._announce_later.daemon = True
                self._announce_later.start()
            else:
                self._announce_if_connected()

    def _announce_if_connected(self) -> None:
        with self._publishing:
            if self._is_connected():
                self._announced_at = time.monotonic()
                self._announce()

    # Called by paho's thread

    def _on_connect(
        self, client: Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            self._on_failure(LoginFailure(str(reason), refused=True))
            return
        if self._options.discovery:
            client.subscribe(f"{self._options.discovery_prefix}/status", qos=1)
        for topic in self._commands:
            client.subscribe(f"{self._options.topic}/+/{topic}", qos=1)
        with self._publishing:  # a state that changes meanwhile is published after this
            self._announce()
            with self._changed:
                self._connected, self._failed, self._problem = True, False, ""
                self._changed.notify_all()

    def _on_connect_fail(self, _client: Client, _userdata: Any) -> None:
        self._on_failure(handled_failure())

    def _on_failure(self, failure: LoginFailure) -> None:
        with self._changed:
            new = self._problem != failure.reason
            self._connected, self._failed, self._problem = False, True, failure.reason
            self._changed.notify_all()
        if new and failure.refused and not self._closed:
            logger.warning("mqtt: %s does not let daflow-edge in: %s", self._broker, failure.reason)

    def _on_disconnect(
        self, _client: Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        with self._changed:
            if (
                self._connected
            ):  # after a refused connection the reason is only that it ended: keep the earlier one
                self._problem = f"the connection ended ({reason})"
            self._connected = False
            self._changed.notify_all()

    def _on_publish(self, _client: Client, _userdata: Any, mid: int, _reason: Any, _properties: Any) -> None:
        with self._changed:
            self._acknowledged.add(mid)
            topic = self._emptying.pop(mid, None)
            if topic is not None:
                self._emptied.add(topic)
            self._changed.notify_all()

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        """Take a command, or announce the cameras again after a restart of Home Assistant, which forgets them."""
        name, _, topic = message.topic.removeprefix(f"{self._options.topic}/").partition("/")
        if topic in self._commands:
            # One that the broker retains would be obeyed again at each connection, long after it was given.
            if name in self._cameras and not message.retain:
                self._commands[topic](name, bytes(message.payload))
            return
        if message.payload == b"online" and not message.retain:
            self._announce_again()

"""Publishes messages to an MQTT broker, and announces the cameras to Home Assistant."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import ssl
import sys
import threading
import uuid
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from daflow.core.errors import InputError, unusable_package
from runtime.config.schema import MqttOptions
from runtime.config.secrets import read_secret
from runtime.events.delivery import DeliveryFailed
from runtime.events.home_assistant_discovery import announcements
from runtime.events.message import EventMessage

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.reasoncodes import ReasonCode

logger = logging.getLogger(__name__)

_KEEPALIVE = 30  # seconds
_MAX_RECONNECT = 30  # seconds


class Mqtt:
    """Publishes with quality of service 1; a message is delivered when the broker has acknowledged it.

    Messages are published to `TOPIC/CAMERA/events`. `TOPIC/CAMERA/alarm` (`ON` or `OFF`), `TOPIC/CAMERA/score` and
    `TOPIC/available` (`online`, or `offline` as last will) are retained. It reconnects by itself.

    Args:
        options: the section `mqtt` of the configuration, with a host.
        cameras: the names of the cameras.
        timeout: seconds to wait for the connection, and for each acknowledgement.

    Raises:
        InputError: the password, the certificate or the topic cannot be used, or paho-mqtt is missing.
    """

    name = "mqtt"

    def __init__(self, options: MqttOptions, cameras: Sequence[str], timeout: float = 10.0) -> None:
        for what, text in (("topic", options.topic), ("discovery_prefix", options.discovery_prefix)):
            if re.search(r"[#+\x00]|^/|/$|^\$", text) or not text:
                raise InputError(
                    f"The MQTT {what} {text!r} is invalid: no # or +, no $ or / at its start, no / at its end."
                )
        self._options = options
        self._cameras = list(cameras)
        self._timeout = timeout
        self._changed = threading.Condition()
        self._connected = False
        self._closed = False
        self._problem = "no answer yet"
        self._acknowledged: set[int] = set()
        self._sent: tuple[str, set[int]] | None = None
        self._states = dict.fromkeys(cameras, ("OFF", ""))
        self._client = self._make_client()
        self._client.connect_async(options.host or "", options.port, keepalive=_KEEPALIVE)
        self._client.loop_start()

    def deliver(self, messages: Sequence[EventMessage]) -> None:
        """Publish one message after the other, each when the one before is acknowledged, so that the order is kept.

        A message that an earlier try published, but whose acknowledgement did not come in time, is not published again.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._connected or self._closed, self._timeout)
            if not self._connected:
                raise DeliveryFailed(f"{self._broker} is not connected: {self._problem}")
        for done, message in enumerate(messages):
            if self._sent is None or self._sent[0] != message.key:
                with self._changed:
                    self._acknowledged.clear()  # of announcements; message ids are reused
                self._sent = message.key, self._publish_message(message)
            ids = self._sent[1]
            with self._changed:
                self._changed.wait_for(partial(self._settled, ids), self._timeout)
                if not ids <= self._acknowledged:
                    raise DeliveryFailed(f"{self._broker} does not acknowledge the message", delivered=done)
                self._acknowledged.clear()
            self._sent = None

    def close(self) -> None:
        """Publish that this device is offline, if the broker answers, and disconnect."""
        with self._changed:
            connected, self._closed = self._connected, True
            self._changed.notify_all()
        if connected:
            offline = self._publish("available", "offline")
            with self._changed:
                self._changed.wait_for(lambda: offline in self._acknowledged, 2.0)
            self._client.disconnect()
            with self._changed:
                disconnected = self._changed.wait_for(lambda: not self._connected, 1.0)
            if not disconnected and isinstance(connection := self._client.socket(), socket.socket):
                # paho would wait for a broker that does not answer.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def _settled(self, ids: set[int]) -> bool:
        return self._closed or ids <= self._acknowledged

    @property
    def _broker(self) -> str:
        return f"{self._options.host}:{self._options.port}"

    def _make_client(self) -> Client:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise unusable_package(error, "paho-mqtt", "edge") from error
        options = self._options
        client = Client(CallbackAPIVersion.VERSION2, client_id=f"daflow-{uuid.uuid4().hex[:12]}")
        password = read_secret("the password of the MQTT broker", options.password_file, options.password_env)
        if options.username:
            client.username_pw_set(options.username, password.reveal() if password else None)
        elif password:
            raise InputError("There is a password for the MQTT broker but no user name. Set mqtt.username.")
        if options.tls:
            try:
                client.tls_set(str(options.ca_file) if options.ca_file else None)
            except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
                raise InputError(
                    f"Cannot use {options.ca_file} as the certificate authority of the MQTT broker: {error}."
                ) from error
        client.will_set(f"{options.topic}/available", "offline", qos=1, retain=True)
        client.reconnect_delay_set(1, _MAX_RECONNECT)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _publish(self, topic: str, payload: str, *, retain: bool = True) -> int:
        """Publish under our topic; return the message id that the broker acknowledges."""
        return self._client.publish(f"{self._options.topic}/{topic}", payload, qos=1, retain=retain).mid

    def _publish_message(self, message: EventMessage) -> set[int]:
        score = message.content.get("score")
        state = "OFF" if message.kind == "end" else "ON"
        self._states[message.camera] = state, "" if score is None else str(score)
        return {
            self._publish(f"{message.camera}/events", message.json(), retain=False),
            *self._publish_state(message.camera),
        }

    def _publish_state(self, camera: str) -> set[int]:
        alarm, score = self._states[camera]
        ids = {self._publish(f"{camera}/alarm", alarm)}
        if score:
            ids.add(self._publish(f"{camera}/score", score))
        return ids

    def _announce(self) -> None:
        """Announce the cameras to Home Assistant, and publish their states."""
        if self._options.discovery:
            for topic, payload in announcements(
                self._options.topic, self._options.discovery_prefix, self._cameras
            ):
                self._client.publish(topic, payload, qos=1, retain=True)
        for camera in list(self._states):
            self._publish_state(camera)
        self._publish("available", "online")

    # Called by paho's thread

    def _on_connect(
        self, client: Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        if reason.is_failure:
            self._set_connected(connected=False, problem=str(reason))
            return
        if self._options.discovery:
            client.subscribe(f"{self._options.discovery_prefix}/status", qos=1)
        self._announce()
        self._set_connected(connected=True, problem="")

    def _on_connect_fail(self, _client: Client, _userdata: Any) -> None:
        # paho calls this while it handles the error, and does not pass it on.
        error = sys.exc_info()[1]
        text = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else None
        text = text or (error.strerror if isinstance(error, OSError) else None) or str(error)
        self._set_connected(connected=False, problem=text)

    def _on_disconnect(
        self, _client: Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        # After a refused connection the reason is only that it ended: keep the earlier one.
        problem = f"the connection ended ({reason})" if self._connected else self._problem
        self._set_connected(connected=False, problem=problem)

    def _on_publish(self, _client: Client, _userdata: Any, mid: int, _reason: Any, _properties: Any) -> None:
        with self._changed:
            self._acknowledged.add(mid)
            self._changed.notify_all()

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        """Announce the cameras again after a restart of Home Assistant, which forgets them."""
        if message.payload == b"online" and not message.retain:
            self._announce()

    def _set_connected(self, *, connected: bool, problem: str) -> None:
        with self._changed:
            self._connected, self._problem = connected, problem
            self._changed.notify_all()

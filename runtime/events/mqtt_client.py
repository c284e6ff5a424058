"""The connection to an MQTT broker: with its user, its password and its certificate, and whether it lets us in."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daflow.core.errors import InputError, unusable_package
from runtime.config.schema import MqttOptions
from runtime.config.secrets import read_secret

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

KEEPALIVE_S = 30
"""A connection on which nothing comes for so long is given up, also one that was never accepted."""
MAX_QUEUED = 5_000
"""Messages that may wait for the broker in memory: far more than the states of a thousand cameras."""


@dataclass(frozen=True)
class LoginFailure:
    """Why a broker cannot be used.

    Attributes:
        reason: in words, without secrets.
        refused: the broker answers, but not to us: another password, user or certificate is needed.
    """

    reason: str
    refused: bool


def make_client(options: MqttOptions, connect_seconds: float) -> Client:
    """Return a client that is not connected yet.

    Args:
        options: the section `mqtt` of the configuration, with a host.
        connect_seconds: for the connection, and again for the handshake of TLS.

    Raises:
        InputError: the password or the certificate cannot be used, or paho-mqtt is missing.
    """
    try:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion
    except ImportError as error:
        raise unusable_package(error, "paho-mqtt", "edge") from error
    client = Client(CallbackAPIVersion.VERSION2, client_id=f"daflow-{uuid.uuid4().hex[:12]}")
    client.connect_timeout = connect_seconds
    client.max_queued_messages_set(MAX_QUEUED)
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
    return client


def handled_failure() -> LoginFailure:
    """Return why a connection failed; for paho's callback, which is not told but is called while it is handled."""
    error = sys.exc_info()[1]
    if isinstance(error, ssl.SSLCertVerificationError):
        return LoginFailure(f"its certificate is not valid: {error.verify_message}", refused=True)
    if isinstance(error, TimeoutError):
        return LoginFailure("timed out", refused=False)
    text = error.strerror if isinstance(error, OSError) else None
    return LoginFailure(text or str(error) or type(error).__name__, refused=isinstance(error, ssl.SSLError))


def stop_client(client: Client, seconds: float) -> None:
    """End the connection and the thread of a client; paho alone would wait for a broker that does not answer."""
    if isinstance(connection := client.socket(), socket.socket):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    stopping = threading.Thread(target=client.loop_stop, name="mqtt-stop", daemon=True)
    stopping.start()
    stopping.join(seconds)


def login_failure(options: MqttOptions, seconds: float | None) -> LoginFailure | None:
    """Log in at a broker and out again; return why that failed, None when it did not.

    Args:
        options: the section `mqtt` of the configuration, with a host.
        seconds: for everything; None only checks the options.

    Raises:
        InputError: the password or the certificate cannot be used, or paho-mqtt is missing.
    """
    client = make_client(options, seconds or 1.0)
    if seconds is None:
        return None
    answered = threading.Event()
    found: list[LoginFailure | None] = []

    def on_connect(_client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        found.append(LoginFailure(str(reason), refused=True) if reason.is_failure else None)
        answered.set()

    def on_connect_fail(_client: Client, _data: Any) -> None:
        found.append(handled_failure())
        answered.set()

    client.on_connect, client.on_connect_fail = on_connect, on_connect_fail
    client.connect_async(options.host or "", options.port, keepalive=KEEPALIVE_S)
    client.loop_start()
    in_time = answered.wait(seconds)
    client.disconnect()
    stop_client(client, 1.0)
    return found[0] if in_time else LoginFailure("does not answer the login in time", refused=False)

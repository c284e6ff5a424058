"""The checks of what events are sent to: the MQTT broker, the web server, and services that tell people."""

from __future__ import annotations

import ssl

from daflow.core.errors import InputError
from runtime.config.notify import notify_addresses
from runtime.config.schema import Config
from runtime.config.secrets import read_secret
from runtime.deadline import Deadline, connect
from runtime.doctor.findings import Finding
from runtime.events.mqtt_client import login_failure
from runtime.events.notify import open_service
from runtime.events.webhook import failure_reason, tls_context, web_address

_CONNECT_S = 5.0  # for connection, TLS and login


def broker(config: Config, connect: bool = True) -> Finding:
    """The MQTT broker: its password and certificate, and whether it lets daflow-edge log in."""
    options, name = config.mqtt, "MQTT broker"
    shown = f"{options.host}, port {options.port}"
    try:
        failure = login_failure(options, _CONNECT_S if connect else None)
    except InputError as error:
        return Finding(name, "problem", error.message)
    if failure is None:
        return Finding(name, "ok", f"{shown} accepts the login" if connect else shown)
    if failure.refused:
        advice = "Check mqtt.username, the password, mqtt.tls and mqtt.ca_file; until then events wait in the store"
        return Finding(name, "problem", f"{shown}: {failure.reason}", advice)
    return _away(name, f"{shown}: {failure.reason}")


def webhook(config: Config, connect: bool = True) -> Finding:
    """The web server that events are posted to: its secret and certificate, and whether it can be connected to."""
    options, name = config.webhook, "webhook"
    try:
        read_secret("the secret of the webhook", options.secret_file, options.secret_env)
        address = web_address(options.url or "")
        context = tls_context(options.ca_file) if address.tls else None
    except InputError as error:
        return Finding(name, "problem", error.message)
    shown = f"{address.host}, port {address.port}"
    if not connect:
        return Finding(name, "ok", shown)
    try:
        _try_connection(address.host, address.port, context)
    except ssl.SSLError as error:
        advice = "Check webhook.url and webhook.ca_file; until then events wait in the store"
        return Finding(name, "problem", f"{shown}: {failure_reason(error)}", advice)
    except (OSError, UnicodeError) as error:
        return _away(name, f"{shown}: {failure_reason(error)}")
    return Finding(name, "ok", f"{shown} answers")


def notify(config: Config) -> Finding:
    """The services that people are told by: whether apprise is there and knows their addresses; nothing is sent."""
    try:
        addresses = notify_addresses(config.notify)
        for number, address in enumerate(addresses, start=1):
            open_service(f"notify-{number}", address)
    except InputError as error:
        return Finding("notify", "problem", error.message)
    schemes = ", ".join(address.partition("://")[0] for address in addresses)
    return Finding("notify", "ok", schemes or "no address")


def _try_connection(host: str, port: int, context: ssl.SSLContext | None) -> None:
    connect(host, port, Deadline(_CONNECT_S), context).close()


def _away(name: str, found: str) -> Finding:
    """A receiver that does not answer; meanwhile the events wait in the store, so that is only a warning."""
    advice = "Check that it is on, and that its address is right; events wait in the store until it answers"
    return Finding(name, "warning", found, advice)

"""Posts messages to a server, with a signature that proves who sent them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from daflow.core.errors import InputError
from runtime.config.schema import WebhookOptions
from runtime.config.secrets import Secret, read_secret
from runtime.deadline import Deadline, http_request
from runtime.events.delivery import DeliveryFailed
from runtime.events.message import EventMessage
from runtime.sources.redaction import with_environment

REFUSED = frozenset({400, 413, 415, 422})
"""Status codes that mean that this message will never be accepted: it is skipped. All others are retried."""

_SAFE = "/%:@!$&'()*+,;=~"
"""Characters of a path and a query that are sent as they are."""


def sign(secret: Secret, timestamp: str, body: bytes) -> str:
    """Return the value of `X-DAFlow-Signature`: HMAC-SHA256 of the timestamp, a dot and the body."""
    text = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.reveal().encode(), text, hashlib.sha256).hexdigest()


class WebAddress(NamedTuple):
    """The parts of a URL that a request needs."""

    host: str
    port: int
    target: str
    """Path and query, in ASCII."""
    tls: bool
    name: str
    """The server as messages name it: never the path, which can hold a token."""


class Webhook:
    """Posts each message in a request of its own, on a connection of its own.

    2xx is a success. 400, 413, 415 and 422 refuse the message for good. Everything else is retried, also redirects,
    which are not followed. Proxies of the environment are not used. `timeout_seconds` is the time for a whole exchange,
    from the search for the address to the last header of the answer.

    Args:
        options: the section `webhook` of the configuration, with a URL.
        picture: returns the GIF of the alarm of an `alarm_evidence` message; None for no such messages.

    Raises:
        InputError: the URL, the certificate or the secret cannot be used.
    """

    name = "webhook"

    def __init__(
        self, options: WebhookOptions, picture: Callable[[EventMessage], bytes | None] | None = None
    ) -> None:
        self.pictures = options.pictures and picture is not None
        self._picture = picture
        self._address = web_address(options.url or "")
        self._context = tls_context(options.ca_file) if self._address.tls else None
        self._secret = read_secret("the secret of the webhook", options.secret_file, options.secret_env)
        self._timeout = options.timeout_seconds
        self._deadline: Deadline | None = None
        self._closed = False

    def deliver(self, messages: Sequence[EventMessage]) -> None:
        """Post the messages, one after the other."""
        for done, message in enumerate(messages):
            self._post(message, done)

    def close(self) -> None:
        """End a post that waits for its answer."""
        self._closed = True
        if self._deadline is not None:
            self._deadline.cancel()

    def _body(self, message: EventMessage) -> bytes:
        if message.kind != "alarm_evidence" or self._picture is None:
            return message.json().encode()
        gif = self._picture(message)
        picture = {"media_type": "image/gif", "base64": base64.b64encode(gif).decode()} if gif else None
        return replace(message, content={**message.content, "picture": picture}).json().encode()

    def _post(self, message: EventMessage, done: int) -> None:
        address, body = self._address, self._body(message)
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "daflow-edge",
            "Connection": "close",
            "X-DAFlow-Delivery": message.key,
            "X-DAFlow-Timestamp": timestamp,
        }
        if self._secret:
            headers["X-DAFlow-Signature"] = sign(self._secret, timestamp, body)
        self._deadline = Deadline(0 if self._closed else self._timeout)
        try:
            # The body is not read: it is not needed, and may be endless.
            response, _ = http_request(
                "POST", address.host, address.port, address.target, self._deadline, context=self._context,
                headers=headers, body=body,
            )  # fmt: skip
        except (OSError, HTTPException, UnicodeError) as error:
            # The text of the error can hold the path, and so a token in it.
            raise DeliveryFailed(
                f"{address.name} cannot be reached: {failure_reason(error)}", delivered=done
            ) from None
        if 200 <= response.status < 300:
            return
        raise DeliveryFailed(
            f"{address.name} answered {response.status}",
            delivered=done,
            retry_after=_retry_after(response.headers.get("Retry-After", "")),
            refused=response.status in REFUSED,
        )


def web_address(url: str) -> WebAddress:
    """Return the parts of the URL of a webhook, after each `${NAME}` in it was replaced.

    Raises:
        InputError: it names no server, holds a user name or a password, or a variable is missing; the message does not
            show it.
    """
    url = with_environment(url, "The URL of the webhook")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if host is not None:
            host.encode("idna")
    except ValueError:  # UnicodeError is one
        host, port = None, None
    if not host or parts.scheme not in ("http", "https"):
        raise InputError(
            "The URL of the webhook names no server. It should look like https://example.com/path."
        )
    if parts.username is not None or parts.password is not None:
        raise InputError(
            "The URL of the webhook must not hold a user name or a password. Sign the messages instead "
            "(webhook.secret_file)."
        )
    tls = parts.scheme == "https"
    target = quote(parts.path or "/", safe=_SAFE) + (
        "?" + quote(parts.query, safe=_SAFE + "?") if parts.query else ""
    )
    return WebAddress(
        host, port or (443 if tls else 80), target, tls, host if port is None else f"{host}:{port}"
    )


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return how the certificate of a web server is checked.

    Args:
        ca_file: the certificate authority; None for those of the system.

    Raises:
        InputError: the file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise InputError(
            f"Cannot use {ca_file} as the certificate authority of the webhook: {error}."
        ) from error


def failure_reason(error: BaseException) -> str:
    """Return why an exchange failed, without the text of the exchange."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _retry_after(header: str) -> float | None:
    """Return the seconds that `Retry-After` asks for, as a number or as a date; None when it says neither."""
    try:
        seconds = float(header) if header.strip().isdecimal() else _seconds_until(header)
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(date: str) -> float:
    return parsedate_to_datetime(date).timestamp() - time.time()

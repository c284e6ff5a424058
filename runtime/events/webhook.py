"""Posts messages to a server, with a signature that proves who sent them."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from daflow.core.errors import InputError, unusable_package
from runtime.config.schema import WebhookOptions
from runtime.config.secrets import Secret, read_secret
from runtime.events.delivery import DeliveryFailed
from runtime.events.message import EventMessage

REFUSED = frozenset({400, 413, 415, 422})
"""Status codes that mean that this message will never be accepted: it is skipped. All others are retried."""


def sign(secret: Secret, timestamp: str, body: bytes) -> str:
    """Return the value of `X-DAFlow-Signature`: HMAC-SHA256 of the timestamp, a dot and the body."""
    text = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.reveal().encode(), text, hashlib.sha256).hexdigest()


class Webhook:
    """Posts each message in a request of its own, on a connection of its own.

    2xx is a success. 400, 413, 415 and 422 refuse the message for good. Everything else is retried, also redirects,
    which are not followed. Proxies of the environment are not used.

    Args:
        options: the section `webhook` of the configuration, with a URL.

    Raises:
        InputError: the URL or the secret cannot be used, or urllib3 is missing.
    """

    name = "webhook"

    def __init__(self, options: WebhookOptions) -> None:
        try:
            import urllib3
        except ImportError as error:
            raise unusable_package(error, "urllib3", "edge") from error
        self._url = options.url or ""
        self._server = _server_of(self._url)
        self._secret = read_secret("the secret of the webhook", options.secret_file, options.secret_env)
        self._errors = urllib3.exceptions.HTTPError
        self._parse_retry_after = urllib3.Retry().parse_retry_after
        self._pool = urllib3.PoolManager(
            num_pools=1,
            retries=False,
            timeout=urllib3.Timeout(connect=options.timeout_seconds, read=options.timeout_seconds),
        )

    def deliver(self, messages: Sequence[EventMessage]) -> None:
        """Post the messages, one after the other."""
        for done, message in enumerate(messages):
            self._post(message, done)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def _post(self, message: EventMessage, done: int) -> None:
        body = message.json().encode()
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
        try:
            # The body is not read: it is not needed, and may be endless.
            response = self._pool.request(
                "POST", self._url, body=body, headers=headers, redirect=False, preload_content=False
            )
            response.close()
        except self._errors as error:
            # The text of the error can hold the path, and so a token in it.
            raise DeliveryFailed(
                f"{self._server} cannot be reached: {_reason(error)}", delivered=done
            ) from None
        if 200 <= response.status < 300:
            return
        wait: float | None = None
        with contextlib.suppress(self._errors, ValueError, OverflowError):
            wait = self._parse_retry_after(response.headers.get("Retry-After", ""))
        raise DeliveryFailed(
            f"{self._server} answered {response.status}",
            delivered=done,
            retry_after=wait,
            refused=response.status in REFUSED,
        )


def _server_of(url: str) -> str:
    """Return the server of a URL, for messages."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise InputError(
            "The URL of the webhook names no server. It should look like https://example.com/path."
        )
    if parts.username is not None or parts.password is not None:
        raise InputError(
            "The URL of the webhook must not hold a user name or a password. Sign the messages instead "
            "(webhook.secret_file)."
        )
    return f"{host}:{port}" if port else host


def _reason(error: Exception) -> str:
    """Return the reason that the operating system gave, else the class of the error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and (seen.strerror or isinstance(seen, TimeoutError)):
            return seen.strerror or "timed out"
        reason = getattr(seen, "reason", None)
        seen = seen.__cause__ or seen.__context__ or (reason if isinstance(reason, Exception) else None)
    return "timed out" if "Timeout" in type(error).__name__ else type(error).__name__

"""Tells people of messages, by a service that apprise knows."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

from daflow.core.errors import InputError, unusable_package
from runtime.config.notify import NotifyOptions
from runtime.events.delivery import DeliveryFailed
from runtime.events.message import EventMessage
from runtime.events.notification import title_and_text, told_of
from runtime.events.webhook import REFUSED

if TYPE_CHECKING:
    from apprise import Apprise
    from apprise.attachment.base import AttachBase

_MINUTE_S = 60.0
_lines: ContextVar[list[str] | None] = ContextVar("lines", default=None)
_ERROR = re.compile(r"\berror=(\d+)")


class Notify:
    """Sends each message that people are to be told of; a message is delivered when the service has taken it.

    What happens in quiet hours is not told, nor is anything sent in them, nor what is older than
    `NotifyOptions.max_age_minutes`. Status codes that refuse a message for good skip it; all else is retried.

    Args:
        name: of the delivery, `notify-1` for the first address.
        address: of the service, as apprise writes it.
        options: the section `notify` of the configuration.
        page: the address of the live page, for the texts; None when it is not known.
        picture: returns the GIF that goes with a message about an alarm, None when there is none; None attaches none.
        now: gives the seconds since 1970.

    Raises:
        InputError: apprise is missing, or does not know such an address.
    """

    pictures = False  # those of alarms go with their messages

    def __init__(
        self,
        name: str,
        address: str,
        options: NotifyOptions,
        page: str | None = None,
        picture: Callable[[EventMessage], bytes | None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._service = open_service(name, address)
        self._scheme = address.partition("://")[0]
        self._options = options
        self._quiet = options.quiet_hours()
        self._page = page
        self._picture = picture
        self._now = now

    def takes(self, message: EventMessage) -> bool:
        """Whether people are told of a message now."""
        now = self._now()
        return (
            message.armed
            and told_of(message) in self._options.messages
            and now - message.utc <= _MINUTE_S * self._options.max_age_minutes
            and not self._quiet.holds(message.utc)
            and not self._quiet.holds(now)
        )

    def deliver(self, messages: Sequence[EventMessage]) -> None:
        """Send the messages, one after the other."""
        for done, message in enumerate(messages):
            self._send(message, done)

    def close(self) -> None:
        """Do nothing: each message has a connection of its own, which is given up after some seconds."""

    def _send(self, message: EventMessage, done: int) -> None:
        from apprise import NotifyFormat, NotifyType

        title, text = title_and_text(message, self._options, self._page)
        good = message.kind == "end" or message.content.get("state") in ("back", "fits")
        kind = NotifyType.SUCCESS if good else NotifyType.WARNING
        lines: list[str] = []
        before = _lines.set(lines)
        try:
            sent = self._service.notify(
                body=text or title,
                title=title,
                notify_type=kind,
                body_format=NotifyFormat.TEXT,
                attach=self._attachment(message),
            )
        finally:
            _lines.reset(before)
        if sent:
            return
        # Only the number: the lines may hold addresses and tokens.
        codes = [int(found[1]) for line in lines if (found := _ERROR.search(line))]
        code = f" (error {codes[-1]})" if codes else ""
        raise DeliveryFailed(
            f"the service {self._scheme} cannot be reached or does not take the message{code}",
            delivered=done,
            refused=bool(codes) and codes[-1] in REFUSED,
        )

    def _attachment(self, message: EventMessage) -> AttachBase | None:
        from apprise.attachment.memory import AttachMemory

        picture = self._picture(message) if self._picture is not None and message.type == "alarm" else None
        return AttachMemory(picture, name="alarm.gif", mimetype="image/gif") if picture else None


def open_service(name: str, address: str) -> Apprise:
    """Return a service; nothing is connected to.

    Args:
        name: what messages call it, since the address may hold secrets.
        address: as apprise writes it.

    Raises:
        InputError: apprise is missing, or does not know such an address.
    """
    _keep_log_apart()
    try:
        from apprise import Apprise, AppriseAsset
    except ImportError as error:
        raise unusable_package(error, "apprise", "notify") from error
    asset = AppriseAsset(app_id="daflow-edge", app_desc="daflow-edge", app_url="", async_mode=False)
    service = Apprise(asset=asset)
    if not service.add(address):
        scheme = address.partition("://")[0]
        shown = f", {scheme}://..." if scheme.isalnum() and "://" in address else ""
        raise InputError(
            f"apprise does not know the address of {name}{shown}. Write it as https://appriseit.com/services/ shows "
            "for the service."
        )
    return service


class _Collector(logging.Handler):
    """Collects what apprise logs; apprise passes the context on to its own threads."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message of a record for the delivery that caused it."""
        if (lines := _lines.get()) is not None:
            lines.append(record.getMessage())


def _keep_log_apart() -> None:
    """Keep what apprise logs out of our log: it would come with each try, and may hold addresses."""
    log = logging.getLogger("apprise")
    log.propagate = False
    if not any(isinstance(handler, _Collector) for handler in log.handlers):
        log.addHandler(_Collector(logging.WARNING))

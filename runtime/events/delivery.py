"""What a sender asks of a way to deliver messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from runtime.events.message import EventMessage


class DeliveryFailed(Exception):  # noqa: N818 - it is an outcome, and named as one
    """Messages were not delivered.

    Attributes:
        reason: why, without secrets.
        delivered: how many of the messages were delivered before, counted from the first.
        retry_after: how many seconds the receiver wants to be left alone, None when it did not say.
        refused: the next message is never accepted: it is left out.
    """

    def __init__(
        self,
        reason: str,
        *,
        delivered: int = 0,
        retry_after: float | None = None,
        refused: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delivered = delivered
        self.retry_after = retry_after
        self.refused = refused


class Delivery(Protocol):
    """A way to deliver messages; used by one thread.

    Attributes:
        name: of the delivery, by which the store knows how far it is.
    """

    name: str

    def deliver(self, messages: Sequence[EventMessage]) -> None:
        """Deliver messages in order; they are the receiver's when this returns.

        Raises:
            DeliveryFailed: not all were.
        """

    def close(self) -> None:
        """Free what it holds; a `deliver` that waits in another thread fails soon."""

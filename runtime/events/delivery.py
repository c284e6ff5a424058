"""The protocol of deliveries: the ways to deliver messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from runtime.events.message import EventMessage


class DeliveryFailed(Exception):  # noqa: N818 - the outcome of a try, not a mistake
    """Messages were not delivered.

    Attributes:
        reason: why, without secrets.
        delivered: how many of the messages were delivered, counted from the first.
        retry_after: how many seconds the receiver asks to wait, None when it did not say.
        refused: the receiver will never accept the next message, which is skipped.
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
        name: of the delivery; the store keeps its position by this name.
        pictures: whether it takes `alarm_evidence` messages too, which say that there are pictures of an alarm.
    """

    name: str
    pictures: bool

    def deliver(self, messages: Sequence[EventMessage]) -> None:
        """Deliver messages in order; the receiver has them when this returns.

        Raises:
            DeliveryFailed: not all were delivered.
        """

    def close(self) -> None:
        """Close connections and files; a `deliver` that waits in another thread fails soon."""

"""All couriers of a configuration: opened, changed and closed together."""

from __future__ import annotations

import logging
import time
from typing import Any

from daflow.errors import InputError
from runtime.config import Config
from runtime.events.build import build_deliveries
from runtime.events.courier import Courier
from runtime.events.store import EventStore

logger = logging.getLogger(__name__)

_DRAIN_SECONDS = 5.0
_FIELDS = ("events", "print_events", "mqtt", "webhook")


class Couriers:
    """A courier for each delivery that a configuration asks for; a context manager.

    Args:
        store: where the messages are.
        config: which deliveries.

    Raises:
        InputError: a delivery cannot be used; none is open then.
    """

    def __init__(self, store: EventStore, config: Config) -> None:
        self._store = store
        self._config = config
        self.undelivered: list[str] = []
        """What is lost with a store that is gone after the run: a sentence for each delivery."""
        self._couriers = self._open(config)

    def change(self, config: Config) -> None:
        """Deliver as another configuration says.

        Raises:
            InputError: a delivery cannot be used; nothing was changed.
        """
        old = self._config
        same = all(getattr(old, name) == getattr(config, name) for name in _FIELDS)
        if same and set(old.cameras) == set(config.cameras):
            return
        self._close()  # first: the last word of an MQTT client is that the device is gone
        try:
            self._couriers = self._open(config)
        except InputError:
            self._couriers = self._open(old)
            raise
        self._config = config

    def statistics(self) -> dict[str, dict[str, Any]]:
        """Return how each delivery is doing, by name."""
        return {courier.name: courier.statistics() for courier in self._couriers}

    def __enter__(self) -> Couriers:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _open(self, config: Config) -> list[Courier]:
        deliveries = build_deliveries(config)
        self._store.register(delivery.name for delivery in deliveries)
        return [Courier(self._store, delivery) for delivery in deliveries]

    def _close(self) -> None:
        """Deliver what waits, as far as a few seconds allow."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        for courier in self._couriers:
            courier.drain(max(0.1, deadline - time.monotonic()))
        for courier in self._couriers:
            facts = courier.statistics()
            if facts["pending"]:
                text = f"{courier.name}: {facts['pending']} events were not delivered, "
                if self._config.store.path:
                    logger.warning("%sthey wait in the store: %s", text, facts["last_error"])
                else:
                    self.undelivered.append(
                        f"{text}they are lost without --store FILE: {facts['last_error']}"
                    )
            courier.close()
        self._couriers = []

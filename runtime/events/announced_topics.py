"""The topics that a broker retains for us, so that those of a camera that is gone can be emptied later."""

from __future__ import annotations

import logging
from collections.abc import Collection

from daflow.core.errors import InputError
from runtime.events.store import EventStore, StoreError

logger = logging.getLogger(__name__)

_KEY = "mqtt.retained"


class AnnouncedTopics:
    """The retained topics of each broker; used by one thread at a time.

    Args:
        store: keeps them for the next start; None keeps them in memory only.
    """

    def __init__(self, store: EventStore | None = None) -> None:
        self._store = store
        self._topics: dict[str, set[str]] = {}
        try:
            saved = store.get(_KEY) if store else None
        except (StoreError, InputError) as error:
            logger.debug("the topics at the broker cannot be read: %s", error)
            saved = None
        for broker, topics in saved.items() if isinstance(saved, dict) else ():
            self._topics[broker] = set(topics)

    def of(self, broker: str) -> set[str]:
        """Return the topics that a broker (`HOST:PORT`) may retain for us."""
        return set(self._topics.get(broker, ()))

    def add(self, broker: str, topics: Collection[str]) -> None:
        """Remember topics before something is published to them."""
        self._set(broker, self.of(broker) | set(topics))

    def remove(self, broker: str, topics: Collection[str]) -> None:
        """Forget topics that the broker has emptied."""
        self._set(broker, self.of(broker) - set(topics))

    def _set(self, broker: str, topics: set[str]) -> None:
        if topics == self._topics.get(broker):
            return
        self._topics[broker] = topics
        if self._store is None:
            return
        try:
            self._store.set(_KEY, {name: sorted(known) for name, known in self._topics.items()})
        except (StoreError, InputError) as error:
            logger.debug("the topics at the broker were not saved: %s", error)

"""All senders of a configuration: opened, changed and closed together."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from daflow.core.errors import InputError
from runtime.config.schema import Config
from runtime.events.camera_topics import Command
from runtime.events.configured_deliveries import build_deliveries, settings_of, wanted_deliveries
from runtime.events.mqtt import Mqtt
from runtime.events.notify import Notify
from runtime.events.sender import Sender
from runtime.events.store import EventStore

logger = logging.getLogger(__name__)

_DRAIN_SECONDS = 5.0


class Senders:
    """A sender for each delivery that a configuration asks for; a context manager.

    Args:
        store: where the messages are.
        config: which deliveries.
        commands: take what is published for a camera, see `Mqtt`.

    Raises:
        InputError: a delivery cannot be used; none is open then.
    """

    def __init__(
        self,
        store: EventStore,
        config: Config,
        commands: Mapping[str, Command] = MappingProxyType({}),
    ) -> None:
        self._store = store
        self._commands = commands
        self._config = config
        self.undelivered: list[str] = []
        """What was lost because the store was temporary: a sentence for each delivery."""
        self._settings: dict[str, object] = {}
        """What each delivery was opened with, by its name."""
        self._senders: list[Sender] = []
        self._senders = self._open(config)

    def change(self, config: Config) -> None:
        """Use the deliveries of another configuration; one with the same settings is kept as it is.

        Raises:
            InputError: a delivery cannot be used; nothing was changed.
        """
        old, before = self._config, {sender.name: sender for sender in self._senders}
        kept = [
            sender for name, sender in before.items() if self._settings[name] == settings_of(config, name)
        ]
        names = [sender.name for sender in kept]
        if names == list(before) == wanted_deliveries(config):
            self._set_config(config)
            return
        # Before the new ones open: a closing MQTT client publishes that the device is offline.
        self._close([sender for sender in self._senders if sender not in kept])
        try:
            self._senders = [*kept, *self._open(config, names)]
        except InputError:
            self._senders = [*kept, *self._open(old, names)]
            raise
        self._set_config(config)

    def _set_config(self, config: Config) -> None:
        self._config = config
        for sender in self._senders:
            if isinstance(sender.delivery, Mqtt):
                sender.delivery.set_cameras(list(config.cameras))

    def set_camera_states(self, states: Mapping[str, str], armed: Mapping[str, bool]) -> None:
        """Tell the receivers that want to know the states of the cameras and which are armed; called often."""
        for sender in self._senders:
            if isinstance(sender.delivery, Mqtt):
                sender.delivery.set_camera_states(states)
                sender.delivery.set_armed(armed)

    def statistics(self) -> dict[str, dict[str, Any]]:
        """Return how each delivery is doing, by name."""
        return {sender.name: sender.statistics() for sender in self._senders}

    def __enter__(self) -> Senders:
        return self

    def __exit__(self, *_: object) -> None:
        for text, error in self._close(self._senders):
            if self._config.store.path:
                logger.warning("%s and wait in the store: %s", text, error)
            else:
                self.undelivered.append(f"{text} and are lost, because there is no --store FILE: {error}")
        self._senders = []

    def _open(self, config: Config, kept: Sequence[str] = ()) -> list[Sender]:
        deliveries = build_deliveries(config, kept, self._store, self._commands)
        before = [sender.delivery for sender in self._senders if sender.name in kept]
        names = [*kept, *(delivery.name for delivery in deliveries)]
        self._store.register(names, any(delivery.pictures for delivery in [*before, *deliveries]))
        self._settings |= {delivery.name: settings_of(config, delivery.name) for delivery in deliveries}
        return [
            Sender(self._store, delivery, takes=delivery.takes)
            if isinstance(delivery, Notify)
            else Sender(self._store, delivery)
            for delivery in deliveries
        ]

    @staticmethod
    def _close(senders: Sequence[Sender]) -> list[tuple[str, str]]:
        """Deliver what is pending, for a few seconds; return what was not delivered, and why."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        for sender in senders:
            sender.drain(max(0.1, deadline - time.monotonic()))
        left = []
        for sender in senders:
            facts = sender.statistics()
            if facts["pending"]:
                reason = facts["last_error"] or "no answer yet"
                left.append((f"{sender.name}: {facts['pending']} events were not delivered", reason))
            sender.close()
        return left

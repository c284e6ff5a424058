"""The deliveries that a configuration asks for."""

from __future__ import annotations

import contextlib

from runtime.config import Config
from runtime.events.delivery import Delivery
from runtime.events.lines import JsonLines, Stdout
from runtime.events.mqtt import Mqtt
from runtime.events.webhook import Webhook


def build_deliveries(config: Config) -> list[Delivery]:
    """Build the deliveries of a configuration; the caller closes them, which a `Courier` does.

    Raises:
        InputError: one of them cannot be used; those that were built are closed.
    """
    deliveries: list[Delivery] = []
    with contextlib.ExitStack() as stack:

        def add(delivery: Delivery) -> None:
            stack.callback(delivery.close)
            deliveries.append(delivery)

        if config.events:
            add(JsonLines(config.events))
        if config.print_events:
            add(Stdout())
        if config.webhook.url:
            add(Webhook(config.webhook))
        if config.mqtt.host:
            add(Mqtt(config.mqtt, list(config.cameras)))
        stack.pop_all()
    return deliveries

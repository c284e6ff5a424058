"""The deliveries that a configuration asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from pathlib import Path

from runtime.config.schema import Config
from runtime.events.alarm_pictures import AlarmPictures
from runtime.events.announced_topics import AnnouncedTopics
from runtime.events.delivery import Delivery
from runtime.events.json_lines import JsonLines, Stdout
from runtime.events.mqtt import Mqtt
from runtime.events.store import EventStore
from runtime.events.webhook import Webhook


def wanted_deliveries(config: Config) -> list[str]:
    """Return the names of the deliveries that a configuration asks for."""
    asked = {
        "lines": config.events, "stdout": config.print_events, "webhook": config.webhook.url,
        "mqtt": config.mqtt.host,
    }  # fmt: skip
    return [name for name, value in asked.items() if value]


def build_deliveries(
    config: Config,
    without: Collection[str] = (),
    store: EventStore | None = None,
    command: Callable[[str, bytes], None] | None = None,
) -> list[Delivery]:
    """Build the deliveries of a configuration; the caller closes them, which a `Sender` does.

    Args:
        config: which deliveries.
        without: names of those to skip.
        store: knows which alarms are on, what can be replayed of them, and what was published to the broker earlier.
        command: takes what is published to arm or disarm a camera.

    Raises:
        InputError: one of them cannot be used; those that were built are closed.
    """
    picture = AlarmPictures(store).gif_for if store else None
    builders: dict[str, Callable[[], Delivery]] = {
        "lines": lambda: JsonLines(config.events or Path()),
        "stdout": Stdout,
        "webhook": lambda: Webhook(config.webhook, picture),
        "mqtt": lambda: Mqtt(
            config.mqtt,
            list(config.cameras),
            announced=AnnouncedTopics(store),
            alarms_on=store.cameras_with_alarm() if store else (),
            command=command,
            picture=picture,
        ),
    }
    deliveries: list[Delivery] = []
    with contextlib.ExitStack() as stack:
        for name in wanted_deliveries(config):
            if name not in without:
                deliveries.append(builders[name]())
                stack.callback(deliveries[-1].close)
        stack.pop_all()
    return deliveries

"""The deliveries that a configuration asks for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from runtime.config.notify import notify_addresses
from runtime.config.schema import Config
from runtime.events.alarm_pictures import AlarmPictures
from runtime.events.announced_topics import AnnouncedTopics
from runtime.events.camera_topics import Command
from runtime.events.delivery import Delivery
from runtime.events.json_lines import JsonLines, Stdout
from runtime.events.labels import LabelledAlarm, last_alarms
from runtime.events.mqtt import Mqtt
from runtime.events.notify import Notify
from runtime.events.store import EventStore, StoreError
from runtime.events.webhook import Webhook


def wanted_deliveries(config: Config) -> list[str]:
    """Return the names of the deliveries that a configuration asks for.

    Raises:
        InputError: the addresses of `notify` cannot be read.
    """
    asked = {
        "lines": config.events, "stdout": config.print_events, "webhook": config.webhook.url,
        "mqtt": config.mqtt.host,
    }  # fmt: skip
    return [name for name, value in asked.items() if value] + list(_services(config))


def _services(config: Config) -> dict[str, str]:
    """Return the addresses of the services that people are told by, each of which is a delivery, by its name."""
    return {f"notify-{number}": url for number, url in enumerate(notify_addresses(config.notify), start=1)}


def settings_of(config: Config, name: str) -> object:
    """Return the settings of a delivery: where they differ, another one is needed."""
    fields: dict[str, object] = {
        "lines": config.events, "stdout": config.print_events, "webhook": config.webhook,
        "mqtt": (config.mqtt, config.serve.known_url),
    }  # fmt: skip
    if name in fields:
        return fields[name]
    return config.notify, config.serve.known_url, _services(config).get(name)


def build_deliveries(
    config: Config,
    without: Collection[str] = (),
    store: EventStore | None = None,
    commands: Mapping[str, Command] = MappingProxyType({}),
) -> list[Delivery]:
    """Build the deliveries of a configuration; the caller closes them, which a `Sender` does.

    Args:
        config: which deliveries.
        without: names of those to skip.
        store: knows which alarms are on, what can be replayed of them, and what was published to the broker earlier.
        commands: take what is published for a camera, see `Mqtt`.

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
            labels=_labels(store, config),
            commands=commands,
            page=config.serve.known_url,
            picture=picture,
        ),
        **{
            name: partial(Notify, name, url, config.notify, config.serve.known_url, picture)
            for name, url in _services(config).items()
        },
    }
    deliveries: list[Delivery] = []
    with contextlib.ExitStack() as stack:
        for name in wanted_deliveries(config):
            if name not in without:
                deliveries.append(builders[name]())
                stack.callback(deliveries[-1].close)
        stack.pop_all()
    return deliveries


def _labels(store: EventStore | None, config: Config) -> Mapping[str, LabelledAlarm]:
    try:
        return last_alarms(store, config.cameras) if store else {}
    except StoreError:
        return {}

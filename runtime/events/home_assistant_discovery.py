"""Announces the cameras to Home Assistant by MQTT discovery."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from daflow.core.version import __version__
from runtime.events.camera_topics import ARMED_SET, LABEL_SET
from runtime.events.labels import NO_LABEL
from runtime.events.readable_id import readable_id

STATUSES = (
    "streaming", "connecting", "lost", "frozen", "black", "stalled", "failed", "ended", "stopped",
)  # fmt: skip
"""What the status of a camera may be."""

_IS_STREAMING = "{{ 'online' if value == 'streaming' else 'offline' }}"
# Home Assistant takes each key as an attribute, and keeps attributes of up to 16 kB; an empty text is no event.
_EVENT = (
    "{% if value_json.event != 'update' %}{{ {'event_type': value_json.event, "
    + ", ".join(
        f"'{key}': value_json.get('{key}')"
        for key in ("id", "score", "rarity", "why", "seconds", "reason", "provisional")
    )
    + "} | tojson }}{% endif %}"
)


def announcements(
    topic: str,
    prefix: str,
    cameras: Sequence[str],
    commands: Collection[str] = (),
    page: str | None = None,
    pictures: bool = False,
) -> Iterator[tuple[str, str]]:
    """Yield topics and payloads of Home Assistant's MQTT discovery: a device for each camera, with its entities.

    Alarm and score are available while this device is online and the camera streams: an alarm that is off says nothing
    about a camera that is lost, frozen or black. The others are available whenever this device is online.

    Args:
        topic: the first part of our topics; it also identifies this device.
        prefix: the first part of Home Assistant's topics.
        cameras: the names of the cameras.
        commands: the topics of a camera at which commands are taken.
        page: the address of the live page; None when it is not known.
        pictures: also yield an image for each, of its last alarm.
    """
    node = f"daflow_{readable_id(topic)}"
    online = [{"topic": f"{topic}/available"}]
    for camera in cameras:
        device_id, base = f"daflow_{readable_id(topic, camera)}", f"{topic}/{camera}"
        device = {
            "identifiers": [device_id], "name": camera, "manufacturer": "DA-Flow", "model": "daflow-edge",
            "sw_version": __version__, **({"configuration_url": page} if page else {}),
        }  # fmt: skip
        origin = {"name": "daflow-edge", "sw_version": __version__}
        streaming = [*online, {"topic": f"{base}/status", "value_template": _IS_STREAMING}]
        for entity in _entities(base, commands, pictures):
            available: dict[str, Any] = {"availability": online}
            if entity.watched:
                available = {"availability": streaming, "availability_mode": "all"}
            unique = {"unique_id": f"{device_id}_{entity.id}", "device": device, "origin": origin}
            yield (
                f"{prefix}/{entity.component}/{node}/{readable_id(camera)}_{entity.id}/config",
                json.dumps(available | entity.fields | unique),
            )


class _Entity(NamedTuple):
    """An entity of Home Assistant.

    Attributes:
        component: its kind.
        id: its name in ids.
        watched: whether it means something only while the camera streams.
        fields: of its payload.
    """

    component: str
    id: str
    watched: bool
    fields: dict[str, Any]


def _entities(base: str, commands: Collection[str], pictures: bool) -> Iterator[_Entity]:
    yield _Entity("binary_sensor", "alarm", True, {
        "name": "Alarm", "state_topic": f"{base}/alarm", "device_class": "safety",
    })  # fmt: skip
    yield _Entity("sensor", "score", True, {
        "name": "Score", "state_topic": f"{base}/score", "state_class": "measurement", "icon": "mdi:run-fast",
    })  # fmt: skip
    yield _Entity("event", "alarm_event", False, {
        "name": "Alarm event", "state_topic": f"{base}/events", "event_types": ["begin", "end"],
        "value_template": _EVENT, "icon": "mdi:alarm-light",
    })  # fmt: skip
    yield _Entity("sensor", "status", False, {
        "name": "Status", "state_topic": f"{base}/status", "device_class": "enum", "options": list(STATUSES),
        "entity_category": "diagnostic",
    })  # fmt: skip
    yield _Entity("sensor", "label", False, {
        "name": "Last alarm", "state_topic": f"{base}/alarm/label", "device_class": "enum",
        "options": [NO_LABEL, "false", "real"], "icon": "mdi:label",
    })  # fmt: skip
    if pictures:
        yield _Entity("image", "picture", False, {
            "name": "Last alarm in motion", "image_topic": f"{base}/alarm/picture", "content_type": "image/gif",
            "icon": "mdi:motion-play",
        })  # fmt: skip
    if ARMED_SET in commands:
        yield _Entity("switch", "armed", False, {
            "name": "Armed", "state_topic": f"{base}/armed/state", "command_topic": f"{base}/{ARMED_SET}",
            "icon": "mdi:shield-account",
        })  # fmt: skip
    if LABEL_SET in commands:
        for label, icon in (("false", "mdi:bell-off"), ("real", "mdi:bell-check")):
            yield _Entity("button", f"label_{label}", False, {
                "name": f"Last alarm was {label}", "command_topic": f"{base}/{LABEL_SET}", "payload_press": label,
                "icon": icon,
            })  # fmt: skip

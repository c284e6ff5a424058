"""Announces the cameras to Home Assistant by MQTT discovery."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from runtime.events.readable_id import readable_id

_IS_STREAMING = "{{ 'online' if value == 'streaming' else 'offline' }}"


def announcements(
    topic: str, prefix: str, cameras: Sequence[str], commands: bool = False, pictures: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield topics and payloads of Home Assistant's MQTT discovery: one device, an alarm and a score per camera.

    An entity is available while the device is online and its camera streams: an alarm that is off says nothing about a
    camera that is lost, frozen or black.

    Args:
        topic: the first part of our topics; it also identifies this device.
        prefix: the first part of Home Assistant's topics.
        cameras: the names of the cameras.
        commands: also yield a switch for each that arms it; it is available whenever the device is online.
        pictures: also yield an image for each, of its last alarm; it is available whenever the device is online.
    """
    device = f"daflow_{readable_id(topic)}"
    common: dict[str, Any] = {
        "device": {"identifiers": [device], "name": f"DA-Flow {topic}", "model": "daflow-edge"},
        "origin": {"name": "daflow-edge"},
    }
    for camera in cameras:
        availability = {
            "availability": [
                {"topic": f"{topic}/available"},
                {"topic": f"{topic}/{camera}/status", "value_template": _IS_STREAMING},
            ],
            "availability_mode": "all",
        }
        entity = f"daflow_{readable_id(topic, camera)}"
        alarm = {
            "name": f"{camera} alarm",
            "unique_id": f"{entity}_alarm",
            "state_topic": f"{topic}/{camera}/alarm",
            "device_class": "safety",
        }
        score = {
            "name": f"{camera} score",
            "unique_id": f"{entity}_score",
            "state_topic": f"{topic}/{camera}/score",
            "state_class": "measurement",
            "icon": "mdi:run-fast",
        }
        for component, name, fields in (("binary_sensor", "alarm", alarm), ("sensor", "score", score)):
            yield (
                f"{prefix}/{component}/{device}/{readable_id(camera)}_{name}/config",
                json.dumps(availability | fields | common),
            )
        online = {"availability": [{"topic": f"{topic}/available"}]}
        if pictures:
            image = {
                "name": f"{camera} last alarm",
                "unique_id": f"{entity}_picture",
                "image_topic": f"{topic}/{camera}/alarm/picture",
                "content_type": "image/gif",
                "icon": "mdi:motion-play",
            }
            yield (
                f"{prefix}/image/{device}/{readable_id(camera)}_picture/config",
                json.dumps(online | image | common),
            )
        if commands:
            switch = {
                "name": f"{camera} armed",
                "unique_id": f"{entity}_armed",
                "state_topic": f"{topic}/{camera}/armed/state",
                "command_topic": f"{topic}/{camera}/armed/set",
                "icon": "mdi:shield-account",
            }
            yield (
                f"{prefix}/switch/{device}/{readable_id(camera)}_armed/config",
                json.dumps(online | switch | common),
            )

"""Announces the cameras to Home Assistant by MQTT discovery."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any


def announcements(topic: str, prefix: str, cameras: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield topics and payloads of Home Assistant's MQTT discovery: one device, an alarm and a score per camera.

    Args:
        topic: the first part of our topics; it also identifies this device.
        prefix: the first part of Home Assistant's topics.
        cameras: the names of the cameras.
    """
    device = "daflow_" + re.sub(r"[^A-Za-z0-9_-]", "_", topic)
    common: dict[str, Any] = {
        "availability_topic": f"{topic}/available",
        "device": {"identifiers": [device], "name": f"DA-Flow {topic}", "model": "daflow-edge"},
        "origin": {"name": "daflow-edge"},
    }
    for camera in cameras:
        alarm = {
            "name": f"{camera} alarm",
            "unique_id": f"{device}_{camera}_alarm",
            "state_topic": f"{topic}/{camera}/alarm",
            "device_class": "safety",
        }
        score = {
            "name": f"{camera} score",
            "unique_id": f"{device}_{camera}_score",
            "state_topic": f"{topic}/{camera}/score",
            "state_class": "measurement",
            "icon": "mdi:run-fast",
        }
        for component, name, entity in (("binary_sensor", "alarm", alarm), ("sensor", "score", score)):
            yield f"{prefix}/{component}/{device}/{camera}_{name}/config", json.dumps(entity | common)

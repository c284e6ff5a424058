"""What is published about a camera over MQTT, and retained by the broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runtime.events.labels import NO_LABEL
from runtime.events.message import EventMessage

ARMED_SET, LABEL_SET = "armed/set", "alarm/label/set"
"""The topics of a camera at which commands come."""

Command = Callable[[str, bytes], None]
"""Takes a camera and what was published at such a topic."""

PARTS = ("status", "alarm", "score", "alarm/label", "armed/state")
"""The topics of a camera that are retained."""


@dataclass
class CameraTopics:
    """The retained topics of a camera.

    Attributes:
        alarm: `ON` or `OFF`.
        score: of the last message; empty before the first.
        status: the state of the camera.
        last_alarm: the id of the last alarm that was published; None before the first.
        label: what was said of it: `false`, `real` or `none`.
        armed: None until it is known.
    """

    alarm: str = "OFF"
    score: str = ""
    status: str = "connecting"
    last_alarm: str | None = None
    label: str = NO_LABEL
    armed: bool | None = None

    def values(self) -> Iterator[tuple[str, str]]:
        """Yield topics below that of the camera and what is published there; what is not known is left out."""
        yield "status", self.status
        yield "alarm", self.alarm
        if self.score:
            yield "score", self.score
        yield "alarm/label", self.label
        if self.armed is not None:
            yield "armed/state", "ON" if self.armed else "OFF"

    def take(self, message: EventMessage) -> Iterator[tuple[str, str]]:
        """Take a message of the camera; yield those of the values that are published with it."""
        content = message.content
        if message.type == "alarm":
            self.alarm = "OFF" if message.kind == "end" else "ON"
            score = content.get("score")
            self.score = "" if score is None else str(score)
            changed = ["alarm", "score"]
            if self.last_alarm != message.id:
                self.last_alarm, self.label = message.id, NO_LABEL
                changed.append("alarm/label")
        elif message.type == "alarm_label" and content.get("alarm") == self.last_alarm:
            self.label = content.get("label") or NO_LABEL
            changed = ["alarm/label"]
        else:
            return
        yield from ((part, value) for part, value in self.values() if part in changed)

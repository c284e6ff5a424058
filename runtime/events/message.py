"""The messages of alarms, of what operators say of them, and of the states of cameras."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["begin", "update", "end"]
"""Of an alarm."""
MessageType = Literal["alarm", "alarm_evidence", "alarm_label", "camera_state", "device_state"]
EndReason = Literal[
    "score_fell",
    "camera_lost",
    "source_ended",
    "camera_removed",
    "settings_changed",
    "armed",
    "disarmed",
    "service_stopped",
    "interrupted",
]
"""Why an alarm ended: only `score_fell` says that somebody moves normally again, or has left. When a camera is armed or
disarmed during an alarm, this one ends and another begins."""
SCHEMA = 1


@dataclass(frozen=True)
class EventMessage:
    """A message, as it is stored and delivered.

    Attributes:
        id: of the alarm, the same in all its messages, 32 hexadecimal digits; another message has an id of its own.
        sequence: 0 for the begin, then 1, 2, ...; `(id, sequence)` identifies a message, also when it comes twice.
        kind: of an alarm `begin`, `update` or `end`; of other messages their type.
        camera: the name of the camera; empty for a message about this device.
        utc: when its frame arrived, seconds since 1970.
        content: the whole message, ready for JSON (no NaN). It holds `schema`, `type`, `id`, `sequence`, `camera` and
            `utc`. That of an alarm also holds `event` (the kind),
            `began_utc` (as `utc` in ISO 8601), `time` and `began` (seconds of the stream), `frame`, `seconds`
            (how long the alarm has been on), `person`, `score`, `p_value`, `threshold`, `provisional` (whether the
            threshold is a guess), `armed` (whether the camera was: else the message is stored and not delivered),
            `unit` (of score and threshold), `people` (a list of `{person, score, p_value}`), `peak` (`{utc, time,
            person, score, p_value, frame_size: [w, h], skeletons: [T][18][x, y]}`) and `model` (`{bundle, scorer,
            daflow}`, the bundle by the hash of its manifest). `rarity`, also in `peak`, is
            the p-value in words. `surprise` (bits by channel of evidence) and `why` (the same in words), also in
            `peak`, are None of the flow alone. An `end` also holds `reason`, an `EndReason`; one that was written at
            the next start, because the process was killed, holds `interrupted`: true. An `alarm_evidence` says that all
            that can be replayed of an alarm is stored, and holds less, see `alarm_evidence`. `alarm_label` is
            described in `runtime.events.labels`, `camera_state` and `device_state` in `runtime.events.camera_states`.
    """

    id: str
    sequence: int
    kind: Kind | MessageType
    camera: str
    utc: float
    content: dict[str, Any]

    @property
    def type(self) -> MessageType:
        """What it is about; messages that were stored by earlier versions are about alarms."""
        kind: MessageType = self.content.get("type", "alarm")
        return kind

    @property
    def armed(self) -> bool:
        """Whether it is to be delivered: the camera was armed."""
        return self.content.get("armed") is not False

    @property
    def key(self) -> str:
        """The id and the sequence, which identify this message."""
        return f"{self.id}-{self.sequence}"

    def json(self) -> str:
        """Return the content as one line of JSON.

        Raises:
            ValueError: a number in it is NaN or infinite.
        """
        return json.dumps(self.content, allow_nan=False, separators=(",", ":"))


_IN_EVIDENCE = (
    "schema",
    "camera",
    "utc",
    "began_utc",
    "seconds",
    "reason",
    "armed",
    "provisional",
    "unit",
    "threshold",
)
_OF_PEAK = ("utc", "person", "score", "p_value", "rarity", "why")


def alarm_evidence(end: EventMessage) -> EventMessage:
    """Return the message that an alarm can be replayed, which follows its `end` and names its time and its peak."""
    content, peak = end.content, end.content.get("peak") or {}
    evidence = {
        "id": end.id,
        "sequence": end.sequence + 1,
        "type": "alarm_evidence",
        "event": "alarm_evidence",
        **{name: content[name] for name in _IN_EVIDENCE if name in content},
        "peak": {name: peak[name] for name in _OF_PEAK if name in peak},
    }
    return EventMessage(end.id, end.sequence + 1, "alarm_evidence", end.camera, end.utc, evidence)

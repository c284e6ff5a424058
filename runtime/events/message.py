"""The message that an alarm begins, is still on, ends, or can be replayed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["begin", "update", "end", "alarm_evidence"]
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
    """A message about an alarm, as it is stored and delivered.

    Attributes:
        id: of the alarm, the same in all its messages, 32 hexadecimal digits.
        sequence: 0 for the begin, then 1, 2, ...; `(id, sequence)` identifies a message, also when it comes twice.
        kind: `begin`, `update`, `end`, or `alarm_evidence` once all that can be replayed of it is in the store.
        camera: the name of the camera.
        utc: when its frame arrived, seconds since 1970.
        content: the whole message, ready for JSON (no NaN). It holds `schema`, `id`, `sequence`, `event` (the kind),
            `camera`, `utc` and `began_utc` (ISO 8601), `time` and `began` (seconds of the stream), `frame`, `seconds`
            (how long the alarm has been on), `person`, `score`, `p_value`, `threshold`, `provisional` (whether the
            threshold is a guess), `armed` (whether the camera was: else the message is stored and not delivered),
            `unit` (of score and threshold), `people` (a list of `{person, score, p_value}`), `peak` (`{utc, time,
            person, score, p_value, frame_size: [w, h], skeletons: [T][18][x, y]}`) and `model` (`{bundle, scorer,
            daflow}`, the bundle by the hash of its manifest). `rarity`, also in `peak`, is
            the p-value in words. `surprise` (bits by channel of evidence) and `why` (the same in words), also in
            `peak`, are None of the flow alone. An `end` also holds `reason`, an `EndReason`; one that was written at
            the next start, because the process was killed, holds `interrupted`: true. An `alarm_evidence` holds less,
            see `alarm_evidence`.
    """

    id: str
    sequence: int
    kind: Kind
    camera: str
    utc: float
    content: dict[str, Any]

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
        "event": "alarm_evidence",
        **{name: content[name] for name in _IN_EVIDENCE if name in content},
        "peak": {name: peak[name] for name in _OF_PEAK if name in peak},
    }
    return EventMessage(end.id, end.sequence + 1, "alarm_evidence", end.camera, end.utc, evidence)

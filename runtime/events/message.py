"""The message that an alarm begins, is still on, or ends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["begin", "update", "end"]
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
        kind: `begin`, `update` or `end`.
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
            the next start, because the process was killed, holds `interrupted`: true.
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

"""Tells when the state of a camera changes: a message of its own, once the state has held for some seconds."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from runtime.events.message import SCHEMA, EventMessage, MessageType
from runtime.json_values import iso

State = Literal["lost", "frozen", "black", "back", "drifting", "fits", "disk_full"]

_PICTURES: Mapping[str, State] = {
    "streaming": "back", "frozen": "frozen", "black": "black", "lost": "lost", "connecting": "lost",
    "failed": "lost", "stalled": "lost",
}  # fmt: skip
"""What is told of each state of a camera; of one that is not among them, such as `ended`, nothing."""

_DRIFT: Mapping[str, State] = {"drifting": "drifting", "fits": "fits"}
_DISK: Mapping[str, State] = {"full": "disk_full", "free": "back"}

_HOUR_S = 3600.0
_CONNECT_S = (
    60.0  # for a camera that was never reached: networks are opened and engines built before it is read
)


class Condition(NamedTuple):
    """What is known of a camera now.

    Attributes:
        state: of its source, as `SourceStatus.state`, or `stalled`, `failed` or `ended`.
        drift: `learning`, `fits` or `drifting`; None without drift detection.
        error: what went wrong; None when nothing did.
        drift_text: the drift in words.
    """

    state: str
    drift: str | None = None
    error: str | None = None
    drift_text: str | None = None


@dataclass
class _Watched:
    """Something that has states.

    Attributes:
        told: the state that was told last; what is normal at the start.
        candidate: another state that is not told yet.
        since: when that began, seconds on a clock that never goes back.
        since_utc: the same in seconds since 1970.
        times: when states were told within the last hour.
    """

    told: State
    candidate: State | None = None
    since: float = 0.0
    since_utc: float = 0.0
    times: deque[float] = field(default_factory=deque)

    def change(self, state: State, now: float, utc: float, hold: float) -> State | None:
        """Take the state now; return the one before when this one is to be told."""
        if state == self.told:
            self.candidate = None
            return None
        if state != self.candidate:
            self.candidate, self.since, self.since_utc = state, now, utc
        while self.times and now - self.times[0] > _HOUR_S:
            self.times.popleft()
        if now - self.since < min(hold * 2 ** len(self.times), _HOUR_S):
            return None
        before, self.told, self.candidate = self.told, state, None
        self.times.append(now)
        return before


class CameraStateTeller:
    """Turns the states of the cameras and of the disk into messages.

    Each is of the type `camera_state` and holds `state`: `lost` (no pictures), `frozen`, `black`, `back` (it streams
    again), `drifting` (recent scores do not fit the calibration) or `fits` (they do again); `before`, the state that
    was told last; `since_utc`, when it began; and `detail`, why, or None. Of the device there is `device_state`, with
    `disk_full` and `back`, and no camera.

    A state is told when it has held. Each message within an hour doubles how long the next must hold, up to an hour, so
    that a camera that comes and goes tells so, and not each time. At the start everything is as it should be: what is
    not is told.

    Args:
        hold_seconds: how long a state must hold.
    """

    def __init__(self, hold_seconds: float) -> None:
        self.hold_seconds = hold_seconds
        self._pictures: dict[str, _Watched] = {}
        self._drifts: dict[str, _Watched] = {}
        self._disk = _Watched("back")

    def update(
        self, cameras: Mapping[str, Condition], full_disk: str | None, now: float, utc: float
    ) -> list[EventMessage]:
        """Take what is known now; return the messages to store.

        Args:
            cameras: all of them; one that is missing is forgotten.
            full_disk: which disk is full, in words; None for none.
            now: seconds on a clock that never goes back.
            utc: seconds since 1970.
        """
        for watched in (self._pictures, self._drifts):
            for name in watched.keys() - cameras.keys():
                del watched[name]
        messages: list[EventMessage] = []
        for name, condition in cameras.items():
            messages += self._camera(name, condition, now, utc)
        state = _DISK["full" if full_disk else "free"]
        before = self._disk.change(state, now, utc, self.hold_seconds)
        if before is not None:
            messages.append(_message("device_state", "", self._disk, before, full_disk, utc))
        return messages

    def _camera(self, name: str, condition: Condition, now: float, utc: float) -> Iterator[EventMessage]:
        pictures = self._pictures.setdefault(name, _Watched("back"))
        drift = self._drifts.setdefault(name, _Watched("fits"))
        hold = self.hold_seconds
        first = max(hold, _CONNECT_S) if condition.state == "connecting" else hold
        for watched, state, least, detail in (
            (pictures, _PICTURES.get(condition.state), first, condition.error),
            (drift, _DRIFT.get(condition.drift or ""), hold, condition.drift_text),
        ):
            if state is None:
                watched.candidate = None
                continue
            before = watched.change(state, now, utc, least)
            if before is not None:
                yield _message("camera_state", name, watched, before, detail, utc)


def _message(
    type_: MessageType, camera: str, watched: _Watched, before: State, detail: str | None, utc: float
) -> EventMessage:
    id_ = uuid.uuid4().hex
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "type": type_,
        "id": id_,
        "sequence": 0,
        **({"camera": camera} if camera else {}),
        "utc": iso(utc),
        "state": watched.told,
        "before": before,
        "since_utc": iso(watched.since_utc),
        "detail": None if watched.told == "back" else detail,
    }
    return EventMessage(id_, 0, type_, camera, utc, content)

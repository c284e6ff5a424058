"""Which cameras are armed: by their schedules, and by what people said, which survives a restart."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from runtime.config.schema import Config
from runtime.config.weekly_schedule import WeeklySchedule
from runtime.events.store import EventStore, StoreError
from runtime.json_values import iso

logger = logging.getLogger(__name__)

MAX_SNOOZE_MINUTES = 7 * 24 * 60
_MAX_COMMAND = 20  # bytes
_LOOK_AGAIN_SECONDS = 3600.0  # for the next change of a schedule that has none within a week

Why = Literal["always", "schedule", "said", "snoozed"]


@dataclass(frozen=True)
class Armed:
    """Whether a camera is armed.

    Attributes:
        armed: whether its alarms are delivered.
        why: `always`, as it has no schedule; `schedule`; `said`, by somebody; or `snoozed`.
        until_utc: until when what somebody said holds, seconds since 1970; None without an end, or with a schedule.
    """

    armed: bool
    why: Why
    until_utc: float | None = None

    def facts(self) -> dict[str, Any]:
        """Return it as values for JSON: `armed`, `armed_why` and `armed_until_utc`."""
        until = None if self.until_utc is None else iso(self.until_utc)
        return {"armed": self.armed, "armed_why": self.why, "armed_until_utc": until}


class _Said(BaseModel):
    """What somebody said about a camera, as the store keeps it.

    Attributes:
        armed: what they want; None when nobody said anything.
        until: when the schedule changes next, which ends it, seconds since 1970; None without an end.
        snoozed_until: seconds since 1970; None when it is not snoozed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    armed: bool | None = None
    until: FiniteFloat | None = None
    snoozed_until: FiniteFloat | None = None


class Arming:
    """Arms and disarms cameras; may be used by any thread.

    A camera is armed by its schedule, or always when it has none. What somebody says holds until the schedule changes
    next; without a schedule, until somebody says something else. A snooze disarms for some minutes, and then everything
    is as if it had not been.

    Args:
        store: keeps what was said.
        config: the cameras and their schedules.
        now: gives the seconds since 1970.
    """

    def __init__(self, store: EventStore, config: Config, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        self._schedules: dict[str, WeeklySchedule | None] = {}
        self._said: dict[str, _Said] = {}
        self._changes: dict[str, tuple[WeeklySchedule, float, float | None]] = {}
        """By camera: its schedule, until when what was found holds, and when the schedule changes."""
        self.set_cameras(config)

    def set_cameras(self, config: Config) -> None:
        """Take the cameras and the schedules of another configuration; what was said still holds."""
        schedules = {name: config.cameras[name].schedule.weekly() for name in config.cameras}
        with self._lock:
            self._said = {name: self._said.get(name) or self._saved(name) for name in schedules}
            self._schedules = schedules

    def __contains__(self, camera: str) -> bool:
        return camera in self._schedules

    def is_armed(self, camera: str) -> bool:
        """Whether a camera is armed now; one that is not known is."""
        return self.state(camera).armed

    def state(self, camera: str) -> Armed:
        """Return whether a camera is armed now, and why."""
        now, said, schedule = self._now(), self._said.get(camera, _Said()), self._schedules.get(camera)
        if said.snoozed_until is not None and now < said.snoozed_until:
            return Armed(False, "snoozed", said.snoozed_until)
        if said.armed is not None and (said.until is None or now < said.until):
            return Armed(said.armed, "said", said.until)
        return Armed(True, "always") if schedule is None else Armed(schedule.holds(now), "schedule")

    def states(self) -> Mapping[str, bool]:
        """Return whether each camera is armed now."""
        return {camera: self.is_armed(camera) for camera in list(self._schedules)}

    def facts(self, camera: str) -> dict[str, Any]:
        """Return whether a camera is armed and what its schedule says next, as values for JSON.

        Keys: those of `Armed.facts`, and `schedule_changes_utc`, None without a schedule that changes.
        """
        changes = self.schedule_changes(camera)
        return {
            **self.state(camera).facts(),
            "schedule_changes_utc": None if changes is None else iso(changes),
        }

    def all_facts(self) -> dict[str, dict[str, Any]]:
        """Return the `facts` of each camera."""
        return {camera: self.facts(camera) for camera in list(self._schedules)}

    def schedule_changes(self, camera: str) -> float | None:
        """Return when the schedule of a camera changes next, seconds since 1970; None without such a time."""
        schedule, now = self._schedules.get(camera), self._now()
        if schedule is None:
            return None
        known = self._changes.get(camera)
        if known is None or known[0] is not schedule or now >= known[1]:
            found = schedule.next_change(now)
            known = schedule, now + _LOOK_AGAIN_SECONDS if found is None else found, found
            self._changes[camera] = known
        return known[2]

    def arm(self, camera: str) -> Armed:
        """Arm a camera, also one that is snoozed."""
        return self._say(camera, armed=True)

    def disarm(self, camera: str) -> Armed:
        """Disarm a camera, also one that is snoozed."""
        return self._say(camera, armed=False)

    def snooze(self, camera: str, minutes: float) -> Armed:
        """Disarm a camera for so many minutes.

        Raises:
            ValueError: they are not above 0, or more than a week.
        """
        if not 0 < minutes <= MAX_SNOOZE_MINUTES:
            raise ValueError(f"a snooze takes more than 0 and at most {MAX_SNOOZE_MINUTES} minutes")
        with self._lock:
            said = self._said.get(camera, _Said())
            said = said.model_copy(update={"snoozed_until": self._now() + 60 * minutes})
            return self._keep(camera, said)

    def _say(self, camera: str, armed: bool) -> Armed:
        with self._lock:
            schedule = self._schedules.get(camera)
            until = None if schedule is None else schedule.next_change(self._now())
            return self._keep(camera, _Said(armed=armed, until=until))

    def _keep(self, camera: str, said: _Said) -> Armed:
        if camera not in self._schedules:
            raise KeyError(camera)
        if said == self._said.get(camera):
            return self.state(camera)
        self._said[camera] = said
        try:
            self._store.set(_key(camera), said.model_dump())
        except StoreError as error:
            logger.warning(
                "camera %s: whether it is armed was not saved for the next start: %s", camera, error
            )
        state = self.state(camera)
        until = "" if state.until_utc is None else f" until {iso(state.until_utc)}"
        logger.info("camera %s is %s%s", camera, "armed" if state.armed else "disarmed", until)
        return state

    def _saved(self, camera: str) -> _Said:
        try:
            return _Said.model_validate(self._store.get(_key(camera)) or {})
        except (StoreError, ValidationError) as error:
            logger.warning("camera %s: whether it was armed cannot be read: %s", camera, error)
            return _Said()


def obey(arming: Arming, camera: str, command: bytes) -> None:
    """Do what a text says: `ON` arms, `OFF` disarms, and a number snoozes for so many minutes; else it is logged."""
    try:
        text = command[:_MAX_COMMAND].decode().strip()
        if text in ("ON", "OFF"):
            (arming.arm if text == "ON" else arming.disarm)(camera)
        else:
            arming.snooze(camera, float(text))
    except KeyError:  # it was removed meanwhile
        pass
    except ValueError:
        logger.warning(
            "camera %s: %r is no command: it is ON, OFF, or for how many minutes to snooze",
            camera,
            command[:_MAX_COMMAND],
        )


def _key(camera: str) -> str:
    return f"armed.{camera}"

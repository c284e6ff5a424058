"""What operators say of alarms: `false` or `real`; stored with the alarm and delivered as a message of its own."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, NamedTuple, cast, get_args

from runtime.events.label_table import Label, all_alarms, set_label
from runtime.events.message import SCHEMA, EventMessage
from runtime.events.precision import WeeklyPrecision, week_of, weekly_precision
from runtime.events.store import EventStore, StoreError
from runtime.json_values import iso

logger = logging.getLogger(__name__)

NO_LABEL = "none"
"""Stands for no label where only text can be sent."""

_MAX_TEXT = 20  # bytes
_COUNT_SECONDS = 60.0
_LOOK_BACK = 200  # alarms of a camera among which one that was delivered is looked for


class LabelledAlarm(NamedTuple):
    """The last alarm of a camera that was delivered.

    Attributes:
        id: of the alarm.
        label: what was said of it, None when nothing was.
    """

    id: str
    label: Label | None


class AlarmLabels:
    """Labels alarms; may be used by any thread.

    Each label is a message too: `type` is `alarm_label`, `alarm` the id of the alarm, `label` is `false`, `real` or
    None (it was removed), and `by` says who said it. That of an alarm that was not delivered is not delivered either.

    Args:
        store: holds the alarms, and their labels.
        now: gives the seconds since 1970.
    """

    def __init__(self, store: EventStore, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._counted: tuple[float, list[WeeklyPrecision]] | None = None

    def set(self, alarm: str, label: Label | None, by: str) -> dict[str, Any]:
        """Label an alarm, or remove its label; return `id`, `camera`, `label`, `labelled_by` and `labelled_utc`.

        Args:
            alarm: its id.
            label: what somebody says of it.
            by: who says so.

        Raises:
            KeyError: there is no such alarm.
            StoreError: it cannot be stored now.
        """
        summary = self._store.read(partial(_summary, alarm=alarm))
        utc, id_ = self._now(), uuid.uuid4().hex
        content = {
            "schema": SCHEMA,
            "type": "alarm_label",
            "id": id_,
            "sequence": 0,
            "camera": summary["camera"],
            "utc": iso(utc),
            "alarm": alarm,
            "label": label,
            "by": by,
            "armed": summary["armed"],
        }
        message = EventMessage(id_, 0, "alarm_label", summary["camera"], utc, content)
        beside = partial(set_label, alarm=summary, label=label, who=by, utc=utc)
        self._store.append(message, beside=beside)
        self._counted = None
        logger.info("camera %s: alarm %s is labelled %s by %s", message.camera, alarm, label or NO_LABEL, by)
        said = None if label is None else iso(utc)
        who = None if label is None else by
        return {
            "id": alarm,
            "camera": message.camera,
            "label": label,
            "labelled_by": who,
            "labelled_utc": said,
        }

    def precision(self) -> list[WeeklyPrecision]:
        """Return the alarms and labels of each camera and week, the newest week first; they may be a minute old.

        Raises:
            StoreError: they cannot be read now.
        """
        counted, now = self._counted, self._now()
        if counted is None or not 0 <= now - counted[0] < _COUNT_SECONDS:
            counted = self._counted = now, weekly_precision(self._store.read(all_alarms))
        return counted[1]

    def this_week(self, camera: str) -> dict[str, Any]:
        """Return of a camera's alarms of this week `labelled_real`, `labelled_false` and their `precision`."""
        try:
            rows = self.precision()
        except StoreError:
            return {}
        week = week_of(iso(self._now()))
        row = next((row for row in rows if (row.camera, row.week) == (camera, week)), None)
        row = row or WeeklyPrecision(camera, "", 0, 0, 0)
        return {"labelled_real": row.real, "labelled_false": row.false, "precision": row.precision}

    def obey(self, camera: str, command: bytes, by: str = "MQTT") -> None:
        """Label the last alarm of a camera as a text says: `false`, `real` or `none`; else it is logged."""
        text = command[:_MAX_TEXT].decode("utf-8", "replace").strip()
        if text not in (*get_args(Label), NO_LABEL):
            logger.warning("camera %s: %r is no label: it is false, real or none", camera, text)
            return
        try:
            last = last_alarms(self._store, [camera]).get(camera)
            if last is None:
                logger.warning("camera %s: there is no alarm to label %s", camera, text)
                return
            self.set(last.id, None if text == NO_LABEL else cast(Label, text), by)
        except (StoreError, KeyError) as error:  # KeyError: it was removed meanwhile
            logger.warning("camera %s: the alarm was not labelled %s: %s", camera, text, error)


def last_alarms(store: EventStore, cameras: Collection[str]) -> dict[str, LabelledAlarm]:
    """Return the last alarm of each camera that was delivered; a camera without one is left out.

    Raises:
        StoreError: they cannot be read now.
    """
    found = {}
    for camera in cameras:
        delivered = (alarm for alarm in store.recent(_LOOK_BACK, camera) if alarm.get("armed", True))
        if (last := next(delivered, None)) is not None:
            found[camera] = LabelledAlarm(last["id"], last["label"])
    return found


def _summary(connection: sqlite3.Connection, alarm: str) -> dict[str, Any]:
    row = connection.execute("SELECT summary FROM alarms WHERE id = ?", (alarm,)).fetchone()
    if row is None:
        raise KeyError(alarm)
    summary: dict[str, Any] = json.loads(row[0])
    return {"armed": True, **summary}

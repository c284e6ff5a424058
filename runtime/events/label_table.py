"""The table of labels in the event store: what operators said of alarms.

A label outlives its alarm, which is removed after `store.keep_days`: commissioning needs it as long as there are
recordings. So it keeps the summary that the alarm had.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Literal

from runtime.json_values import iso

Label = Literal["false", "real"]

_TABLE = """
CREATE TABLE IF NOT EXISTS labels (
    alarm TEXT PRIMARY KEY, label TEXT NOT NULL, who TEXT NOT NULL, utc REAL NOT NULL, summary TEXT NOT NULL
) WITHOUT ROWID
"""


def create_label_table(connection: sqlite3.Connection) -> None:
    """Create the table where a store of an earlier version has none."""
    connection.execute(_TABLE)


def set_label(
    connection: sqlite3.Connection, alarm: dict[str, Any], label: Label | None, who: str, utc: float
) -> None:
    """Set the label of an alarm, or remove it.

    Args:
        connection: in a transaction.
        alarm: its summary.
        label: what somebody said; None to remove it.
        who: said it.
        utc: when, seconds since 1970.
    """
    connection.execute("DELETE FROM labels WHERE alarm = ?", (alarm["id"],))
    if label is not None:
        summary = {key: value for key, value in alarm.items() if key not in with_label({}, None, None, None)}
        row = (alarm["id"], label, who, utc, json.dumps(summary))
        connection.execute("INSERT INTO labels VALUES (?, ?, ?, ?, ?)", row)


def with_label(
    alarm: dict[str, Any], label: Label | None, who: str | None, utc: float | None
) -> dict[str, Any]:
    """Return an alarm with `label`, `labelled_by` and `labelled_utc`, all None of one without a label."""
    return {**alarm, "label": label, "labelled_by": who, "labelled_utc": None if utc is None else iso(utc)}


def all_alarms(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Return the summaries of all alarms with their labels, the oldest first.

    Alarms with a label are among them although their messages were removed. The table of labels may be missing.
    """
    rows = connection.execute("SELECT id, summary FROM alarms").fetchall()
    alarms = {alarm: json.loads(summary) for alarm, summary in rows}
    labels: dict[str, tuple[Label, str, float]] = {}
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'labels'").fetchone():
        for alarm, label, who, utc, summary in connection.execute("SELECT * FROM labels").fetchall():
            alarms.setdefault(alarm, json.loads(summary))
            labels[alarm] = label, who, utc
    found = [with_label(summary, *labels.get(alarm, (None, None, None))) for alarm, summary in alarms.items()]
    return sorted(found, key=lambda alarm: (str(alarm["began_utc"]), alarm["id"]))

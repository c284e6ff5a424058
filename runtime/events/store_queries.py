"""The queries of the event store."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from runtime.events.label_table import with_label
from runtime.events.message import EventMessage

LOST = "store.lost"
"""The key of the count of messages that were removed before they were delivered."""

_MAX_REMOVED = 500  # messages removed in one transaction
_MAX_VACUUMED = 1000  # pages returned to the file system in one transaction


def insert_message(connection: sqlite3.Connection, message: EventMessage, line: str) -> None:
    """Store a message and the summary of its alarm, if it is of one, unless the message is stored already."""
    content = message.content
    key = (message.id, message.sequence)
    # A conflict clause would use up a message number.
    if connection.execute("SELECT 1 FROM messages WHERE id = ? AND sequence = ?", key).fetchone():
        return
    number = connection.execute(
        "INSERT INTO messages (id, sequence, kind, camera, utc, content) VALUES (?, ?, ?, ?, ?, ?)",
        (*key, message.kind, message.camera, message.utc, line),
    ).lastrowid
    if message.type != "alarm":
        return
    peak = content.get("peak") or {}
    ended = message.kind == "end"
    summary = {
        "id": message.id,
        "camera": message.camera,
        "began_utc": content.get("began_utc"),
        "ended_utc": content.get("utc") if ended else None,
        "seconds": content.get("seconds"),
        **{name: peak.get(name) for name in ("score", "p_value", "rarity", "why", "person")},
        "reason": content.get("reason"),
        "interrupted": bool(content.get("interrupted", False)),
        "armed": message.armed,
    }
    connection.execute(
        "INSERT INTO alarms VALUES (?1, ?2, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE "
        "SET last = ?2, ended = max(ended, ?4), summary = ?5",
        (message.id, number, message.camera, ended, json.dumps(summary)),
    )


def recent_alarms(
    connection: sqlite3.Connection, camera: str | None, before: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return the summaries of alarms with their labels, the newest first; see `EventStore.recent`."""
    rows = connection.execute(
        "SELECT alarms.summary, labels.label, labels.who, labels.utc FROM alarms LEFT JOIN labels "
        "ON labels.alarm = alarms.id WHERE (?1 IS NULL OR alarms.camera = ?1) AND (?2 IS NULL OR alarms.number < "
        "(SELECT number FROM alarms WHERE id = ?2)) ORDER BY alarms.number DESC LIMIT ?3",
        (camera, before, limit),
    ).fetchall()
    return [with_label(json.loads(summary), label, who, utc) for summary, label, who, utc in rows]


def last_message(connection: sqlite3.Connection, alarm: str) -> dict[str, Any] | None:
    """Return the content of the last message of an alarm, with its label; None when it is unknown."""
    row = connection.execute(
        "SELECT messages.content, labels.label, labels.who, labels.utc FROM messages LEFT JOIN labels "
        "ON labels.alarm = messages.id WHERE messages.id = ? ORDER BY sequence DESC LIMIT 1",
        (alarm,),
    ).fetchone()
    return None if row is None else with_label(json.loads(row[0]), *row[1:])


def highest_number(connection: sqlite3.Connection) -> int:
    """Return the number of the newest message that was ever stored, 0 for none."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").fetchone()
    return 0 if row is None else int(row[0])


def get_value(connection: sqlite3.Connection, key: str) -> Any:
    """Return a small value, None when it was never set."""
    row = connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
    return None if row is None else json.loads(row[0])


def set_value(connection: sqlite3.Connection, key: str, value: Any) -> None:
    """Store a small value."""
    connection.execute("REPLACE INTO state VALUES (?, ?)", (key, json.dumps(value, allow_nan=False)))


def remove_oldest(
    connection: sqlite3.Connection, keep_messages: int, oldest: float, delivered: int
) -> tuple[int, int]:
    """Remove some of the oldest messages, and the alarms that have no others.

    Args:
        connection: in a transaction.
        keep_messages: beyond that number messages are removed, delivered or not.
        oldest: the time (seconds since 1970) before which delivered ones are removed.
        delivered: messages up to this number are delivered.

    Returns:
        How many were removed, and how many of them were not delivered.
    """
    rows = connection.execute(
        "SELECT number, utc FROM messages ORDER BY number LIMIT ?", (_MAX_REMOVED,)
    ).fetchall()
    surplus = highest_number(connection) - keep_messages
    removed = 0
    for number, utc in rows:
        if number > surplus and (number > delivered or utc >= oldest):
            break
        removed += 1
    if removed == 0:
        return 0, 0
    last = rows[removed - 1][0]
    lost = sum(number > delivered for number, _ in rows[:removed])
    connection.execute("DELETE FROM messages WHERE number <= ?", (last,))
    connection.execute("DELETE FROM alarms WHERE last <= ?", (last,))
    if lost:
        set_value(connection, LOST, int(get_value(connection, LOST) or 0) + lost)
    # Each row of this pragma's result is a page that was returned; fetching them is what does it.
    connection.execute(f"PRAGMA incremental_vacuum({_MAX_VACUUMED})").fetchall()
    return removed, lost

"""What is read from the tables of the event store, and written to them."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from runtime.events.message import EventMessage

LOST = "store.lost"
"""The small value that counts messages which went before they were delivered."""

_STEP = 500  # messages that are removed at a time
_PAGES = 1000  # pages that are given back to the file system at a time


def insert_message(connection: sqlite3.Connection, message: EventMessage, line: str) -> None:
    """Store a message and what is known of its alarm; nothing happens when it is there already."""
    content = message.content
    key = (message.id, message.sequence)
    # A conflict clause would use up a number.
    if connection.execute("SELECT 1 FROM messages WHERE id = ? AND sequence = ?", key).fetchone():
        return
    number = connection.execute(
        "INSERT INTO messages (id, sequence, kind, camera, utc, content) VALUES (?, ?, ?, ?, ?, ?)",
        (*key, message.kind, message.camera, message.utc, line),
    ).lastrowid
    peak = content.get("peak") or {}
    ended = message.kind == "end"
    summary = {
        "id": message.id,
        "camera": message.camera,
        "began_utc": content.get("began_utc"),
        "ended_utc": content.get("utc") if ended else None,
        "seconds": content.get("seconds"),
        **{name: peak.get(name) for name in ("score", "p_value", "person")},
        "interrupted": bool(content.get("interrupted", False)),
    }
    connection.execute(
        "INSERT INTO alarms VALUES (?1, ?2, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE "
        "SET last = ?2, ended = max(ended, ?4), summary = ?5",
        (message.id, number, message.camera, ended, json.dumps(summary)),
    )


def highest_number(connection: sqlite3.Connection) -> int:
    """Return the number of the newest message there ever was, 0 for none."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").fetchone()
    return 0 if row is None else int(row[0])


def get_value(connection: sqlite3.Connection, key: str) -> Any:
    """Return a small value, None when it was never set."""
    row = connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
    return None if row is None else json.loads(row[0])


def set_value(connection: sqlite3.Connection, key: str, value: Any) -> None:
    """Keep a small value."""
    connection.execute("REPLACE INTO state VALUES (?, ?)", (key, json.dumps(value, allow_nan=False)))


def remove_oldest(
    connection: sqlite3.Connection, keep_messages: int, oldest: float, delivered: int
) -> tuple[int, int]:
    """Remove some messages from the front, and the alarms that have no others.

    Args:
        connection: in a transaction.
        keep_messages: beyond that number they go, delivered or not.
        oldest: the time (seconds since 1970) before which delivered ones go.
        delivered: up to this number they are delivered.

    Returns:
        How many were removed, and how many of them were not delivered.
    """
    rows = connection.execute("SELECT number, utc FROM messages ORDER BY number LIMIT ?", (_STEP,)).fetchall()
    surplus = highest_number(connection) - keep_messages
    gone = 0
    for number, utc in rows:
        if number > surplus and (number > delivered or utc >= oldest):
            break
        gone += 1
    if gone == 0:
        return 0, 0
    last = rows[gone - 1][0]
    lost = sum(number > delivered for number, _ in rows[:gone])
    connection.execute("DELETE FROM messages WHERE number <= ?", (last,))
    connection.execute("DELETE FROM alarms WHERE last <= ?", (last,))
    if lost:
        set_value(connection, LOST, int(get_value(connection, LOST) or 0) + lost)
    # Each row of this pragma's result is a page that was given back.
    connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
    return gone, lost

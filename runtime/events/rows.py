"""What is read from the tables of the event store, and written to them."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from runtime.events.message import EventMessage


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

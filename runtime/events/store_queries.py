"""The queries of the event store."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
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
    if message.type == "alarm_evidence":  # which says nothing about the alarm that its end did not
        connection.execute("UPDATE alarms SET last = ? WHERE id = ?", (number, message.id))
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
        "INSERT INTO alarms VALUES (:id, :number, :number, :camera, :ended, :summary) ON CONFLICT (id) DO UPDATE "
        "SET last = :number, ended = max(ended, :ended), summary = :summary",
        {
            "id": message.id,
            "number": number,
            "camera": message.camera,
            "ended": ended,
            "summary": json.dumps(summary),
        },
    )


def recent_alarms(
    connection: sqlite3.Connection, camera: str | None, before: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return the summaries of alarms with their labels, the newest first; see `EventStore.recent`."""
    rows = connection.execute(
        "SELECT alarms.summary, labels.label, labels.who, labels.utc FROM alarms LEFT JOIN labels "
        "ON labels.alarm = alarms.id WHERE (:camera IS NULL OR alarms.camera = :camera) AND (:before IS NULL OR "
        "alarms.number < (SELECT number FROM alarms WHERE id = :before)) ORDER BY alarms.number DESC LIMIT :limit",
        {"camera": camera, "before": before, "limit": limit},
    ).fetchall()
    return [with_label(json.loads(summary), label, who, utc) for summary, label, who, utc in rows]


def labelled_content(connection: sqlite3.Connection, alarm: str) -> dict[str, Any] | None:
    """Return the content of the last message about an alarm, with its label; None when it is unknown."""
    message = last_message(connection, alarm)
    if message is None:
        return None
    row = connection.execute("SELECT label, who, utc FROM labels WHERE alarm = ?", (alarm,)).fetchone()
    return with_label(message.content, *(row or (None, None, None)))


def end_interrupted_alarms(connection: sqlite3.Connection) -> None:
    """End the alarms that were on when an earlier process was killed."""
    rows = connection.execute(
        "SELECT messages.* FROM alarms JOIN messages ON messages.number = alarms.last WHERE alarms.ended = 0 "
        "ORDER BY alarms.number"
    ).fetchall()
    for _, id_, sequence, _, camera, utc, content in rows:
        end = json.loads(content) | {
            "sequence": sequence + 1,
            "event": "end",
            "reason": "interrupted",
            "interrupted": True,
        }
        message = EventMessage(id_, sequence + 1, "end", camera, utc, end)
        insert_message(connection, message, message.json())
    # What is left are alarms whose messages were all removed.
    connection.execute("DELETE FROM alarms WHERE ended = 0")


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


def put_replay(connection: sqlite3.Connection, alarm: str, part: str, data: bytes) -> None:
    """Store a part of the replay of an alarm in place of what was stored of it; nothing if the alarm is removed."""
    connection.execute(
        "REPLACE INTO replays SELECT :alarm, :part, number, :length, "
        "coalesce((SELECT max(finished) FROM replays WHERE alarm = :alarm), 0), :data FROM alarms WHERE id = :alarm",
        {"alarm": alarm, "part": part, "length": len(data), "data": data},
    )


def finish_replay(connection: sqlite3.Connection, alarm: str) -> None:
    """Note that the replay of an alarm is whole."""
    connection.execute("UPDATE replays SET finished = 1 WHERE alarm = ?", (alarm,))


def finish_all_replays(connection: sqlite3.Connection) -> list[EventMessage]:
    """Note that no more is recorded of any replay; return the last message of each alarm whose replay it was."""
    connection.execute("DELETE FROM replays WHERE alarm NOT IN (SELECT id FROM alarms)")
    rows = connection.execute("SELECT DISTINCT alarm FROM replays WHERE finished = 0").fetchall()
    connection.execute("UPDATE replays SET finished = 1 WHERE finished = 0")
    found = (last_message(connection, alarm) for (alarm,) in rows)
    return [message for message in found if message is not None]


def last_message(connection: sqlite3.Connection, alarm: str) -> EventMessage | None:
    """Return the last message about an alarm itself, None when it is unknown."""
    row = connection.execute(
        "SELECT id, sequence, kind, camera, utc, content FROM messages WHERE id = ? AND kind != 'alarm_evidence' "
        "ORDER BY sequence DESC LIMIT 1",
        (alarm,),
    ).fetchone()
    if row is None:
        return None
    id_, sequence, kind, camera, utc, content = row
    return EventMessage(id_, sequence, kind, camera, utc, json.loads(content))


def remove_replay_parts(connection: sqlite3.Connection, parts: Sequence[str]) -> None:
    """Remove these parts of all replays, and overwrite their places in the file."""
    connection.execute("PRAGMA secure_delete=ON").fetchall()
    try:
        connection.executemany("DELETE FROM replays WHERE part = ?", [(part,) for part in parts])
        vacuum(connection)
    finally:
        connection.execute("PRAGMA secure_delete=OFF").fetchall()


def remove_oldest_replays(connection: sqlite3.Connection, keep_bytes: int) -> int:
    """Remove the replays of the oldest alarms until all others fit; return how many parts were removed."""
    rows = connection.execute("SELECT number, bytes FROM replays ORDER BY number DESC").fetchall()
    total = 0
    for number, size in rows:
        total += size
        if total > keep_bytes:
            return connection.execute("DELETE FROM replays WHERE number <= ?", (number,)).rowcount
    return 0


def remove_oldest(
    connection: sqlite3.Connection, keep_messages: int, oldest: float, delivered: int
) -> tuple[int, int]:
    """Remove some of the oldest messages, and the alarms that have no others, with their replays.

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
    connection.execute("DELETE FROM replays WHERE alarm IN (SELECT id FROM alarms WHERE last <= ?)", (last,))
    connection.execute("DELETE FROM alarms WHERE last <= ?", (last,))
    if lost:
        set_value(connection, LOST, int(get_value(connection, LOST) or 0) + lost)
    return removed, lost


def vacuum(connection: sqlite3.Connection) -> None:
    """Return some of the pages that are free to the file system."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    for _ in range(min(free, _MAX_VACUUMED)):
        # Python steps through a statement without columns once, and each step returns a single page.
        connection.execute("PRAGMA incremental_vacuum")

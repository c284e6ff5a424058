"""The event store: messages on the disk, until they are delivered and for some time after."""

from __future__ import annotations

import json
import logging
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from daflow.core.errors import InputError
from runtime.config.store_options import StoreOptions
from runtime.events.database import Database, StoreError, lock_store, may_recover
from runtime.events.label_table import create_label_table
from runtime.events.message import EventMessage, alarm_evidence
from runtime.events.store_queries import (
    LOST,
    end_interrupted_alarms,
    finish_all_replays,
    finish_replay,
    get_value,
    highest_number,
    insert_message,
    labelled_content,
    put_replay,
    recent_alarms,
    remove_oldest,
    remove_oldest_replays,
    remove_replay_parts,
    set_value,
    vacuum,
)

__all__ = ["EventStore", "StoreError", "open_store"]

logger = logging.getLogger(__name__)
T = TypeVar("T")

_DAY = 86400.0


class EventStore:
    """Stores messages in an SQLite file; any thread may use it, one process at a time.

    Messages are numbered from 1, and no number is used twice. Each delivery has a cursor: the number of the last
    message that it delivered. Alarms that were on when an earlier process was killed are ended: see
    `EventMessage.content`, `interrupted`.

    Args:
        path: the file; None is a temporary one that `close` removes.
        keep_days: days after which messages are removed that every delivery has delivered.
        keep_messages: beyond that number the oldest are removed, delivered or not; the latter are counted as lost.
        keep_replay_bytes: beyond that the replays of the oldest alarms are removed.
        busy_seconds: how long to wait while another program has locked the file.
        now: gives the seconds since 1970.

    Raises:
        InputError: the file cannot be used: another process uses it, it is another database, it was written by a newer
            version, or its folder cannot be written to. A full disk raises nothing: it may have room later.
    """

    def __init__(
        self,
        path: Path | None = None,
        keep_days: float = 30.0,
        keep_messages: int = 100_000,
        keep_replay_bytes: int = 500_000_000,
        busy_seconds: float = 5.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="daflow-events-") if path is None else None
        self.path = Path(self._temporary.name) / "events.sqlite" if self._temporary else Path(path or "")
        self._keep_days = keep_days
        self._keep_messages = keep_messages
        self._keep_replay_bytes = keep_replay_bytes
        self._now = now
        self._listeners: list[Callable[[], None]] = []
        self._highest = 0
        self._cursors: dict[str, int] = {}
        self._names: list[str] = []
        self._pictures = False
        self._registered = self._opened = self._recovered = self._finished = False
        self._opening = threading.RLock()
        self._process_lock = lock_store(self.path)
        self._database = Database(self.path, self._init_file, busy_seconds)
        try:
            try:
                self._ready()
            except StoreError as error:
                if not may_recover(self.path):
                    raise InputError(f"Cannot use {self.path} as the event store: {error}.") from error
                logger.warning("%s; trying again with the next event", error)
        except BaseException:
            self.close()
            raise

    # Messages

    def append(
        self, *messages: EventMessage, beside: Callable[[sqlite3.Connection], object] = lambda _: None
    ) -> None:
        """Store messages, all or none; they are on the disk when this returns. One that is stored already is skipped.

        Args:
            *messages: what is stored.
            beside: stores something else in the same transaction.

        Raises:
            StoreError: they cannot be stored now.
            ValueError: one holds NaN or an infinite number.
        """
        lines = [message.json() for message in messages]
        self._ready()

        def write(connection: sqlite3.Connection) -> int:
            for message, line in zip(messages, lines, strict=True):
                insert_message(connection, message, line)
            beside(connection)
            return highest_number(connection)

        self._highest = self._database.run(write, write=True)
        for listener in list(self._listeners):
            listener()

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call a function after each `append`, in the same thread."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Stop calling a function."""
        self._listeners.remove(listener)

    def messages_after(self, number: int, limit: int = 100) -> list[tuple[int, EventMessage]]:
        """Return the next messages after a number, each with its number, in the order in which they were stored."""
        self._ready()
        rows = self._database.run(
            lambda connection: connection.execute(
                "SELECT number, id, sequence, kind, camera, utc, content FROM messages WHERE number > ? "
                "ORDER BY number LIMIT ?",
                (number, limit),
            ).fetchall()
        )
        return [
            (number, EventMessage(id_, sequence, kind, camera, utc, json.loads(content)))
            for number, id_, sequence, kind, camera, utc, content in rows
        ]

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a function reads.

        Raises:
            StoreError: it cannot be read now.
        """
        self._ready()
        return self._database.run(work)

    # Alarms

    def recent(
        self, limit: int = 50, camera: str | None = None, before: str | None = None
    ) -> list[dict[str, Any]]:
        """Return alarms, the newest first.

        Args:
            limit: how many at most.
            camera: of this camera only.
            before: the id of an alarm: only alarms that were stored before it; an empty list when it is unknown.

        Returns:
            For each `id`, `camera`, `began_utc`, `ended_utc` (None while it is on), `seconds`, `score`, `p_value`,
            `rarity`, `why` and `person` of the peak, `reason` (why it ended; None while it is on), `interrupted`,
            `armed` (whether the camera was), and `label` (`false`, `real` or None), `labelled_by` and `labelled_utc`.
        """
        return self.read(lambda connection: recent_alarms(connection, camera, before, limit))

    def alarm(self, id: str) -> dict[str, Any] | None:  # noqa: A002 - the word of the messages
        """Return the content of the last message of an alarm and its label, as `recent`; None when it is unknown."""
        return self.read(lambda connection: labelled_content(connection, id))

    def cameras_with_alarm(self) -> set[str]:
        """Return the armed cameras whose alarm is on; none when that cannot be read now."""
        try:
            self._ready()
            rows = self._database.run(
                lambda connection: connection.execute(
                    "SELECT camera, summary FROM alarms WHERE ended = 0"
                ).fetchall()
            )
        except StoreError:
            return set()
        return {camera for camera, summary in rows if json.loads(summary).get("armed", True)}

    # Replays

    def put_replay(self, alarm: str, part: str, data: bytes) -> None:
        """Store a part of the replay of an alarm, such as `skeletons`, in place of what was stored of it.

        Nothing is stored when the alarm is not, or not any more. A replay that the process does not finish, because it
        is killed, is finished at the next start.

        Raises:
            StoreError: it cannot be stored now.
        """
        self._ready()
        self._database.run(lambda connection: put_replay(connection, alarm, part, data), write=True)

    def finish_replay(self, evidence: EventMessage) -> None:
        """Note that the replay of an alarm is whole, and store the message that says so if a delivery takes it.

        Raises:
            StoreError: it cannot be stored now.
        """
        self._ready()
        self._database.run(lambda connection: finish_replay(connection, evidence.id), write=True)
        if self._pictures:
            self.append(evidence)

    def remove_replay_parts(self, *parts: str) -> None:
        """Remove these parts of all replays.

        Raises:
            StoreError: they cannot be removed now.
        """
        self._ready()
        self._database.run(lambda connection: remove_replay_parts(connection, parts), write=True)

    def replay(self, alarm: str, part: str) -> bytes | None:
        """Return a part of the replay of an alarm, None when there is none."""
        query = "SELECT data FROM replays WHERE alarm = ? AND part = ?"
        row = self.read(lambda connection: connection.execute(query, (alarm, part)).fetchone())
        return None if row is None else bytes(row[0])

    def replay_parts(self, alarm: str) -> list[str]:
        """Return the names of the parts of the replay of an alarm that are stored."""
        query = "SELECT part FROM replays WHERE alarm = ? ORDER BY part"
        return [
            part for (part,) in self.read(lambda connection: connection.execute(query, (alarm,)).fetchall())
        ]

    # Deliveries

    def register(self, names: Iterable[str], pictures: bool = False) -> None:
        """Set the names of the deliveries; a new one gets the messages that are stored from now on.

        With `pictures`, one of them takes `alarm_evidence` messages, and they are stored.

        Messages are kept for these only: the cursors of other deliveries do not count. When the store cannot be used
        now, this is done as soon as it can.
        """
        self._names, self._pictures, self._registered = list(names), pictures, True
        self._cursors = dict.fromkeys(self._names, 0)
        self._opened = False
        try:
            self._ready()
        except StoreError as error:
            logger.warning("%s; trying again later", error)

    def undelivered(self, name: str, limit: int = 100) -> tuple[list[tuple[int, EventMessage]], int]:
        """Return the next messages for a registered delivery, and the number of the newest message in the store.

        Raises:
            StoreError: they cannot be read now.
        """
        self._ready()
        highest = self._highest  # before the query: a message that is stored after it must not be skipped
        return self.messages_after(self._cursors[name], limit), highest

    def cursor(self, name: str) -> int:
        """Return the number of the last message that a registered delivery has delivered."""
        return self._cursors[name]

    def pending(self, name: str) -> int:
        """Return how many messages a registered delivery has yet to deliver."""
        return max(self._highest - self._cursors[name], 0)

    def advance(self, name: str, number: int) -> None:
        """Set the cursor of a delivery: it has delivered all messages up to a number.

        Raises:
            StoreError: it is not on the disk; this process knows it, the next one will not.
        """
        self._cursors[name] = number
        self._database.run(
            lambda connection: connection.execute("REPLACE INTO cursors VALUES (?, ?)", (name, number)),
            write=True,
        )

    # Small values

    def get(self, key: str) -> Any:
        """Return the value that was set last, None when it was never set."""
        self._ready()
        return self._database.run(lambda connection: get_value(connection, key))

    def set(self, key: str, value: Any) -> None:
        """Store a small value that JSON can hold; it is on the disk when this returns.

        Raises:
            StoreError: it cannot be stored now.
        """
        self._ready()
        self._database.run(lambda connection: set_value(connection, key, value), write=True)

    # Housekeeping

    @property
    def lost(self) -> int:
        """How many messages were removed before every delivery had delivered them, since the file was created."""
        return int(self.get(LOST) or 0)

    def count(self) -> int:
        """Return how many messages are stored."""
        self._ready()
        return int(
            self._database.run(
                lambda connection: connection.execute("SELECT count(*) FROM messages").fetchone()[0]
            )
        )

    def remove_old(self) -> int:
        """Remove some of the messages that are too old or too many; return how many.

        Each call takes a short time only: call it again while it returns more than 0.
        """
        self._ready()
        oldest = self._now() - self._keep_days * _DAY
        delivered = min(self._cursors.values(), default=self._highest)

        def remove(connection: sqlite3.Connection) -> tuple[int, int]:
            removed, lost = remove_oldest(connection, self._keep_messages, oldest, delivered)
            if removed + remove_oldest_replays(connection, self._keep_replay_bytes):
                vacuum(connection)
            return removed, lost

        removed, lost = self._database.run(remove, write=True)
        if lost:
            logger.error(
                "%d events were removed before they were delivered: the store keeps %d messages (store.keep_messages)",
                lost,
                self._keep_messages,
            )
        return removed

    def close(self) -> None:
        """Close the file; from now on every call raises StoreError."""
        self._database.close()
        self._process_lock.release()
        if self._temporary:
            self._temporary.cleanup()

    def __enter__(self) -> EventStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _init_file(self, connection: sqlite3.Connection) -> None:
        """Continue the numbers of a corrupt file that was renamed, so that no cursor is ahead of them."""
        if self._highest:
            connection.execute("INSERT INTO sqlite_sequence VALUES ('messages', ?)", (self._highest,))
        connection.executemany("INSERT INTO cursors VALUES (?, ?)", self._cursors.items())

    def _ready(self) -> None:
        """Once the file can be used: end interrupted alarms and read the cursors."""
        with self._opening:
            if not self._opened:
                self._highest, cursors = self._database.run(self._open, write=True)
                self._cursors.update(cursors)
                self._recovered = self._opened = True
                self._finished = self._registered

    def _open(self, connection: sqlite3.Connection) -> tuple[int, dict[str, int]]:
        create_label_table(connection)
        if not self._recovered:
            end_interrupted_alarms(connection)
        if self._registered and not self._finished:  # later there are replays that this process records
            left = [alarm_evidence(last) for last in finish_all_replays(connection)]
            for evidence in left if self._pictures else ():
                insert_message(connection, evidence, evidence.json())
        highest = highest_number(connection)
        known = dict(connection.execute("SELECT name, number FROM cursors").fetchall())
        new = {name: highest for name in self._names if name not in known}
        connection.executemany("INSERT INTO cursors VALUES (?, ?)", new.items())
        known |= new
        return highest, {name: known[name] for name in self._names}


def open_store(options: StoreOptions) -> EventStore:
    """Open the store of the section `store` of the configuration.

    Raises:
        InputError: as `EventStore`.
    """
    return EventStore(
        options.path, options.keep_days, options.keep_messages, options.keep_replay_megabytes * 1_000_000
    )

"""An SQLite file that survives crashes and full disks, and is replaced when it is corrupt."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from daflow.core.errors import InputError

logger = logging.getLogger(__name__)
T = TypeVar("T")

SCHEMA = 2
_APPLICATION = 0x0DAF1055
_TABLES = """
CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, sequence INTEGER NOT NULL, kind TEXT NOT NULL,
    camera TEXT NOT NULL, utc REAL NOT NULL, content TEXT NOT NULL, UNIQUE (id, sequence)
);
CREATE TABLE alarms (
    id TEXT PRIMARY KEY, number INTEGER NOT NULL, last INTEGER NOT NULL, camera TEXT NOT NULL,
    ended INTEGER NOT NULL, summary TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX alarms_number ON alarms (number);
CREATE INDEX alarms_last ON alarms (last);
CREATE INDEX alarms_on ON alarms (ended) WHERE ended = 0;
CREATE TABLE cursors (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
# What a version of the schema adds to the one before it.
_ADDED = {
    2: """
CREATE TABLE replays (
    alarm TEXT NOT NULL, part TEXT NOT NULL, number INTEGER NOT NULL, bytes INTEGER NOT NULL,
    finished INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (alarm, part)
);
CREATE INDEX replays_number ON replays (number, bytes);
CREATE INDEX replays_unfinished ON replays (finished) WHERE finished = 0;
"""
}


class StoreError(OSError):
    """The store cannot be used now: the disk is full, the file is locked, or it is closed. A later try may succeed."""


class Database:
    """One connection, used by one thread at a time.

    A commit is on the disk when `run` returns. A corrupt file is renamed to NAME.corrupt-TIME, and a new
    one is created.

    Args:
        path: the file.
        begin: called in the first transaction of each new file.
        busy_seconds: how long to wait while another program has locked the file.
    """

    def __init__(
        self,
        path: Path,
        begin: Callable[[sqlite3.Connection], None],
        busy_seconds: float = 5.0,
    ) -> None:
        self.path = path
        self._begin = begin
        self._busy_seconds = busy_seconds
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._closed = False

    def run(self, work: Callable[[sqlite3.Connection], T], *, write: bool = False) -> T:
        """Call `work` in a transaction and return its result.

        Raises:
            StoreError: it cannot be done now; nothing was changed.
            InputError: the file is another database or was written by a newer version.
        """
        with self._lock:
            if self._closed:
                raise StoreError(f"the event store {self.path} is closed")
            try:
                return self._attempt(work, write)
            except sqlite3.DatabaseError as error:
                # Corruption is the class itself; its subclasses are other failures.
                if type(error) is not sqlite3.DatabaseError:
                    raise self._failure(error) from error
                self._move_corrupt_file(error)
            try:
                return self._attempt(work, write)
            except sqlite3.Error as error:
                raise self._failure(error) from error

    def close(self) -> None:
        """Close the file; from now on `run` raises StoreError."""
        with self._lock:
            self._closed = True
            self._disconnect()

    def _attempt(self, work: Callable[[sqlite3.Connection], T], write: bool) -> T:
        if self._connection is not None and self._identity() != self._file:
            logger.error(
                "The event store %s was removed or replaced while it was open; opening it again", self.path
            )
            self._disconnect()
        connection = self._connection or self._open()
        try:
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            result = work(connection)
            connection.execute("COMMIT")
            return result
        except BaseException:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            raise

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in (
                "auto_vacuum=INCREMENTAL",
                "journal_mode=WAL",
                "synchronous=FULL",
                "journal_size_limit=4194304",
            ):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            self._check_schema(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._file = connection, self._identity()
        return connection

    def _identity(self) -> tuple[int, int] | None:
        """Return what distinguishes the file from another at the same path; None when there is none."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        tables = check_version(connection, self.path)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if tables and version == SCHEMA:
            return
        connection.execute("BEGIN IMMEDIATE")
        if not tables:
            _execute(connection, _TABLES)
            connection.execute(f"PRAGMA application_id={_APPLICATION}")
            self._begin(connection)
            version = 1
        for added in range(version + 1, SCHEMA + 1):
            _execute(connection, _ADDED[added])
        connection.execute(f"PRAGMA user_version={SCHEMA}")
        connection.execute("COMMIT")

    def _move_corrupt_file(self, error: sqlite3.DatabaseError) -> None:
        """Rename the corrupt file and its journals; the next `run` creates a new one."""
        self._disconnect()
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S%f")
        target = self.path.with_name(f"{self.path.name}.corrupt-{stamp}")
        try:
            self.path.rename(target)
            for suffix in ("-wal", "-shm"):
                journal = self.path.with_name(self.path.name + suffix)
                if journal.exists():
                    journal.rename(target.with_name(target.name + suffix))
        except OSError as reason:
            raise StoreError(
                f"the event store {self.path} is corrupt and cannot be renamed: {reason.strerror}"
            ) from error
        logger.error(
            "The event store %s was corrupt (%s): it was renamed to %s and a new one was created. Events in it that "
            "were not yet delivered will not be delivered.",
            self.path,
            error,
            target.name,
        )

    def _failure(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"the event store {self.path} cannot be used: {error}")

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def check_version(connection: sqlite3.Connection, path: Path) -> bool:
    """Check that a file is an event store that this version can read; return False when it is empty.

    Raises:
        InputError: it is another database, or was written by a newer version.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != _APPLICATION:
        raise InputError(f"{path} is another database, not an event store. Choose another file.")
    if version > SCHEMA:
        raise InputError(
            f"The event store {path} was written by a newer version of daflow (schema {version}; this version "
            f"reads up to {SCHEMA}). Update daflow, or choose another file."
        )
    return bool(tables)


def _execute(connection: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        connection.execute(statement)


def lock_store(path: Path) -> FileLock:
    """Lock the store against other processes; `release` the result at the end.

    Raises:
        InputError: another process has locked it, or its folder cannot be written to.
    """
    lock = FileLock(f"{path}.lock", timeout=0, thread_local=False)  # any thread may close the store
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(f"Another process uses the event store {path}. Choose another file.") from None
    except OSError as error:
        raise InputError(f"Cannot use {path} as the event store: {error.strerror}.") from error
    return lock


def may_recover(path: Path) -> bool:
    """Whether a store that cannot be opened may be opened later without a change by somebody."""
    return not path.exists() or (path.is_file() and os.access(path, os.W_OK))

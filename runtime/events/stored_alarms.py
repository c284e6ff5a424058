"""Reads the alarms of an event store that another process may be using."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from daflow.core.errors import InputError
from runtime.events.database import check_version
from runtime.events.label_table import all_alarms

_BUSY_S = 5.0


def read_alarms(path: Path) -> list[dict[str, Any]]:
    """Return all alarms of a store with their labels, as `EventStore.recent` has them, but the oldest first.

    Labelled alarms are among them also when they are so old that they were removed.

    Raises:
        InputError: there is no such file, it is no event store, or it cannot be read.
    """
    if not path.is_file():
        raise InputError(
            f"There is no event store {path}: name the file of store.path (--store of daflow-edge)."
        )
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as connection:
            if not check_version(connection, path):
                return []
            return all_alarms(connection)
    except sqlite3.Error as error:
        raise InputError(f"Cannot read the event store {path}: {error}.") from error

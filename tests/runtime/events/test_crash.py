"""A process that is killed in the middle of writing."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from runtime.events.store import EventStore

# The child prints each key after the store has acknowledged it.
WRITER = """
import os, sys, time, uuid
from pathlib import Path
from runtime.events.message import EventMessage
from runtime.events.store import EventStore

store = EventStore(Path(sys.argv[1]), keep_messages=int(sys.argv[2]))
store.register(["fake"])
os.write(1, b"ready\\n")
while True:
    alarm = uuid.uuid4().hex
    for sequence, kind in enumerate(("begin", "update", "end")):
        content = {"event": kind, "utc": "now", "text": "x" * 6000}
        message = EventMessage(alarm, sequence, kind, "door", time.time(), content)
        store.append(message)
        os.write(1, message.key.encode() + b"\\n")
    store.remove_old()
"""


def write_until_killed(path: Path, keep: int, seconds: float) -> list[str]:
    """Return what was acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(keep)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        output = b""
        deadline = None
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(child.stdout, selectors.EVENT_READ)
                while deadline is None or time.monotonic() < deadline:
                    if selector.select(0.01):
                        output += os.read(child.stdout.fileno(), 65536)
                    assert child.poll() is None
                    if deadline is None and b"ready\n" in output:
                        deadline = time.monotonic() + seconds
        finally:
            child.kill()
        output += child.stdout.read()
    ready, *keys = output.decode().split("\n")[:-1]
    assert ready == "ready"
    return keys


def test_killed_twenty_times_no_acknowledged_event_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    chance = np.random.default_rng(0)
    acknowledged: list[str] = []
    for _ in range(20):
        acknowledged += write_until_killed(path, 1_000_000, chance.uniform(0.02, 0.25))
    assert len(acknowledged) > 40
    with EventStore(path) as store:
        stored = [message.key for _, message in store.messages_after(0, 1_000_000)]
        assert set(acknowledged) <= set(stored)
        assert len(stored) == len(set(stored))
        assert all(alarm["ended_utc"] or alarm["interrupted"] for alarm in store.recent(1_000_000))
    assert not list(tmp_path.glob("*corrupt*"))


def test_killed_while_old_events_are_removed_the_newest_are_there(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    chance = np.random.default_rng(1)
    for _ in range(5):
        last = write_until_killed(path, 20, chance.uniform(0.1, 0.3))[-15:]
        with EventStore(path) as store:
            assert set(last) <= {message.key for _, message in store.messages_after(0, 1000)}
    assert not list(tmp_path.glob("*corrupt*"))

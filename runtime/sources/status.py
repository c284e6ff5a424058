"""The status of a source, which one thread changes while others read it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from runtime.sources.frames import SourceState, SourceStatus


class StatusKeeper:
    """Keeps the status of a source; every method may be called from any thread.

    >>> keeper = StatusKeeper()
    >>> keeper.to("streaming")
    True
    >>> keeper.to("streaming"), keeper.value.state
    (False, 'streaming')
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value = SourceStatus(since=time.time())

    @property
    def value(self) -> SourceStatus:
        """The status now."""
        return self._value

    def to(self, state: SourceState, error: str | None = None) -> bool:
        """Set the state and, if given, the last error; return whether the state has changed."""
        with self._lock:
            changed = state != self._value.state
            if changed:
                self._value = replace(self._value, state=state, since=time.time())
            if error is not None:
                self._value = replace(self._value, error=error)
            return changed

    def drop(self, frames: int = 1) -> None:
        """Count frames that were skipped."""
        with self._lock:
            self._value = replace(self._value, dropped=self._value.dropped + frames)

    def set_damaged(self, packets: int) -> None:
        """Set how many packets were left out because they are damaged."""
        if packets != self._value.damaged:
            with self._lock:
                self._value = replace(self._value, damaged=packets)

    def reconnect(self) -> None:
        """Count a reconnection."""
        with self._lock:
            self._value = replace(self._value, reconnects=self._value.reconnects + 1)

"""When events arrive: a named pipe in place of the reader of a service's events."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from types import TracebackType

_END = b"end\n"


class EventPipe:
    """A named pipe to which a service writes its events, and a thread that records how late each of them is.

    Attributes:
        path: the pipe, for `--events`.
        delays: seconds from the arrival of the frame to that of the event that it caused.
    """

    def __enter__(self) -> EventPipe:
        self._folder = tempfile.TemporaryDirectory(prefix="daflow-profile-")
        self.path = Path(self._folder.name) / "events"
        self.delays: list[float] = []
        os.mkfifo(self.path)
        # Opened for both, so that opening does not block.
        self._stream = os.fdopen(os.open(self.path, os.O_RDWR), "r+b", buffering=0)
        self._thread = threading.Thread(target=self._read, name="event-pipe", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.write(_END)
        self._thread.join()
        self._stream.close()
        self._folder.cleanup()

    def _read(self) -> None:
        waiting = b""
        while True:
            waiting += self._stream.read(65_536) or b""
            now = time.time()
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                if line + b"\n" == _END:
                    return
                message = json.loads(line)
                if message.get("event") in ("begin", "update"):  # the last one comes when the service stops
                    self.delays.append(max(0.0, now - datetime.fromisoformat(message["utc"]).timestamp()))

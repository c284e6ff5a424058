"""Where results go: alarm events as JSON lines, and every frame's score as CSV."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from runtime.frames import Keypoints
from runtime.pipeline import Result


class LineFile:
    """A text file that is appended to line by line, each handed to the operating system at once."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = path.open("a", encoding="utf-8", buffering=1)
        self.empty = self._file.tell() == 0

    def write(self, line: str) -> None:
        """Append one line."""
        self._file.write(line + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class EventLog:
    """Writes `begin` and `end` of each alarm to a JSON lines file; events of earlier runs stay in it.

    A line holds `event`, `alarm` (its number in this run), `utc`, `time` (seconds of the source), `frame`, `person`,
    `score`, `threshold` and `skeleton` (18 joints of x, y, confidence); an `end` also `peak` and `seconds`.
    An alarm that is on when the source ends is ended there.
    """

    def __init__(self, path: Path | None, threshold: float) -> None:
        self._file = LineFile(path) if path else None
        self._threshold = threshold
        self.alarms = 0
        self._begun: Result | None = None
        self._last: Result | None = None
        self._peak = float("-inf")

    def __call__(self, result: Result) -> None:
        """Take the result of a frame."""
        self._last = result
        if result.change == "begin":
            self.alarms += 1
            self._begun = result
            self._peak = float("-inf")
            self._write("begin", result)
        if self._begun and result.score is not None:
            self._peak = max(self._peak, result.score)
        if result.change == "end":
            self._end(result)

    def _end(self, result: Result) -> None:
        assert self._begun is not None
        seconds = round(result.frame.time - self._begun.frame.time, 3)
        self._write("end", result, peak=round(self._peak, 4), seconds=seconds)
        self._begun = None

    def _write(self, event: str, result: Result, **more: float) -> None:
        if self._file is None:
            return
        worst = result.worst
        line: dict[str, Any] = {
            "event": event,
            "alarm": self.alarms,
            "utc": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "time": round(result.frame.time, 3),
            "frame": result.frame.index,
            "person": worst.person if worst else None,
            "score": None if worst is None or worst.score is None else round(worst.score, 4),
            "threshold": round(self._threshold, 4),
            **more,
            "skeleton": _joints(worst.keypoints) if worst else None,
        }
        self._file.write(json.dumps(line, allow_nan=False))

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._begun and self._last:
                self._end(self._last)
        finally:
            if self._file:
                self._file.close()


def _joints(keypoints: Keypoints) -> list[list[float | None]]:
    """Joints for JSON, which has no NaN: a value that is not finite becomes null."""
    rows = keypoints.astype(float).round(2).tolist()
    return [[value if math.isfinite(value) else None for value in joint] for joint in rows]


class ScoreLog:
    """Writes a CSV line for each frame: frame, time (s), person, score (bits/dim), alarm (0 or 1)."""

    def __init__(self, path: Path) -> None:
        self._file = LineFile(path)
        self._header_missing = self._file.empty

    def __call__(self, result: Result) -> None:
        """Take the result of a frame."""
        if self._header_missing:
            self._file.write("frame,time,person,score,alarm")
            self._header_missing = False
        who = f"{result.worst.person},{result.score:.4f}" if result.worst else ","
        self._file.write(f"{result.frame.index},{result.frame.time:.3f},{who},{int(result.alarm)}")

    def __enter__(self) -> ScoreLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

"""The score of every frame, as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from runtime.pipeline.results import FrameResult


class LineFile:
    """A text file to which lines are appended, each written at once."""

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


class ScoreLog:
    """Writes a CSV line for each frame: camera, frame, time (s), person, score, alarm (0 or 1)."""

    def __init__(self, path: Path) -> None:
        self._file = LineFile(path)
        self._header_missing = self._file.empty

    def __call__(self, result: FrameResult) -> None:
        """Take the result of a frame."""
        if self._header_missing:
            self._file.write("camera,frame,time,person,score,alarm")
            self._header_missing = False
        who = "," if result.worst is None else f"{result.worst.person},{result.score:.4f}"
        frame = result.frame
        self._file.write(f"{result.camera},{frame.index},{frame.time:.3f},{who},{int(result.alarm)}")

    def __enter__(self) -> ScoreLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

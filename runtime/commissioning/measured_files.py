"""What is in each recording, kept in a file: to read days of skeletons again at each start would take minutes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, RootModel, ValidationError

from daflow.core.data.tracks import TrackFile
from daflow.core.files import write_text
from runtime.commissioning.needs import Recorded


class _Measured(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    modified_ns: int
    size: int
    seconds: NonNegativeFloat
    people: NonNegativeInt
    hours_of_day: tuple[int, ...]

    def recorded(self) -> Recorded:
        return Recorded(self.seconds, self.people, frozenset(self.hours_of_day))


class _File(RootModel[dict[str, _Measured]]):
    pass


class MeasuredFiles:
    """What is in recordings; a file that has changed is measured again.

    Args:
        path: where it is kept; a file that is missing or damaged counts as empty, and one that cannot be written is
            not.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, _Measured] | None = None
        self._changed = False

    def measure(self, file: TrackFile, measure: Callable[[TrackFile], Recorded]) -> Recorded:
        """Return what is in a recording below the folder of the file, by `measure` where it is not known.

        Raises:
            OSError: it is not there any more.
        """
        if self._known is None:
            self._known = self._read()
        status, name = file.path.stat(), str(file.path.relative_to(self._path.parent))
        known = self._known.get(name)
        if known is None or (known.modified_ns, known.size) != (status.st_mtime_ns, status.st_size):
            found = measure(file)
            known = self._known[name] = _Measured(
                modified_ns=status.st_mtime_ns, size=status.st_size, seconds=found.seconds, people=found.people,
                hours_of_day=tuple(sorted(found.hours_of_day)),
            )  # fmt: skip
            self._changed = True
        return known.recorded()

    def save(self) -> None:
        """Write what has changed."""
        if self._changed and self._known is not None:
            self._changed = False
            content = {name: known.model_dump() for name, known in self._known.items()}
            with contextlib.suppress(OSError):  # it is measured again then
                write_text(self._path, json.dumps(content))

    def _read(self) -> dict[str, _Measured]:
        try:
            return _File.model_validate_json(self._path.read_bytes()).root
        except (OSError, ValidationError):
            return {}

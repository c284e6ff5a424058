"""What the schemas of files share: counts, file names and plain values in bounds, and what was wrong in words."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from daflow.core.log import shortened

MAX_DEPTH = 20
MAX_VALUES = 100_000
_MAX_INTEGER = 2**63
_MAX_NAME_BYTES = 255  # of all file systems in use

Count = Annotated[int, Field(ge=0, lt=_MAX_INTEGER)]


def problem(error: ValidationError) -> str:
    """Return where in a file its first fault is, and what it is, in one phrase.

    >>> from pydantic import TypeAdapter
    >>> try:
    ...     TypeAdapter(dict[str, Count]).validate_python({"windows": -1})
    ... except ValidationError as error:
    ...     problem(error)
    'windows: Input should be greater than or equal to 0'
    """
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = shortened(".".join(str(part) for part in first["loc"]))
    reason = first["msg"].removeprefix("Value error, ")
    return f"{where}: {reason}" if where else reason


def require_plain_name(name: str) -> str:
    """Check that a text names a file of a folder, not one in a folder in it or outside, and return it.

    Raises:
        ValueError: it does not.
    """
    if (
        name in ("", ".", "..")
        or PurePosixPath(name).name != name
        or any(letter in name for letter in "\\\0")
        or not _is_text(name)
        or len(name.encode()) > _MAX_NAME_BYTES
    ):
        raise ValueError(f"{shortened(name)!r} is not the plain name of a file in the folder")
    return name


FileName = Annotated[str, AfterValidator(require_plain_name)]
"""The name of a file in the folder of the file that names it."""


def require_plain(value: object) -> object:
    """Check that a value is None, a bool, a number, a text, or a list or dictionary of such values, and return it.

    Lists and dictionaries are at most 20 deep and hold at most 100,000 values, each counted as often as it is met: a
    list that contains itself, or that holds one list many times, ends the check too.

    Raises:
        ValueError: it is something else.

    >>> require_plain({"losses": [1.5, 1.25]})
    {'losses': [1.5, 1.25]}
    """
    below: list[tuple[object, int]] = [(value, 0)]
    count = 0
    while below:
        item, depth = below.pop()
        parts: list[object] = []
        if isinstance(item, dict):
            if not all(_is_text(key) for key in item):
                raise ValueError("a name in it is not a text of UTF-8")
            parts = [*item.values()]
        elif isinstance(item, list | tuple):
            parts = [*item]
        elif not _is_leaf(item):
            raise ValueError(f"a value of the kind {type(item).__name__} cannot be used here")
        count += len(parts)
        if depth == MAX_DEPTH and parts:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        if count > MAX_VALUES:
            raise ValueError(f"it holds more than {MAX_VALUES} values")
        below += [(part, depth + 1) for part in parts]
    return value


PlainValues = Annotated[dict[str, Any], BeforeValidator(require_plain)]
"""A dictionary of plain values, for pydantic."""


def _is_leaf(value: object) -> bool:
    if type(value) is int:
        return abs(value) < _MAX_INTEGER
    return value is None or type(value) in (bool, float) or _is_text(value)


def _is_text(value: object) -> bool:
    """Whether a value is a text that UTF-8 can hold, unlike half of a surrogate pair."""
    if type(value) is not str:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

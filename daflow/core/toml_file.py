"""Reads TOML, which people write, and which may be of anybody: it is bounded in size, depth and time."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from daflow.core.errors import InputError, unusable_package
from daflow.core.files import decode_text

Tree = dict[str, Any]

_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'")

_MAX_BYTES = 1 << 20  # a configuration of a thousand cameras is smaller
_MAX_DOTS = 64  # of a name; a setting has four, but tomllib takes cubic time
_MAX_DEPTH = 8  # tables and lists in each other; the corner of a zone is in seven


def read_toml(path: Path) -> Tree:
    """Read a TOML file.

    Raises:
        InputError: it is missing or is not TOML; the message names the line.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError as error:
            raise unusable_package(error, "tomli", "edge") from None
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise InputError(f"{path} is larger than 1 MiB; it is probably not a configuration.")
        text = decode_text(content).replace("\r\n", "\n").replace("\r", "\n")
        _refuse_long_names(text)
        tree = tomllib.loads(text)
        _refuse_depth(tree)
        return tree
    except FileNotFoundError:
        raise InputError(
            f"There is no configuration {path}; daflow-edge --print-config prints one."
        ) from None
    except OSError as error:
        raise InputError(f"Cannot read the configuration {path}: {error.strerror}.") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deep; a setting is in at most four tables.") from None
    except ValueError as error:
        raise InputError(f"{path} is not valid TOML: {error}.") from None


def _refuse_long_names(text: str) -> None:
    """Refuse a name such as a.a.a.a with very many parts, which `tomllib` would read for hours.

    Raises:
        ValueError: there is one; the message names the line.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") <= _MAX_DOTS:
            continue
        bare = _STRING.sub("", line).partition("#")[0]
        if max(part.count(".") for part in bare.split(",")) > _MAX_DOTS:  # many numbers may be on a line
            raise ValueError(f"line {number} has more than {_MAX_DOTS} dots in one name")


def _refuse_depth(tree: Tree) -> None:
    """Refuse what is nested so deep that functions which call themselves would fail.

    Raises:
        RecursionError: it is.
    """
    level: list[Any] = [tree]
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if any(isinstance(inner, (dict, list)) for inner in level):
        raise RecursionError

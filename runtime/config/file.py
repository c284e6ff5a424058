"""Reads, checks and writes the configuration of `daflow-edge` as TOML."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from daflow.core.errors import InputError
from daflow.core.files import read_text
from runtime.config.schema import Config, places
from runtime.sources.redaction import holds_secret, redacted

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Tree = dict[str, Any]

_MAX_BYTES = 1 << 20  # a configuration of a thousand cameras is smaller
_MAX_ERRORS = 20  # lines that fit on a screen


def read_toml(path: Path) -> Tree:
    """Read a TOML file.

    Raises:
        InputError: it is missing or is not TOML; the message names the line.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} is larger than 1 MiB; it is probably not a configuration.")
        return tomllib.loads(read_text(path))
    except FileNotFoundError:
        raise InputError(
            f"There is no configuration {path}; daflow-edge --print-config prints one."
        ) from None
    except OSError as error:
        raise InputError(f"Cannot read the configuration {path}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid TOML: {error}.") from None


def make_config(
    path: Path | None, options: Mapping[tuple[str, ...], Any], names: Mapping[tuple[str, ...], str]
) -> Config:
    """Combine a file with options of the command line, which override it.

    Args:
        path: the TOML file; None when there are only options.
        options: values by the place of their field, such as `("mqtt", "port")`.
        names: what each option is called on the command line, for messages.

    Raises:
        InputError: a field is wrong or missing; the message has a line for each.
    """
    tree = read_toml(path) if path else {}
    if path:
        _resolve_paths(tree, path.parent)
    for place, value in options.items():
        _put(tree, place, value)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        lines = [_error_line(path, names, options, wrong) for wrong in found[:_MAX_ERRORS]]
        more = len(found) - len(lines)
        raise InputError("\n".join([*lines, *([f"... and {more} more"] if more else [])])) from None


_MESSAGES = {
    "extra_forbidden": "There is no such setting",
    "path_type": "This must be the name of a file or folder",
    "dict_type": "This must be a table",
    "model_type": "This must be a table",
}
_DESCRIPTIONS = {place[-1:]: str(field.description) for place, field in places()}


def _put(tree: Tree, place: tuple[str, ...], value: Any) -> None:
    *sections, field = place
    for section in sections:
        inner = tree.get(section)
        if not isinstance(inner, dict):
            inner = tree[section] = {}
        tree = inner
    tree[field] = value


def _error_line(
    path: Path | None,
    names: Mapping[tuple[str, ...], str],
    options: Mapping[tuple[str, ...], Any],
    wrong: Any,
) -> str:
    place = tuple(str(part) for part in wrong["loc"] if part != "[key]")
    message = str(wrong["msg"]).rstrip(".")
    given = next((names.get(place[:n]) for n in range(len(place), 0, -1) if place[:n] in options), None)
    if wrong["type"] == "missing" and (given is None):
        option = names.get(place) or ("--source" if place == ("cameras",) else None)
        return f"{'.'.join(place)} is missing: give {option}, or set it in a file that --config names."
    message = _MESSAGES.get(wrong["type"], message)
    described = _DESCRIPTIONS.get(tuple(part for part in place if part != "cameras")[-1:] or place)
    if wrong["type"] == "string_pattern_mismatch" and described:
        message = f"This does not have the right form: {described.rstrip('.')}"
    shown = ".".join(map(_key, place))
    where = given or (f"{path}: {shown}" if path else shown)
    return f"{where}: {message}."


_PATHS = {"bundle", "pose_model", "events", "scores", "video", "record", "path", "ca_file"}


def _resolve_paths(tree: Tree, folder: Path) -> None:
    """Relative paths in a file are relative to the file, wherever the service is started."""
    for name, value in tree.items():
        if isinstance(value, dict):
            _resolve_paths(value, folder)
        elif isinstance(value, str) and (name in _PATHS or name.endswith("_file")):
            tree[name] = str(folder / value)


def to_toml(config: Config) -> str:
    """Return the whole configuration with the description of each field as a comment; passwords in sources are hidden.

    Fields that are not set are written as comments, and so are those that a camera takes from the top of the file.
    """
    return "\n".join(_lines(config, ())).lstrip() + "\n"


def _key(name: str) -> str:
    """Return a key of TOML, in quotes when it has characters that need them."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _lines(model: BaseModel, place: tuple[str, ...]) -> Iterator[str]:
    if place:
        yield f"\n[{'.'.join(map(_key, place))}]"
    inherits = place[:1] == ("cameras",)
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, (BaseModel, dict)) or (inherits and name not in model.model_fields_set):
            continue
        yield from textwrap.wrap(
            str(field.description), 110, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
        )
        if value is None:
            yield f"#{name} ="
        else:
            text = redacted(value) if name == "source" and holds_secret(value) else value
            yield f"{name} = {json.dumps(text, default=str, ensure_ascii=False)}"
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from _lines(inner, (*place, name, key))
        elif isinstance(value, BaseModel) and not (inherits and name not in model.model_fields_set):
            yield from _lines(value, (*place, name))

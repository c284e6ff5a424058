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
from daflow.core.files import decode_text
from runtime.config.schema import Config, places
from runtime.sources.redaction import hidden, holds_secret

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Tree = dict[str, Any]

_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'")

_MAX_BYTES = 1 << 20  # a configuration of a thousand cameras is smaller
_MAX_ERRORS = 20  # lines that fit on a screen
_MAX_DOTS = (
    64  # of a line; a setting has three, but a list of networks has more, and tomllib takes cubic time
)
_MAX_DEPTH = 8  # tables in each other; a setting is in three


def read_toml(path: Path) -> Tree:
    """Read a TOML file.

    Raises:
        InputError: it is missing or is not TOML; the message names the line.
    """
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
        raise InputError(f"{path} is nested too deep; a setting is in at most three tables.") from None
    except ValueError as error:
        raise InputError(f"{path} is not valid TOML: {error}.") from None


def _refuse_long_names(text: str) -> None:
    """Refuse a name such as a.a.a.a with very many parts, which `tomllib` would read for hours.

    Raises:
        ValueError: there is one; the message names the line.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _MAX_DOTS and _STRING.sub("", line).partition("#")[0].count(".") > _MAX_DOTS:
            raise ValueError(f"line {number} has more than {_MAX_DOTS} dots outside of quotes")


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
        raise InputError(*lines, *([f"... and {more} more"] if more else [])) from None


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


_PATHS = {"bundle", "pose_bundle", "pose_model", "events", "scores", "video", "record", "path", "ca_file"}


def _resolve_paths(tree: Tree, folder: Path) -> None:
    """Relative paths in a file are relative to the file, wherever the service is started."""
    for name, value in tree.items():
        if isinstance(value, dict):
            _resolve_paths(value, folder)
        elif isinstance(value, str) and (name in _PATHS or name.endswith("_file")):
            tree[name] = str(folder / value)


def to_toml(config: Config) -> str:
    """Return the whole configuration with the description of each field as a comment.

    Fields that are not set are written as comments, and so are those that a camera takes from the top of the file. Of
    an address that may hold a secret only scheme, host and port are written, in a form that is refused when it is read.
    """
    return "\n".join(_lines(config, ())).lstrip() + "\n"


def hidden_addresses(config: Config) -> list[str]:
    """Return the settings whose addresses `to_toml` does not write whole."""
    cameras = [
        f"cameras.{_key(name)}.source"
        for name, camera in config.cameras.items()
        if holds_secret(camera.source)
    ]
    url = config.webhook.url
    return cameras + (["webhook.url"] if url and holds_secret(url, secret_path=True) else [])


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
            if name in ("source", "url") and holds_secret(value, secret_path=name == "url"):
                value = hidden(value)
                yield "# *** stands for what may be a secret: write the address again, with ${NAME} for the secret."
            yield f"{name} = {json.dumps(value, default=str, ensure_ascii=False)}"
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from _lines(inner, (*place, name, key))
        elif isinstance(value, BaseModel) and not (inherits and name not in model.model_fields_set):
            yield from _lines(value, (*place, name))

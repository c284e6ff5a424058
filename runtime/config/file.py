"""Reads, checks and writes the configuration of `daflow-edge` as TOML."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from daflow.core.errors import InputError
from daflow.core.toml_file import Tree, read_toml
from runtime.config.notify import hidden_notify, holds_notify_secret
from runtime.config.schema import Config, places
from runtime.sources.redaction import hidden, holds_secret

_MAX_ERRORS = 20  # lines that fit on a screen


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
    "missing": "This is missing",
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
        if option is not None:
            return f"{'.'.join(place)} is missing: give {option}, or set it in a file that --config names."
    message = _MESSAGES.get(wrong["type"], message)
    described = _DESCRIPTIONS.get(tuple(part for part in place if part != "cameras")[-1:] or place)
    if wrong["type"] == "string_pattern_mismatch" and described:
        message = f"This does not have the right form: {described.rstrip('.')}"
    shown = ".".join(map(_key, place))
    where = given or (f"{path}: {shown}" if path else shown)
    return f"{where}: {message}."


_PATHS = {"bundle", "pose_bundle", "pose_model", "events", "scores", "video", "record", "path", "folder"}


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
    webhook = ["webhook.url"] if url and holds_secret(url, secret_path=True) else []
    return cameras + webhook + (["notify.urls"] if any(map(holds_notify_secret, config.notify.urls)) else [])


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
            if name == "urls" and any(map(holds_notify_secret, value)):
                value = [hidden_notify(url) if holds_notify_secret(url) else url for url in value]
                yield "# *** stands for what may be a secret: write the addresses again, with ${NAME} for the secrets."
            yield f"{name} = {json.dumps(value, default=str, ensure_ascii=False)}"
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from _lines(inner, (*place, name, key))
        elif isinstance(value, BaseModel) and not (inherits and name not in model.model_fields_set):
            yield from _lines(value, (*place, name))

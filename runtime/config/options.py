"""The options of `daflow-edge`: one for each field of its configuration (`runtime.config.schema`)."""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
from pydantic import BeforeValidator, ValidationError
from pydantic.fields import FieldInfo

from daflow.core.alarms.calibration import camera_name_error
from daflow.core.command_line import GroupedOption
from daflow.core.errors import InputError
from runtime.config.notify import holds_notify_secret
from runtime.config.schema import POSE_FIELDS, CameraOptions, Place, places
from runtime.sources.redaction import holds_secret

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

_PREFIX = {
    "mqtt": "mqtt-",
    "webhook": "webhook-",
    "log": "log-",
    "replay": "replay-",
    "camera_states": "state-",
    "notify": "notify-",
    "commissioning": "commissioning-",
}
_NAMES: dict[Place, str] = {("serve", "address"): "--serve", ("store", "path"): "--store"}
_SCHEME = re.compile(r"[a-z][a-z0-9]*:")
_FOLDERS: tuple[Place, ...] = (("bundle",), ("record",), ("pose_bundle",), ("commissioning", "folder"))
_GROUPS = {
    "Cameras and recordings": ("policy", "realtime", "fps", "max_frames", "stall_seconds", "zones_file"),
    "Poses": POSE_FIELDS,
    "Model": ("bundle", "scorer", "precision"),
    "Alarm": ("alarm",),
    "Files": ("scores", "record", "record_format", "video", "privacy"),
    "Events": ("events", "print_events", "store", "replay", "mqtt", "webhook", "notify", "camera_states"),
    "Live page": ("serve",),
    "Commissioning": ("commissioning",),
    "Log": ("log",),
}
SOURCES, *_ = _GROUPS


def option_name(place: Place) -> str:
    """Return what a field is called on the command line.

    >>> option_name(("alarm", "begin_seconds")), option_name(("mqtt", "port"))
    ('--begin-seconds', '--mqtt-port')
    """
    return _NAMES.get(place) or f"--{_PREFIX.get(place[0], '')}{place[-1].replace('_', '-')}"


def group_of(place: Place) -> str:
    """Return the heading of a field's option in the help."""
    return next((title for title, names in _GROUPS.items() if place[0] in names), SOURCES)


OPTION_NAMES: dict[Place, str] = {place: option_name(place) for place, _ in places()}


def config_options(command: _Decorated) -> _Decorated:
    """Give a command an option for each field, in groups; values are text that the configuration checks."""
    return config_options_without()(command)


def config_options_without(*sections: str) -> Callable[[_Decorated], _Decorated]:
    """Give a command an option for each field but those of some sections, of which it has options of its own."""
    titles = list(_GROUPS)
    fields = [field for field in places() if field[0][0] not in sections]
    fields.sort(key=lambda field: titles.index(group_of(field[0])))
    return lambda command: _decorate(command, fields)


def camera_options(command: _Decorated) -> _Decorated:
    """Give a command the options for finding people, for commands that do nothing else."""
    return _camera_options(command, POSE_FIELDS)


def recording_options(command: _Decorated) -> _Decorated:
    """Give a command the options for reading recordings, besides `camera_options`."""
    return _camera_options(command, ("fps",))


def _camera_options(command: _Decorated, names: Sequence[str]) -> _Decorated:
    return _decorate(command, [((name,), CameraOptions.model_fields[name]) for name in names])


def _decorate(command: _Decorated, fields: list[tuple[Place, FieldInfo]]) -> _Decorated:
    for place, field in reversed(fields):
        command = _option(place, field)(command)
    return command


def _option(place: Place, field: FieldInfo) -> Callable[[_Decorated], _Decorated]:
    name, kinds = option_name(place), set(_kinds(field.annotation))
    text = str(field.description)
    default = field.get_default()
    if default not in (None, ()) and not field.is_required():
        shown = str(default).lower() if isinstance(default, bool) else default
        shown = ", ".join(shown) if isinstance(shown, tuple) else repr(shown) if "\n" in str(shown) else shown
        text += f"  [default: {shown}]"
    variable = "__".join(place)
    option = partial(click.option, cls=GroupedOption, group=group_of(place))
    if bool in kinds:
        return option(f"{name}/--no-{name[2:]}", variable, default=None, help=text)
    choices = [choice for kind in kinds if typing.get_origin(kind) is Literal for choice in _in_order(kind)]
    if typing.get_origin(field.annotation) is tuple:
        splits = any(isinstance(part, BeforeValidator) for part in field.metadata)
        text += f" Several: repeat the option{', or separate them by commas' if splits else ''}."
        if choices:
            return option(name, variable, type=click.Choice(choices), multiple=True, help=text)
        return option(name, variable, metavar="TEXT", multiple=True, help=text)
    if choices:
        return option(name, variable, type=click.Choice(choices), help=text)
    metavar = (
        "PATH"
        if place in _FOLDERS
        else (
            "FILE" if Path in kinds else "INTEGER" if int in kinds else "NUMBER" if float in kinds else "TEXT"
        )
    )
    return option(name, variable, metavar=metavar, help=text)


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the plain types and literals in an annotation."""
    if typing.get_origin(annotation) in (None, Literal):
        yield annotation
        return
    for inner in typing.get_args(annotation):
        yield from _kinds(inner)


def _in_order(literal: Any) -> list[str]:
    return [str(choice) for choice in typing.get_args(literal)]


def people_options(values: dict[str, Any]) -> CameraOptions:
    """Return the values that were given to `camera_options` and `recording_options`.

    Raises:
        click.BadParameter: a value is wrong.
    """
    try:
        return CameraOptions.model_validate(
            {name: value for name, value in values.items() if value is not None}
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        option = option_name(tuple(str(part) for part in wrong["loc"]))
        raise click.BadParameter(f"{wrong['msg']}.", param_hint=option) from None


def chosen(values: dict[str, Any]) -> dict[Place, Any]:
    """Return the options that were given, by the place of their field."""
    return {tuple(name.split("__")): value for name, value in values.items() if value not in (None, ())}


def named_sources(sources: tuple[str, ...]) -> dict[str, str]:
    """Return the sources of `--source` by camera name: `NAME=URI`, else `camera`, or `camera1` and on for several.

    >>> named_sources(("door=rtsp://10.0.0.5/live", "synthetic:seed=3"))
    {'door': 'rtsp://10.0.0.5/live', 'camera2': 'synthetic:seed=3'}

    Raises:
        click.UsageError: two have the same name, or a camera cannot have the name.
        InputError: the name of a source is not UTF-8.
    """
    named: dict[str, str] = {}
    for number, source in enumerate(sources, start=1):
        plain = "camera" if len(sources) == 1 else f"camera{number}"
        name, uri = _split_name(source) or (plain, source)
        if not uri.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in uri):
            shown = os.fsencode(uri).decode("utf-8", "backslashreplace")
            raise InputError(f"The name {shown} is not UTF-8: rename the file.")
        if name in named:
            raise click.UsageError(f"Two sources are named {name}; name them as in --source door=rtsp://...")
        named[name] = uri
    return named


def _split_name(source: str) -> tuple[str, str] | None:
    """Split `NAME=URI`; None when there is no name, as in a file that has an = in its own name."""
    name, equals, uri = source.partition("=")
    if not equals or not uri or ":" in name or _is_path(source):
        return None
    error = camera_name_error(name)
    if error is None:
        return name, uri
    if _SCHEME.match(uri):
        raise click.UsageError(error)
    return None


def _is_path(source: str) -> bool:
    try:
        return Path(source).exists()
    except (OSError, ValueError):  # too long, or with a zero
        return False


def refuse_secrets(sources: Iterable[str]) -> None:
    """Refuse sources with a secret: everybody on the machine can read a command line, and a shell keeps it.

    Raises:
        InputError: a source may hold one.
    """
    if any(holds_secret(uri) and not _is_path(uri) for uri in sources):
        raise InputError(
            "--source may hold a password, which everybody on this machine could read. Put the password into an "
            "environment variable, as in 'rtsp://user:${CAMERA_PASSWORD}@host/path', or the whole address, as in "
            "'${CAMERA}', each in single quotes; or let daflow-edge read it from the file of --config."
        )


def refuse_secret_url(url: str) -> None:
    """Refuse the address of a web server with a secret, as `refuse_secrets`; the path of many services is one.

    Raises:
        InputError: the address may hold one.
    """
    if holds_secret(url, secret_path=True):
        raise InputError(
            "--webhook-url may hold a secret, which everybody on this machine could read: the path of many services "
            "is one. Put the address into an environment variable, as in --webhook-url '${WEBHOOK_URL}' in single "
            "quotes, or into the file of --config."
        )


def refuse_secret_services(urls: Iterable[str]) -> None:
    """Refuse addresses of `notify` with a secret, as `refuse_secrets`.

    Raises:
        InputError: one may hold one.
    """
    if any(holds_notify_secret(url) for url in urls):
        raise InputError(
            "--notify-urls may hold a secret, which everybody on this machine could read: in most addresses every part "
            "is one. Put it into an environment variable, as in --notify-urls '${NOTIFY_URL}' in single quotes, or "
            "into the file of --config."
        )

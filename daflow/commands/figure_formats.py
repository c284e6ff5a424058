"""The option `--figures`: in which formats figures are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from daflow.evaluation.plots import FORMATS

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


def figures_option(default: str, what: str) -> Callable[[_Decorated], _Decorated]:
    """The option `--figures`, a tuple of formats.

    Args:
        default: formats, separated by commas.
        what: the figures are, for the help.
    """
    return click.option(
        "--figures",
        default=default,
        metavar="FORMATS",
        callback=_formats,
        help=f"Formats of {what}, separated by commas: {', '.join(FORMATS)}.",
    )


def _formats(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    formats = tuple(dict.fromkeys(part.strip().lower() for part in value.split(",")))
    if wrong := next((name for name in formats if name not in FORMATS), None):
        raise click.BadParameter(f"{wrong!r} is not one of {', '.join(FORMATS)}.")
    if "" in formats:
        raise click.BadParameter(f"Give one or more of {', '.join(FORMATS)}, such as svg,pdf.")
    return formats

"""The option `--preset` of `daflow train` and `daflow evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from daflow.training.presets import PRESETS, Preset

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


def preset_option(
    defaults: Callable[[Preset], Mapping[str, Any]], text: str
) -> Callable[[_Decorated], _Decorated]:
    """The option `--preset`, which replaces defaults of its command.

    Args:
        defaults: returns the new defaults, by parameter of the command.
        text: the help.
    """

    def replace_defaults(ctx: click.Context, param: click.Parameter, name: str | None) -> str | None:  # noqa: ARG001
        # click reads the options that are given before it looks for the defaults of the others.
        if name is not None:
            ctx.default_map = {**(ctx.default_map or {}), **defaults(PRESETS[name])}
        return name

    return click.option("--preset", type=click.Choice(list(PRESETS)), callback=replace_defaults, help=text)


def preset_line(name: str, defaults: Mapping[str, Any], others: str) -> str:
    """Return one line that says which options of the running command its preset set, and which the user gave instead.

    Args:
        name: of the preset.
        defaults: what replaced defaults of the command.
        others: what the preset set that is no option.
    """
    context = click.get_current_context()
    chosen: list[str] = []
    given: list[str] = []
    for parameter in context.command.params:
        if parameter.name in defaults:
            value = context.params[parameter.name]
            text = f"{parameter.opts[0]} {f'{value:g}' if isinstance(value, float) else value}"
            by_preset = context.get_parameter_source(parameter.name) == ParameterSource.DEFAULT_MAP
            (chosen if by_preset else given).append(text)
    line = f"preset {name} sets {', '.join([*chosen, others])}"
    return f"{line}; given instead: {', '.join(given)}" if given else line

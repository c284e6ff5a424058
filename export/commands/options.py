"""Options that the exports of a scorer and of pose networks share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click

from calibration.int8_ranges import Method

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


def parse_batch(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[int, int, int] | None:  # noqa: ARG001
    """Turn `1,4,32` into numbers."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,4}),(\d{1,4}),(\d{1,4})", text.replace(" ", ""))
    sizes = [int(part) for part in match.groups()] if match else []
    if not sizes or sizes != sorted(sizes) or not 1 <= sizes[0] <= sizes[-1] <= 4096:
        raise click.BadParameter(f"{text!r} is not MIN,OPT,MAX in ascending order, such as 1,4,32.")
    return sizes[0], sizes[1], sizes[2]


def parse_limits(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:  # noqa: ARG001
    """Turn texts such as `fp16.spearman=0.9999` into numbers by name."""
    limits = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name.strip() in limits:
            raise click.BadParameter(f"{name.strip()} is given twice.")
        try:
            limits[name.strip()] = float(value)
        except ValueError:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE, such as fp16.spearman=0.9999.") from None
        if not limits[name.strip()] >= 0:
            raise click.BadParameter(f"{text!r}: the value must be a number of at least 0.")
    return limits


def parse_targets(ctx: click.Context, param: click.Parameter, text: str | None) -> list[str]:  # noqa: ARG001
    """Turn `sm86,sm89` into names."""
    names = [name.strip().lower() for name in (text or "").split(",") if name.strip()]
    for name in names:
        if not re.fullmatch(r"sm\d{2,3}", name):
            raise click.BadParameter(f"{name!r} is not a compute capability such as sm86.")
    return list(dict.fromkeys(names))


calibration_option = click.option(
    "--calibration",
    type=click.Choice(get_args(Method)),
    default="percentile",
    help="How INT8 ranges are chosen: the largest magnitude, all but 1 value in 10,000, or the least loss of entropy.",
)

keep_failing_option = click.option(
    "--keep-failing", is_flag=True, help="Also write what misses its limits, marked as failing."
)


def limit_option(examples: str) -> Callable[[_Decorated], _Decorated]:
    """The option `--limit`; its help gives these examples."""
    return click.option(
        "--limit",
        "limits",
        multiple=True,
        metavar="NAME=VALUE",
        callback=parse_limits,
        help=f"Another verification limit, such as {examples}",
    )


def engine_options(rows: str, workspace: int, on_device: str) -> Callable[[_Decorated], _Decorated]:
    """The options about TensorRT engines.

    Args:
        rows: what a call of an engine takes several of, such as `windows`.
        workspace: the default of `--workspace` in MiB.
        on_device: the help of `--on-device`.
    """
    options = (
        click.option(
            "--target",
            "targets",
            callback=parse_targets,
            help="GPUs to build engines for, such as sm86,sm89.  [default: the GPU of this machine, else sm86 ahead of "
            "time]",
        ),
        click.option("--engine/--no-engine", default=True, help="Whether to build TensorRT engines."),
        click.option("--on-device", is_flag=True, help=on_device),
        click.option(
            "--batch",
            metavar="MIN,OPT,MAX",
            callback=parse_batch,
            help=f"Minimum, optimum and maximum of the {rows} in a call of an engine.  [default: 1,4,32]",
        ),
        click.option(
            "--workspace",
            type=click.IntRange(1, 1 << 20),
            help=f"Maximum scratch memory for TensorRT's builder, MiB.  [default: {workspace}]",
        ),
        click.option(
            "--layers", is_flag=True, help="Write what is known about the layers beside each engine, as JSON."
        ),
    )

    def decorate(command: _Decorated) -> _Decorated:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate

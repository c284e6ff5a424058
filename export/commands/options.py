"""Options that the exports of a scorer and of pose networks share."""

from __future__ import annotations

import re

import click


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

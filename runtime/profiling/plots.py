"""Distributions as inline SVG: they follow the page's colours, light or dark, and need neither scripts nor pictures."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT = 540, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 14, 12, 40
_COLOURS = 8
_TAIL = 0.5
"""Share of the height for quantiles from 90 % on: late frames are what people notice."""


def distribution(series: Mapping[str, Sequence[float]], label: str) -> str:
    """Draw the cumulative distributions of some figures over a logarithmic axis of milliseconds.

    The upper half of the picture is the slowest tenth.

    Args:
        series: 101 quantiles by name, milliseconds.
        label: what the picture shows, for screen readers.
    """
    values = [max(value, 1e-4) for quantiles in series.values() for value in quantiles[1:]]
    low, high = _bounds(min(values), max(values))
    parts = [*_ticks(low, high), *_levels()]
    for number, quantiles in enumerate(series.values()):
        points = [
            (_x(max(value, 1e-4), low, high), _y(index / (len(quantiles) - 1)))
            for index, value in enumerate(quantiles)
            if index
        ]
        path = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<path class="line c{number % _COLOURS}" d="{path}"></path>')
    return _svg(parts, label, _HEIGHT) + _legend(list(series))


def rounds(series: Mapping[str, Sequence[float]], label: str) -> str:
    """Draw the medians of the rounds as a row of dots for each figure: how steady the machine was.

    The rows have the colours of the same names in a `distribution`.

    Args:
        series: medians by name, milliseconds.
        label: what the picture shows.
    """
    step = 26
    height = _TOP + step * len(series) + _BOTTOM
    values = [max(value, 1e-4) for medians in series.values() for value in medians]
    low, high = _bounds(min(values), max(values))
    parts = _ticks(low, high, height, "medians of the rounds, milliseconds")
    for number, medians in enumerate(series.values()):
        y = _TOP + step * (number + 0.5)
        parts += [
            f'<circle class="dot c{number % _COLOURS}" cx="{_x(max(value, 1e-4), low, high):.1f}" cy="{y:.1f}" '
            f'r="4"></circle>'
            for value in medians
        ]
    return _svg(parts, label, height)


def shares(parts: Mapping[str, float]) -> str:
    """Draw shares of a whole as one bar, with their names and percentages below."""
    x, bars = 0.0, []
    for number, share in enumerate(parts.values()):
        bars.append(
            f'<rect class="bar c{number % _COLOURS}" x="{100 * x:.3f}%" y="0" width="{100 * share:.3f}%" '
            f'height="28"></rect>'
        )
        x += share
    names = [f"{name} {100 * share:.1f} %" for name, share in parts.items()]
    words = html.escape(", ".join(names))
    return f'<svg class="shares" role="img" aria-label="{words}" height="28">{"".join(bars)}</svg>{_legend(names)}'


def _svg(parts: Sequence[str], label: str, height: float) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{html.escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _legend(names: Sequence[str]) -> str:
    items = "".join(
        f'<li><span class="key c{number % _COLOURS}"></span>{html.escape(name)}</li>'
        for number, name in enumerate(names)
    )
    return f'<ul class="legend">{items}</ul>'


def _ticks(low: float, high: float, height: float = _HEIGHT, words: str = "milliseconds") -> list[str]:
    """Vertical lines at round numbers, with the milliseconds below."""
    bottom = height - _BOTTOM
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (
        (1,) if high / low > 200 else (1, 2, 5) if high / low > 8 else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    )
    marks = [step * 10.0**decade for decade in decades for step in steps]
    parts = []
    for mark in marks:
        if low <= mark <= high * 1.0001:
            x = _x(mark, low, high)
            parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom:.1f}"></line>'
                f'<text x="{x:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{mark:g}</text>'
            )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{bottom + 33:.1f}" text-anchor="middle">{words}</text>')
    return parts


def _levels() -> list[str]:
    return [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_y(level):.1f}" y2="{_y(level):.1f}"></line>'
        f'<text x="{_LEFT - 6}" y="{_y(level) + 4:.1f}" text-anchor="end">p{100 * level:g}</text>'
        for level in (0.1, 0.5, 0.9, 0.95, 0.99)
    ]


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * math.log(value / low) / math.log(high / low)


def _y(level: float) -> float:
    height = _HEIGHT - _TOP - _BOTTOM
    up = level / 0.9 * (1 - _TAIL) if level < 0.9 else 1 - _TAIL + (level - 0.9) / 0.1 * _TAIL
    return _HEIGHT - _BOTTOM - height * up


def _bounds(smallest: float, largest: float) -> tuple[float, float]:
    """Widen a range a little, and a narrow one to a factor of two."""
    low, high = smallest / 1.1, largest * 1.1
    if high / low < 2:
        middle = math.sqrt(low * high)
        low, high = middle / math.sqrt(2), middle * math.sqrt(2)
    return low, high

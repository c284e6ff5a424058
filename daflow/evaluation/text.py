"""Figures as text."""

from __future__ import annotations


def percent(value: float | None) -> str:
    """Return a fraction in %, or a dash where there is none.

    >>> percent(0.8564), percent(None)
    ('85.64', '-')
    """
    return "-" if value is None else f"{100 * value:.2f}"

"""Numbers and times as plain values for JSON."""

from __future__ import annotations

import math
from datetime import datetime, timezone


def number(value: float | None, digits: int = 4) -> float | None:
    """Return a rounded number, None for NaN and infinity, which JSON does not have.

    >>> number(1.23456), number(float("inf")), number(None)
    (1.2346, None, None)
    """
    return round(float(value), digits) if value is not None and math.isfinite(value) else None


def iso(utc: float) -> str:
    """Return seconds since 1970 as ISO 8601 with milliseconds.

    >>> iso(1.5)
    '1970-01-01T00:00:01.500+00:00'
    """
    return datetime.fromtimestamp(utc, timezone.utc).isoformat(timespec="milliseconds")

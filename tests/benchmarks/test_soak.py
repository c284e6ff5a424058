"""Growth is found in the tenths of a run; `tests/runtime/test_edge_service.py` runs the soak itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.soak import Tenth, growth

TENTHS = [Tenth(130.0, 11, 190, 4800.0)] * 10


def test_steady_tenths_show_no_growth() -> None:
    assert growth([Tenth(90.0, 7, 20, 4800.0), *TENTHS[1:]]) == []  # the first tenth warms up


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ({"memory_mb": 140.0}, "memory grew from 130.0 to 140.0 MB"),
        ({"threads": 12}, "threads grew from 11 to 12"),
        ({"messages": 401}, "the store holds 401 messages"),
    ],
)
def test_what_grew_is_named(last: dict[str, Any], message: str) -> None:
    assert growth([*TENTHS[:-1], replace(TENTHS[-1], **last)]) == [message]

"""Progress of long work: a bar on a terminal, elsewhere a line every ten seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from daflow.core.log import one_line

T = TypeVar("T")
_SECONDS_BETWEEN_LINES = 10.0


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` and show the progress on standard error.

    Args:
        items: what to iterate over.
        description: what the items are.
        total: their number; None takes `len(items)` where it is known.

    >>> list(track([1, 2], "counting"))
    [1, 2]
    """
    description = one_line(description)
    if total is None and isinstance(items, Sized):
        total = len(items)
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, desc=description, total=total, dynamic_ncols=True, leave=False)
        return
    last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - last > _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            of_total = "" if total is None else f" of {total}"
            print(f"{description}: {done}{of_total}", file=sys.stderr, flush=True)  # noqa: T201

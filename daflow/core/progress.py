"""Progress of long work: a bar on a terminal, elsewhere a line every ten seconds."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any, TypeVar

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
    line = _Lines()
    for done, item in enumerate(items, start=1):
        yield item
        of_total = "" if total is None else f" of {total}"
        line.show(f"{description}: {done}{of_total}")


@contextlib.contextmanager
def track_bytes(description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show the progress of a download on standard error; the block calls what it gets with the bytes that are there.

    Args:
        description: what is downloaded.
        total: its size in bytes, None when it is not known.

    >>> with track_bytes("downloading", 2000) as show:
    ...     show(1000)
    """
    description = one_line(description)
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(
            desc=description, total=total, unit="B", unit_scale=True, dynamic_ncols=True, leave=False
        ) as bar:
            yield lambda done: _move(bar, done)
        return
    line = _Lines()
    of_total = "" if total is None else f" of {total / 1e6:.1f}"
    yield lambda done: line.show(f"{description}: {done / 1e6:.1f}{of_total} MB")


@contextlib.contextmanager
def track_share(description: str, seconds: float) -> Iterator[Callable[[float, Mapping[str, str]], None]]:
    """Show how much of something is there on standard error; the block calls what it gets with a share and words.

    The words are by part, such as a camera: of several each has a line, on a terminal below the one bar.

    Args:
        description: what it is.
        seconds: between lines where there is no terminal.

    >>> with track_share("commissioning", 60) as show:
    ...     show(0.5, {"door": "half of it is there"})
    """
    description = one_line(description)
    if sys.stderr.isatty():
        from tqdm import tqdm

        shape = "{desc}: {percentage:3.0f} % |{bar}|{postfix}"
        with contextlib.ExitStack() as stack:
            bar = stack.enter_context(
                tqdm(desc=description, total=100, bar_format=shape, dynamic_ncols=True, leave=False)
            )
            below: list[Any] = []

            def move(share: float, words: Mapping[str, str]) -> None:
                lines = _named(words)
                bar.set_postfix_str(lines[0] if len(lines) == 1 else "", refresh=False)
                _move(bar, 100 * share)
                bar.refresh()
                lines = lines if len(lines) > 1 else []
                for number in range(len(below), len(lines)):
                    line = tqdm(
                        total=0, position=number + 1, bar_format="{desc}", dynamic_ncols=True, leave=False
                    )
                    below.append(stack.enter_context(line))
                for number, line in enumerate(below):
                    line.set_description_str(lines[number] if number < len(lines) else "")

            yield move
        return
    line = _Lines(seconds)

    def show(share: float, words: Mapping[str, str]) -> None:
        lines = _named(words)
        if not lines:
            return
        first = f"{description}: {100 * share:.0f} %"
        line.show(*([f"{first}; {lines[0]}"] if len(lines) == 1 else [first, *lines]))

    yield show


def _named(words: Mapping[str, str]) -> list[str]:
    return [one_line(text if len(words) == 1 else f"{name}: {text}") for name, text in words.items()]


def _move(bar: Any, done: float) -> None:
    bar.update(done - bar.n)


class _Lines:
    """Lines on standard error, of which some are shown in so many seconds."""

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = _SECONDS_BETWEEN_LINES if seconds is None else seconds
        self._last = time.monotonic()

    def show(self, *lines: str) -> None:
        """Print lines unless the last ones are recent."""
        if time.monotonic() - self._last > self._seconds:
            self._last = time.monotonic()
            for line in lines:
                print(line, file=sys.stderr, flush=True)  # noqa: T201

"""How work is timed: repeated calls, and rounds in which everything that is compared has its turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

_MIN_CALLS = 3  # fewer have no median to speak of

Name = TypeVar("Name", bound=Hashable)
Result = TypeVar("Result")
Progress = Callable[[Sequence[int]], Iterable[int]]
"""Wraps the numbers of the rounds, such as a progress bar; `iter` shows nothing."""


def time_calls(
    function: Callable[[], object], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Call a function until `seconds` have passed, at least three times; return the seconds of each call."""
    taken: list[float] = []
    end = clock() + seconds
    while len(taken) < _MIN_CALLS or clock() < end:
        began = clock()
        function()
        taken.append(clock() - began)
    return taken


def interleave(
    tasks: Mapping[Name, Callable[[], Result]], rounds: int, progress: Progress = iter
) -> dict[Name, list[Result]]:
    """Run every task once in each round, so that a busy moment of the machine hits all of them alike.

    Each round starts with another task, because the first one after a pause is slower.

    Returns:
        The results of each task, one per round.
    """
    names = list(tasks)
    results: dict[Name, list[Result]] = {name: [] for name in names}
    for number in progress(range(rounds)):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            results[name].append(tasks[name]())
    return results

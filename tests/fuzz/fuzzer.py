"""What a fuzzer is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from hypothesis.strategies import SearchStrategy

from .inputs import Input

Check = Callable[[Input], None]
"""Hands an input to the toolkit; raises what the toolkit raises."""


@dataclass(frozen=True)
class Fuzzer:
    """A way into the toolkit, and what is sent there.

    Attributes:
        seeds: returns valid inputs, whose names begin with `valid`, and wild ones that are too large for the corpus.
        mutated: returns a strategy of more inputs, given the seeds and the corpus.
        opened: opens what takes the inputs, given an empty folder to work in; what takes them refuses no valid one.
    """

    seeds: Callable[[], list[Input]]
    mutated: Callable[[Sequence[Input]], SearchStrategy[Input]]
    opened: Callable[[Path], AbstractContextManager[Check]]

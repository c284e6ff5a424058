"""The protocol of what runs a network, and how batches are split into calls of a few fixed sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy.typing as npt

Array = npt.NDArray[Any]

BUCKETS = (1, 2, 4, 8, 16, 32)
"""Batch sizes with a CUDA graph of their own; the largest is the largest batch of an engine by default."""


class NetworkRunner(Protocol):
    """Runs a network with one input, whose first axis is the batch; so is that of every output.

    Attributes:
        name: the engine and the precision, such as `onnxruntime fp32`.
        row: the shape of the input without its batch axis.
    """

    name: str
    row: tuple[int, ...]

    def run(self, batch: Array) -> Mapping[str, Array]:
        """Return the outputs by name, `(B, ...)` each, of an input `(B, *row)`; B may be 0 and may change."""
        ...

    def close(self) -> None:
        """Release the engine and its memory."""
        ...


def buckets(max_batch: int) -> tuple[int, ...]:
    """Return the batch sizes that get a CUDA graph of their own, up to the largest batch of the engine.

    >>> buckets(6), buckets(32)
    ((1, 2, 4, 6), (1, 2, 4, 8, 16, 32))
    """
    return (*(size for size in BUCKETS if size < max_batch), min(max_batch, BUCKETS[-1]))


def split_into_buckets(count: int, sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Split `count` rows into calls, `(rows, bucket)` each; the last call is padded to its bucket.

    >>> split_into_buckets(37, (1, 2, 4, 8, 16, 32))
    [(32, 32), (5, 8)]
    """
    whole, rest = divmod(count, sizes[-1])
    calls = [(sizes[-1], sizes[-1])] * whole
    return calls + ([(rest, next(size for size in sizes if size >= rest))] if rest else [])

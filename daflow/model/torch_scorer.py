"""Scoring windows with the PyTorch model, in batches that fit small machines."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from daflow.core.data.windows import Poses
from daflow.core.errors import InputError
from daflow.core.evidence import Scored
from daflow.model.evidence import Evidence
from daflow.model.flow import DAFlow

_EVALUATION_BATCH = 256  # windows


class _ThreadCount:
    """How many threads torch uses for an operation, for as long as somebody needs another number.

    torch keeps one number per Python thread and one for threads that are new, and a change sets both. So the first to
    enter saves the number and the last to leave restores it, whichever thread that is; in between, a thread that leaves
    goes back to its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 0

    @contextlib.contextmanager
    def set_to(self, count: int) -> Iterator[None]:
        """Let torch use `count` threads for each operation of this thread."""
        with self._lock:
            own = torch.get_num_threads()
            self._before = self._before if self._inside else own
            self._inside += 1
            torch.set_num_threads(count)
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                torch.set_num_threads(own if self._inside else self._before)


torch_threads = _ThreadCount().set_to
"""`with torch_threads(1):` torch uses one thread for each operation; safe to use from several threads at once."""


def available_device(name: str) -> str:
    """Return `name` if torch can use that device here.

    Raises:
        InputError: torch knows no such device, or this machine does not have it.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"torch cannot use the device {name!r}: {str(error).splitlines()[0]}") from None
    return name


def score(model: DAFlow, poses: Poses) -> Tensor:
    """Return the nll of windows `(N, 2, T, 18)` in bits per dimension, `(N,)` float32 on the CPU."""
    (nll,) = _in_batches(model, poses, lambda batch: (model.nll(batch),), 1)
    return nll


def judge(model: DAFlow, evidence: Evidence | None, poses: Poses) -> Scored:
    """Score windows `(N, 2, T, 18)` by a flow and the evidence beside it; None takes the nll alone."""
    if evidence is None:
        return Scored(score(model, poses).numpy())
    values, surprise = _in_batches(model, poses, lambda batch: evidence(model.nll(batch), batch), 2)
    return Scored(values.numpy(), surprise.numpy().reshape(len(poses), len(evidence.channels)))


def _in_batches(
    model: DAFlow, poses: Poses, function: Callable[[Tensor], tuple[Tensor, ...]], results: int
) -> tuple[Tensor, ...]:
    """Apply a function with so many results to windows in batches, on the model's device."""
    device = next(model.parameters()).device
    batches = torch.split(torch.from_numpy(poses), _EVALUATION_BATCH)
    if not batches[0].numel():
        return (torch.zeros(0),) * results

    @torch.inference_mode()
    def apply(batch: Tensor) -> tuple[Tensor, ...]:
        return tuple(result.cpu() for result in function(batch.to(device)))

    # One batch per thread: threads that share one small operation wait for each other, for minutes on a busy machine.
    threads = torch.get_num_threads()
    with (
        torch_threads(1),
        ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        return tuple(torch.cat(parts) for parts in zip(*pool.map(apply, batches), strict=True))

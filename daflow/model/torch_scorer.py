"""Scoring windows by the PyTorch model, in batches that fit small machines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from daflow.core.data.windows import Poses
from daflow.core.errors import InputError
from daflow.model.flow import DAFlow

_EVALUATION_BATCH = 256


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads for each operation."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def available_device(name: str) -> str:
    """Return `name` if torch can use that device here.

    Raises:
        InputError: torch knows no such device or it is not here.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"torch cannot use the device {name!r}: {str(error).splitlines()[0]}") from None
    return name


def score(model: DAFlow, poses: Poses) -> Tensor:
    """Return the nll of windows `(N, 2, T, 18)`, `(N,)` on the CPU, in batches that fit small machines."""
    device = next(model.parameters()).device
    batches = torch.split(torch.from_numpy(poses), _EVALUATION_BATCH)
    if not batches[0].numel():
        return torch.zeros(0)

    @torch.inference_mode()
    def score_batch(batch: Tensor) -> Tensor:
        return model.nll(batch.to(device)).cpu()

    # A batch a thread: the threads that share one small operation wait for each other, for minutes on a busy machine.
    threads = torch.get_num_threads()
    with torch_threads(1), ThreadPoolExecutor(threads) as pool:
        return torch.cat(list(pool.map(score_batch, batches)))

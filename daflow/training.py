"""Training: maximum likelihood of normal windows, with STG-NF's optimiser and schedule."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from daflow.errors import InputError
from daflow.model import DAFlow, ModelConfig
from daflow.progress import track
from daflow.skeleton import OPENPOSE_MIRROR
from daflow.windows import Poses

_GRADIENT_NORM = 100.0
_EVALUATION_BATCH = 256
_ONE_THREAD_BATCH = 64


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    Attributes:
        epochs: passes over all windows (and their mirror images with `augment`).
        batch_size: windows in a step.
        lr: learning rate of Adamax in the first epoch.
        lr_decay: factor on the learning rate after each epoch.
        weight_decay: L2 penalty of Adamax.
        seed: of the initial weights and of the order of the windows.
        augment: whether every window is also seen mirrored left to right.
        device: where torch trains, such as `cpu` or `cuda`.
    """

    epochs: int = 16
    batch_size: int = 32
    lr: float = 5e-4
    lr_decay: float = 0.99
    weight_decay: float = 5e-5
    seed: int = 0
    augment: bool = True
    device: str = "cpu"


def train(
    poses: Poses, config: ModelConfig | None = None, options: TrainOptions | None = None
) -> tuple[DAFlow, list[float]]:
    """Train a flow on normal windows.

    Args:
        poses: `(N, 2, T, 18)` float32 normalised windows.
        config: the architecture.
        options: how to train.

    Returns:
        The model in evaluation mode, and the mean nll of each epoch in bits per dimension.
    """
    options = options or TrainOptions()
    torch.manual_seed(options.seed)
    model = DAFlow(config).to(options.device).train()
    windows = torch.from_numpy(poses).to(options.device)
    if options.augment:
        windows = torch.cat([windows, mirrored(windows)])
    model.initialise(windows[torch.randperm(len(windows))[: options.batch_size]])
    optimizer = torch.optim.Adamax(model.parameters(), lr=options.lr, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, options.lr_decay)
    history = []
    small = options.batch_size <= _ONE_THREAD_BATCH
    # For small batches more threads are no faster, and lose badly when the cores are shared.
    with _one_thread() if small else contextlib.nullcontext():
        for _ in track(range(options.epochs), "training, epochs"):
            history.append(_epoch(model, windows, optimizer, options.batch_size))
            schedule.step()
    return model.eval(), history


def _epoch(model: DAFlow, windows: Tensor, optimizer: torch.optim.Optimizer, batch_size: int) -> float:
    """Train on all windows once, in a random order; return their mean nll."""
    total = 0.0
    order = torch.randperm(len(windows)).to(windows.device)
    for batch in torch.split(order, batch_size):
        loss = model.nll(windows[batch]).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), _GRADIENT_NORM)
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(windows)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread for each operation."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
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


def mirrored(windows: Tensor) -> Tensor:
    """Return the mirror images of normalised windows `(N, 2, T, 18)`: x changes sign, left joints become right ones."""
    flipped = windows[..., list(OPENPOSE_MIRROR)].clone()
    flipped[:, 0] *= -1
    return flipped


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
    with _one_thread(), ThreadPoolExecutor(threads) as pool:
        return torch.cat(list(pool.map(score_batch, batches)))

"""Training on windows: maximum likelihood of normal ones, and the epoch that fits the held-out ones best.

The schedule is one cycle of the learning rate (arXiv 1708.07120) for AdamW. Its settings were chosen by the likelihood
of held-out normal recordings, never by an AUC. A constant rate is for the published protocols
(`daflow.training.presets`).
"""

from __future__ import annotations

import copy
import functools
import hashlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pydantic import TypeAdapter
from torch import Tensor

from daflow.core.data.skeleton import OPENPOSE_MIRROR
from daflow.core.data.windows import Poses, Windows
from daflow.core.errors import InputError
from daflow.core.files import written_whole
from daflow.core.progress import track
from daflow.model.checkpoint import load_weights
from daflow.model.flow import DAFlow, ModelConfig
from daflow.model.torch_file import is_plain_tensor, load_torch_file
from daflow.model.torch_scorer import score, torch_threads
from daflow.training.options import TrainOptions

_MAX_GRADIENT_NORM = 100.0  # as in STG-NF
_INITIALISING_BATCH = 256  # windows
_WARM_UP = 0.1  # of all steps
_MIN_CLIPS = 5  # with fewer, tracks are held out instead of clips
_STATE_VERSION = 1


@dataclass(frozen=True)
class Epoch:
    """The mean nll of one epoch, bits per dimension.

    Attributes:
        training: of the windows trained on, during the epoch.
        held_out: of the windows held out, after it; None without any.
    """

    training: float
    held_out: float | None


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        model: the flow, in evaluation mode.
        history: each epoch.
        best: the index of the epoch that the model is of.
    """

    model: DAFlow
    history: tuple[Epoch, ...]
    best: int


def fit(
    poses: Poses,
    config: ModelConfig | None = None,
    options: TrainOptions | None = None,
    held_out: npt.NDArray[np.bool_] | None = None,
    labels: npt.NDArray[np.int64] | None = None,
    state: Path | None = None,
) -> Trained:
    """Train a flow on normal windows, and on labelled abnormal ones where there are any.

    The same arguments give the same model on a CPU, however many cores it has and however often training was stopped
    and resumed. torch's global random generator and its number of threads stay as they are.

    Args:
        poses: `(N, 2, T, 18)` float32 normalised windows; when they are mapped from a file they stay there, and
            batches are read as they are needed.
        config: the architecture.
        options: how to train.
        held_out: `(N,)` which windows are kept out of training, normal ones only. The model of the epoch that gives
            them the lowest mean nll is returned; without any it is the last one.
        labels: `(N,)` 1 normal, -1 abnormal (as in STG-NF, whose prior is then at -R); None means all normal.
        state: a file that keeps the state of the training after each epoch. If it exists, training continues from
            it. The caller deletes it when the model is saved.

    Raises:
        InputError: the state is damaged or belongs to other windows, another configuration or other options.
        OSError: the state cannot be written.
    """
    held_out = np.zeros(len(poses), dtype=np.bool_) if held_out is None else held_out
    options = options or TrainOptions()
    # Operations are small: a second thread gains little on a quiet machine, and costs much on a busy one.
    with torch_threads(options.threads):
        run = _Run(poses, config or ModelConfig(), options, held_out, labels)
        if state is not None and state.is_file():
            run.resume(state)
        for _ in track(range(len(run.history), run.options.epochs), "training, epochs"):
            run.epoch()
            if state is not None:
                run.save(state)
    run.model.load_state_dict(run.best_weights)
    return Trained(run.model.eval(), tuple(run.history), run.best)


class _Run:
    """A training in progress: all that has to be kept to continue exactly."""

    def __init__(
        self,
        poses: Poses,
        config: ModelConfig,
        options: TrainOptions,
        held_out: npt.NDArray[np.bool_],
        labels: npt.NDArray[np.int64] | None,
    ) -> None:
        self.options = options
        self.inputs = (poses, held_out, labels)
        self.windows = torch.from_numpy(poses).to(options.device)
        self.rows = torch.from_numpy(np.flatnonzero(~held_out)).to(options.device)
        self.held_out = poses[held_out]
        self.labels = None if labels is None else torch.from_numpy(labels).to(options.device)
        self.count = len(self.rows) * (2 if options.augment else 1)
        self.random = torch.Generator().manual_seed(options.seed)
        weights = torch.Generator().manual_seed(options.seed)
        self.model = DAFlow(config, weights).to(options.device)
        first = torch.randperm(self.count, generator=self.random)[:_INITIALISING_BATCH]
        self.model.initialise(self._batch(first)[0])
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=options.lr,
            weight_decay=options.weight_decay,
            fused=torch.device(options.device).type in {"cpu", "cuda"},
        )
        self.history: list[Epoch] = []
        self.best, self.best_weights = 0, copy.deepcopy(self.model.state_dict())

    def epoch(self) -> None:
        """Train on all windows once, in a random order, and score those held out."""
        order = torch.randperm(self.count, generator=self.random)
        batches = [batch for batch in torch.split(order, self.options.batch_size) if len(batch) > 1]
        total = 0.0
        self.model.train()
        for index, chosen in enumerate(batches):
            if self.options.schedule == "one-cycle":
                progress = (len(self.history) + index / len(batches)) / self.options.epochs
                self.optimizer.param_groups[0]["lr"] = self.options.lr * one_cycle(progress)
            loss = self.model.nll(*self._batch(chosen)).mean()
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), _MAX_GRADIENT_NORM)
            self.optimizer.step()
            total += loss.item() * len(chosen)
        self.model.eval()
        held_out = float(score(self.model, self.held_out).double().mean()) if len(self.held_out) else None
        self.history.append(Epoch(total / self.count, held_out))
        best = self.history[self.best].held_out
        if held_out is None or best is None or not best <= held_out:
            self.best, self.best_weights = len(self.history) - 1, copy.deepcopy(self.model.state_dict())

    def save(self, path: Path) -> None:
        """Write the state of the training, whole or not at all."""
        content = {
            "version": _STATE_VERSION,
            "of": self.identity,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": self.random.get_state(),
            "history": [asdict(epoch) for epoch in self.history],
            "best": self.best,
            "best_weights": self.best_weights,
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        with written_whole(path) as temporary:
            temporary.write_bytes(buffer.getvalue())

    def resume(self, path: Path) -> None:
        """Continue from a file that `save` wrote."""
        try:
            content = load_torch_file(path)
            if (content["version"], content["of"]) != (_STATE_VERSION, self.identity):
                raise InputError(
                    f"{path} was left by a training with other windows or options; give the same ones to continue, "
                    "or delete it to restart."
                )
            load_weights(self.model, content["best_weights"])  # they must fit as well
            load_weights(self.model, content["model"])
            self._load_moments(content["optimizer"]["state"])
            self.random.set_state(content["random"].cpu())
            self.history = TypeAdapter(list[Epoch]).validate_python(content["history"])
            self.best, self.best_weights = range(len(self.history))[content["best"]], content["best_weights"]
        except (InputError, OSError):  # a file that cannot be read may be whole
            raise
        except Exception:  # noqa: BLE001  damage shows itself in torch as an error of almost any class
            raise InputError(
                f"{path} is not an interrupted training, or it is damaged; delete it to restart."
            ) from None

    def _load_moments(self, moments: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Set the moments of the optimizer, of each parameter by its number; its options are those of this run."""
        parameters = list(self.model.parameters())
        for number, values in moments.items():
            shape = parameters[number].shape
            wanted = {"step": torch.Size(), "exp_avg": shape, "exp_avg_sq": shape}
            if {name: value.shape for name, value in values.items()} != wanted or not all(
                is_plain_tensor(value, torch.float32) and torch.isfinite(value).all()
                for value in values.values()
            ):
                raise ValueError("the moments do not fit the model")
            if values["step"] < 0 or (values["exp_avg_sq"] < 0).any():
                raise ValueError("a step or a second moment is negative")
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": dict(moments), "param_groups": groups})

    def _batch(self, chosen: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return windows `(B, 2, T, 18)` by number, those from N on mirrored, and their labels."""
        chosen = chosen.to(self.rows.device)
        rows = self.rows[chosen % len(self.rows)]
        batch = self.windows[rows]
        flipped = chosen >= len(self.rows)
        batch[flipped] = mirrored(batch[flipped])
        return batch, None if self.labels is None else self.labels[rows]

    @functools.cached_property
    def identity(self) -> str:
        """A hash of everything that determines the result."""
        facts = {"options": asdict(self.options), "config": self.model.config.as_dict()}
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for values in self.inputs:
            digest.update(b"none" if values is None else np.ascontiguousarray(values).data)
        return digest.hexdigest()


def one_cycle(progress: float) -> float:
    """Return the learning rate as a share of the highest: up linearly from 4 %, then down along a cosine to zero.

    Args:
        progress: the share of all steps that are done.

    >>> [round(one_cycle(progress), 2) for progress in (0, 0.05, 0.1, 0.55, 1)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if progress < _WARM_UP:
        return 0.04 + 0.96 * progress / _WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP))


def hold_out_windows(windows: Windows, share: float) -> npt.NDArray[np.bool_]:
    """Choose windows to be held out of training, `(N,)` bool, always the same ones.

    Whole clips are held out, evenly spread over their order; with fewer than five clips it is whole tracks, since
    windows of one person overlap and say nothing about other people.

    Args:
        windows: all windows.
        share: of the clips or tracks, 0 for none.
    """
    clips, tracks = windows.clip, windows.clip * (windows.person.max(initial=0) + 1) + windows.person
    groups = clips if len(np.unique(clips)) >= _MIN_CLIPS else tracks
    names = np.unique(groups)
    count = min(math.ceil(share * len(names)), len(names) - 1)
    spread = np.linspace(0, len(names) - 1, count + 2)[1:-1].round().astype(int)
    return np.asarray(np.isin(groups, names[spread]))


def mirrored(windows: Tensor) -> Tensor:
    """Return the mirror images of normalised windows `(N, 2, T, 18)`: x changes sign, left joints become right ones."""
    flipped = windows[..., list(OPENPOSE_MIRROR)].clone()
    flipped[:, 0] *= -1
    return flipped

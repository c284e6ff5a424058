"""The flow against an autoencoder of the same budget, that is of at most 488 parameters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from daflow.core.data.windows import Poses
from daflow.model.flow import draw_weights

_JOINTS, _CODE = 18, 6
_BATCH, _LR = 64, 1e-2


class Autoencoder(nn.Module):
    """Each pose of a window through a code of 6 numbers and back; its score is the mean squared error of the window.

    Args:
        generator: what the initial weights are drawn from; None is torch's global generator.

    >>> sum(p.numel() for p in Autoencoder().parameters())
    474
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.encoder = nn.utils.skip_init(nn.Linear, 2 * _JOINTS, _CODE)  # type: ignore[no-untyped-call]
        self.decoder = nn.utils.skip_init(nn.Linear, _CODE, 2 * _JOINTS)  # type: ignore[no-untyped-call]
        draw_weights(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return the error of windows `(B, 2, T, 18)`, `(B,)`."""
        poses = x.permute(0, 2, 3, 1).flatten(2)
        rebuilt = self.decoder(torch.tanh(self.encoder(poses)))
        error: Tensor = ((rebuilt - poses) ** 2).mean(dim=(1, 2))
        return error

    @torch.inference_mode()
    def score(self, poses: Poses) -> npt.NDArray[np.float32]:
        """Return the error of windows, `(N,)`."""
        parts = [self(batch) for batch in torch.split(torch.from_numpy(poses), 1024)]
        return np.asarray(torch.cat(parts), dtype=np.float32)


def train_autoencoder(poses: Poses, epochs: int, seed: int) -> Autoencoder:
    """Train on normal windows with Adam; the same seed gives the same model, and torch's global state stays."""
    generator = torch.Generator().manual_seed(seed)
    model = Autoencoder(generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=_LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    windows = torch.from_numpy(poses)
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(windows), generator=generator), _BATCH):
            loss = model(windows[batch]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return model.eval()

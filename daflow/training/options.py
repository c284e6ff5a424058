"""How to train: the options and their defaults, which the command and the library share. Needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from daflow.core.errors import InputError

STRIDE = 6
"""Poses between the starts of training windows, as in STG-NF."""

WINDOW = 12
"""Poses in a window (T). The paper's 24 see people too late who are there for a second; see docs/studies.md."""

HOLD_OUT = 0.1
"""Share of the clips that is kept out of training."""

EVIDENCE = "flow,shape,motion"
"""What windows are judged by; see `daflow.core.evidence.parse_channels`."""

Schedule = Literal["one-cycle", "constant"]
"""How the learning rate goes; see `TrainOptions`."""


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    Attributes:
        epochs: passes over all windows (and their mirror images with `augment`).
        batch_size: windows in a step.
        lr: the highest learning rate of AdamW.
        weight_decay: AdamW's; with 0 it is Adam.
        schedule: `one-cycle` reaches `lr` after a tenth of the steps and then goes down to 0; `constant` keeps it.
        seed: of the initial weights and of the order of the windows.
        augment: whether every window is also seen mirrored left to right.
        device: where torch trains, such as `cpu` or `cuda`.
        threads: of each operation on a CPU; another number changes the rounding, and so the model a little.

    Raises:
        InputError: a value is out of range.
    """

    epochs: int = 48
    batch_size: int = 128
    lr: float = 0.15
    weight_decay: float = 0.01
    seed: int = 0
    augment: bool = True
    device: str = "cpu"
    threads: int = 1
    schedule: Schedule = "one-cycle"

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 2), ("threads", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}; it is {getattr(self, name)}.")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise InputError(f"lr must be a positive number; it is {self.lr}.")
        if self.schedule not in get_args(Schedule):
            raise InputError(f"schedule must be {' or '.join(get_args(Schedule))}; it is {self.schedule!r}.")

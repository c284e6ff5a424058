"""What a score is made of: the channels of evidence, and the unit that they give it.

With the flow alone a score is its negative log-likelihood in bits per dimension. With more channels each is turned into
surprise, minus the binary logarithm of the share of normal windows that are as unusual, in bits: 10 bits are one window
in 1,024. Shares can be compared and likelihoods of different things cannot. `daflow.model.evidence` computes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, ConfigDict

from daflow.core.errors import InputError
from daflow.core.schema import Count

Channel = Literal["flow", "shape", "motion"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
FLOW: tuple[Channel, ...] = ("flow",)

_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scored:
    """The scores of windows.

    Attributes:
        score: `(B,)` float32, high means abnormal.
        surprise: `(B, C)` float32, the surprise of each channel in bits; None of the flow alone.
    """

    score: _Floats
    surprise: _Floats | None = None


def require_channels(channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
    """Check that the flow comes first, then others, each once and in its order, and return them.

    Raises:
        ValueError: they do not.
    """
    in_order = channels == tuple(name for name in CHANNELS if name in channels)
    if channels[:1] != FLOW or len(channels) < 2 or not in_order:
        raise ValueError("it must be flow, and then shape, motion or both")
    return channels


Channels = Annotated[tuple[Channel, ...], AfterValidator(require_channels)]


class EvidenceFacts(BaseModel):
    """What the scores of a bundle are made of, when it is more than the flow; a part of its manifest.

    Attributes:
        channels: in the order of the graph's `surprise`.
        windows: how many normal windows the surprise was fitted on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: Channels
    windows: Count


def unit_of(channels: Sequence[Channel]) -> str:
    """Return the unit of a score.

    >>> unit_of(["flow"]), unit_of(["flow", "shape", "motion"])
    ('bits/dim', 'bits')
    """
    return "bits/dim" if tuple(channels) == FLOW else "bits"


def parse_channels(text: str) -> tuple[Channel, ...]:
    """Return the channels that a text names, in their order.

    Raises:
        InputError: it names another one, or not the flow.

    >>> parse_channels("motion,flow")
    ('flow', 'motion')
    """
    wanted = {name.strip() for name in text.split(",")} - {""}
    if unknown := sorted(wanted - {*CHANNELS}):
        raise InputError(f"{unknown[0]!r} is no channel of evidence. Use flow, shape and motion.")
    if "flow" not in wanted:
        raise InputError("The evidence needs the flow: flow alone, or flow and shape, motion or both.")
    return tuple(name for name in CHANNELS if name in wanted)

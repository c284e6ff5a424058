"""Why a score is high, in words: what each channel of evidence says of a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daflow.core.alarms.p_value import rarity
from daflow.core.evidence import Channel, Evidence

NOTABLE = 5.0
"""Bits from which a channel is named beside the strongest: 1 in 32 normal windows."""

_SAYS: Mapping[Channel, str] = {
    "flow": "a sequence of poses",
    "shape": "a posture",
    "motion": "a movement",
}


def in_words(channel: Channel, surprise: float, windows: int) -> str:
    """Say how unusual a window is by one channel.

    Args:
        channel: the channel.
        surprise: its surprise, bits.
        windows: the normal windows that the surprise was fitted on; they say nothing about what is rarer.

    >>> in_words("motion", 5, 10_000)
    'a movement as in 1 in 32 normal windows'
    >>> in_words("shape", 40, 500)
    'a posture rarer than 1 in 500 normal windows'
    """
    share = 2.0 ** -max(0.0, min(surprise, 1000.0))
    floor = 1 / max(1, windows)
    rare = rarity(max(share, floor), floor)
    return f"{_SAYS[channel]} {'' if rare.startswith('rarer') else 'as in '}{rare} normal windows"


@dataclass(frozen=True)
class Reason:
    """What one channel of evidence says of a window.

    Attributes:
        channel: the channel.
        surprise: bits.
        words: the same in words.
    """

    channel: Channel
    surprise: float
    words: str


def reasons(evidence: Evidence, surprise: Sequence[float]) -> tuple[Reason, ...]:
    """Return what each channel says, the strongest first.

    Args:
        evidence: the channels, and how many normal windows their surprise was fitted on.
        surprise: of each channel, bits.
    """
    found = [
        Reason(channel, bits, in_words(channel, bits, evidence.windows))
        for channel, bits in zip(evidence.channels, surprise, strict=True)
    ]
    return tuple(sorted(found, key=lambda reason: -reason.surprise))


def why(found: Sequence[Reason]) -> str | None:
    """Say in one phrase what raised a score: the strongest reason, and the others that are notable.

    >>> why([Reason("shape", 9.1, "a posture"), Reason("motion", 6.0, "a movement"), Reason("flow", 1.0, "poses")])
    'a posture; a movement'
    """
    named = [reason.words for number, reason in enumerate(found) if number == 0 or reason.surprise >= NOTABLE]
    return "; ".join(named) or None

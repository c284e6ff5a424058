"""Why a score is high, in words: what each channel of evidence says of a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from daflow.core.alarms.p_value import rarity
from daflow.core.evidence import Channel, EvidenceFacts

NOTABLE = 5.0
"""Bits from which a channel is named beside the strongest: 1 in 32 normal windows."""

_UNUSUAL = 1.0  # bit

_SAYS: Mapping[Channel, str] = {
    "flow": "a sequence of poses",
    "shape": "a posture",
    "motion": "a movement",
}


class Reason(NamedTuple):
    """What one channel of evidence says of a window. There are some for each person of each frame, so they are light.

    Attributes:
        channel: the channel.
        surprise: bits.
        windows: how many normal windows the surprise was fitted on.
    """

    channel: Channel
    surprise: float
    windows: int

    @property
    def rarity(self) -> str:
        """How many normal windows the channel finds as unusual, in words."""
        return rarity_of(self.surprise, self.windows)


def reasons(evidence: EvidenceFacts, surprise: Sequence[float]) -> tuple[Reason, ...]:
    """Return what each channel says, the strongest first.

    Args:
        evidence: the channels, and how many normal windows their surprise was fitted on.
        surprise: of each channel, bits.
    """
    found = [
        Reason(channel, bits, evidence.windows)
        for channel, bits in zip(evidence.channels, surprise, strict=True)
    ]
    return tuple(sorted(found, key=lambda reason: -reason.surprise))


def rarity_of(surprise: float, windows: int) -> str:
    """Say of how many normal windows a surprise in bits is; the normal windows say nothing about what is rarer.

    >>> rarity_of(5, 10_000), rarity_of(40, 500)
    ('as in 1 in 32 normal windows', 'rarer than 1 in 500 normal windows')
    """
    share = 2.0 ** -max(0.0, min(surprise, 1000.0))
    floor = 1 / max(1, windows)
    words = rarity(max(share, floor), floor)
    return f"{'' if words.startswith('rarer') else 'as in '}{words} normal windows"


def why(found: Sequence[Reason], lasting_seconds: float = 0.0) -> str | None:
    """Say in one phrase what raised a score: the strongest reason, and the others that are notable.

    None when nothing is unusual: half of all normal windows have a bit of surprise.

    Args:
        found: what each channel says of the last window, the strongest first.
        lasting_seconds: the time constant of the mean that raised the score; 0 where the last window did.

    >>> why([Reason("shape", 9, 4000), Reason("motion", 9, 4000), Reason("flow", 1, 4000)])
    'a posture and a movement as in 1 in 510 normal windows'
    >>> why([Reason("shape", 4, 4000)], lasting_seconds=10)
    'unusual for about 10 s, at last a posture as in 1 in 16 normal windows'
    """
    named = [
        reason for number, reason in enumerate(found) if reason.surprise >= (NOTABLE if number else _UNUSUAL)
    ]
    phrases = []
    for words, group in groupby(named, key=lambda reason: reason.rarity):
        *first, last = (_SAYS[reason.channel] for reason in group)
        phrases.append(f"{', '.join(first)} and {last} {words}" if first else f"{last} {words}")
    words = "; ".join(phrases) or None
    if lasting_seconds == 0:
        return words
    lasting = f"unusual for about {lasting_seconds:g} s"
    return f"{lasting}, at last {words}" if words else lasting

"""Judges tokens, and slows whoever guesses them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from enum import Enum

_FREE_GUESSES = 5  # wrong tokens of a visitor that are judged at once
_FORGIVE_SECONDS = 60.0  # after which one of them is forgotten
_PAUSE = 3.0  # seconds; below the time that Prometheus waits for an answer
_MAX_WAITING = 16  # guesses of one visitor that wait at the same time
_MAX_WAITING_IN_ALL = 64
_MAX_VISITORS = 1024  # that are remembered


class Verdict(Enum):
    """What a token is."""

    RIGHT = "right"
    WRONG = "wrong"
    WRONG_AGAIN = "wrong, and the visitor has given several wrong ones"
    NOT_JUDGED = "not looked at, because the visitor guesses too often"


class TokenThrottle:
    """Judges tokens: after five wrong ones of a visitor each further token waits for some seconds before it is judged.

    A right token is let in at any time, only later when its visitor shares an address with somebody who guesses. To
    let it in at once would tell a guesser at once what is right. Use it from one event loop only.

    Args:
        is_right: compares a token.
        now: gives seconds that never go back.
    """

    def __init__(
        self,
        is_right: Callable[[str], bool],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_right = is_right
        self._now = now
        self._wrong: OrderedDict[str, tuple[float, float]] = OrderedDict()  # how many, and when
        self._waiting: Counter[str] = Counter()

    async def judge(self, visitor: str, token: str) -> Verdict:
        """Judge a token; it waits first if the visitor has given several wrong ones."""
        if self._recent(visitor) <= _FREE_GUESSES - 1:
            return self._judge(visitor, token, Verdict.WRONG)
        if self._waiting[visitor] >= _MAX_WAITING or self._waiting.total() >= _MAX_WAITING_IN_ALL:
            return Verdict.NOT_JUDGED
        self._waiting[visitor] += 1
        try:
            await asyncio.sleep(_PAUSE)
        finally:
            self._waiting[visitor] -= 1
            self._waiting += Counter()  # forgets visitors of whom no token waits
        return self._judge(visitor, token, Verdict.WRONG_AGAIN)

    def _judge(self, visitor: str, token: str, wrong: Verdict) -> Verdict:
        # Looking, comparing and counting is one step: no other guess comes in between.
        if self._is_right(token):
            return Verdict.RIGHT
        self._wrong[visitor] = min(self._recent(visitor), 2 * _FREE_GUESSES) + 1, self._now()
        self._wrong.move_to_end(visitor)
        if len(self._wrong) > _MAX_VISITORS:
            self._wrong.popitem(last=False)
        return wrong

    def _recent(self, visitor: str) -> float:
        """Return how many wrong tokens of a visitor are not yet forgotten."""
        count, then = self._wrong.get(visitor, (0.0, 0.0))
        return max(0.0, count - (self._now() - then) / _FORGIVE_SECONDS)

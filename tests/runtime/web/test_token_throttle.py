from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from runtime.web import token_throttle as module
from runtime.web.token_throttle import TokenThrottle, Verdict


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture(autouse=True)
def _short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.01)


def throttle(clock: Clock | None = None) -> TokenThrottle:
    return TokenThrottle("right".__eq__, clock or Clock())


def test_after_five_wrong_tokens_each_further_one_waits_and_the_right_one_is_let_in() -> None:
    async def run() -> None:
        judge = throttle().judge
        assert [await judge("a", "wrong") for _ in range(6)] == [Verdict.WRONG] * 5 + [Verdict.WRONG_AGAIN]
        assert await judge("b", "wrong") is Verdict.WRONG, "another visitor is not slowed"
        for _ in range(50):
            await judge("a", "wrong")
        assert await judge("a", "right") is Verdict.RIGHT
        assert await judge("a", "wrong") is Verdict.WRONG_AGAIN, "a right token frees nobody at its address"

    asyncio.run(run())


def test_of_many_guesses_at_once_few_are_judged() -> None:
    looked_at = []

    async def run() -> Counter[Verdict]:
        judging = TokenThrottle(lambda token: bool(looked_at.append(token)), Clock())
        return Counter(await asyncio.gather(*(judging.judge("a", f"guess {n}") for n in range(100))))

    found = asyncio.run(run())
    assert found == {Verdict.WRONG: 5, Verdict.WRONG_AGAIN: 16, Verdict.NOT_JUDGED: 79}
    assert len(looked_at) == 21


def test_a_guess_waits_before_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)

    async def run() -> None:
        for _ in range(7):
            await throttled.judge("a", "wrong")
        await throttled.judge("a", "right")

    throttled = throttle()
    asyncio.run(run())
    assert waits == [0.01] * 3, "a right token waits as long as a wrong one, or its speed would tell"


def test_wrong_tokens_are_forgotten_one_a_minute() -> None:
    async def run() -> None:
        clock = Clock()
        judge = throttle(clock).judge
        for _ in range(100):
            await judge("a", "wrong")
        clock.time += 6 * 60
        assert await judge("a", "wrong") is Verdict.WRONG_AGAIN
        clock.time += 3 * 60
        assert [await judge("a", "wrong") for _ in range(3)] == [
            Verdict.WRONG,
            Verdict.WRONG,
            Verdict.WRONG_AGAIN,
        ]

    asyncio.run(run())


def test_the_visitors_that_are_remembered_are_limited() -> None:
    judging = throttle()

    async def run() -> None:
        for index in range(3000):
            await judging.judge(str(index), "wrong")

    asyncio.run(run())
    assert len(judging._wrong) == 1024
    assert not judging._waiting

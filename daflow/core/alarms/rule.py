"""When an alarm begins and when it ends. Calibration and the edge both use this code, so that they agree.

All times are seconds of the stream, and frames may come irregularly. A time without frames counts as a time in which
nobody could be scored.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

AlarmChange = Literal["begin", "end"]

MAX_GAP = 1.0
"""Longest gap between two frames in seconds; after a longer one the camera was lost and earlier scores do not count."""

LASTING_SECONDS = 5.0
"""Time constant of the lasting mean of `Smoother` in calibrations of scores in bits."""

LASTING_WEIGHT = 4.0
LASTING_BITS = 20.0
"""How much the lasting mean of `Smoother` counts, and what a score counts in it at most: one window in a million."""

_ROUNDING = 1e-6  # seconds; n / fps - m / fps is not always (n - m) / fps


@dataclass(frozen=True)
class AlarmRule:
    """Hysteresis in value and in time.

    Attributes:
        threshold: an alarm begins when the score is above it.
        release: an alarm ends when the score is below it; at most the threshold.
        begin_seconds: how long the score must stay above the threshold; 0 is a single frame.
        end_seconds: how long it must stay below the release; frames without a score count. 0 is a single frame.
        cool_down_seconds: how long after the end of an alarm no other begins.
        smoothing_seconds: time constant of each person's `Smoother`.
        hold_seconds: how long the last score of somebody counts who has none any more; see `Held`.
        lasting_seconds: time constant of the lasting mean of the `Smoother`; 0 is without.
        provisional: whether the threshold is a guess that promises no rate of false alarms.
    """

    threshold: float
    release: float
    begin_seconds: float = 0.1
    end_seconds: float = 0.5
    cool_down_seconds: float = 0.0
    smoothing_seconds: float = 0.0
    hold_seconds: float = 1.0
    lasting_seconds: float = 0.0
    provisional: bool = False

    def smoother(self) -> Smoother:
        """Return a new smoother of the scores of a camera's people."""
        return Smoother(self.smoothing_seconds, self.lasting_seconds)

    @property
    def threshold_text(self) -> str:
        """The threshold in words.

        >>> AlarmRule(threshold=5, release=5, provisional=True).threshold_text
        'provisional threshold 5.000'
        """
        return f"{'provisional ' if self.provisional else ''}threshold {self.threshold:.3f}"


class Smoother:
    """Causal smoothing of each person's scores, so that single bad poses count less and what lasts counts more.

    Two exponential means follow each person. The quick one is the smoothed score: it takes the first score of a person
    unchanged, and moves towards a later one by 1 - exp(-t / time constant) after t seconds. The lasting one starts at 0
    and takes scores of up to `LASTING_BITS`. It counts `LASTING_WEIGHT` times, and the higher of both is returned: ten
    seconds at 5 bits are as alarming as a moment at 13.

    A person who was not scored for ten time constants and a second is forgotten: the old score would weigh less than
    0.005 %.

    Args:
        seconds: the time constant of the quick mean. 0 turns it off, and scores are taken as they are.
        lasting_seconds: the time constant of the lasting mean. 0 turns it off. It is for scores in bits of surprise,
            which are 0 where nothing is unusual.

    >>> smoother = Smoother(2.0)
    >>> [round(smoother.update(t, {7: score})[7], 2) for t, score in ((0.0, 1.0), (2.0, 2.0), (4.0, 2.0))]
    [1.0, 1.63, 1.86]
    >>> smoother = Smoother(0.0, lasting_seconds=10.0)
    >>> [round(smoother.update(second, {7: 5.0})[7], 1) for second in range(12)][::5]
    [5.0, 7.9, 12.6]
    """

    def __init__(self, seconds: float, lasting_seconds: float = 0.0) -> None:
        self._quick = _Mean(seconds) if seconds > 0 else None
        self._lasting = _Mean(lasting_seconds, start=0.0) if lasting_seconds > 0 else None
        self.lasting: frozenset[int] = frozenset()
        """The people of the last frame whose score is the lasting one."""

    def __len__(self) -> int:
        return max(0 if mean is None else len(mean) for mean in (self._quick, self._lasting))

    def update(self, time: float, scores: Mapping[int, float]) -> dict[int, float]:
        """Take the scores of the people of a frame and return the smoothed ones of the same people."""
        smoothed = dict(scores) if self._quick is None else self._quick.update(time, scores)
        if self._lasting is None:
            return smoothed
        bounded = {person: min(score, LASTING_BITS) for person, score in scores.items()}
        lasting = {p: LASTING_WEIGHT * mean for p, mean in self._lasting.update(time, bounded).items()}
        self.lasting = frozenset(person for person, mean in lasting.items() if mean > smoothed[person])
        return {person: max(score, lasting[person]) for person, score in smoothed.items()}


class _Mean:
    """Exponential means of each person's scores.

    Args:
        seconds: the time constant, above 0.
        start: where it starts; None at the first score. A mean with a start lets at most `MAX_GAP` pass between two
            scores, since nobody knows what was in a longer gap.
    """

    def __init__(self, seconds: float, start: float | None = None) -> None:
        self._seconds = seconds
        self._start = start
        self._last: dict[int, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._last)

    def update(self, time: float, scores: Mapping[int, float]) -> dict[int, float]:
        for person, score in scores.items():
            start = score if self._start is None else self._start
            before, then = self._last.get(person, (start, time))
            before = before if then <= time else start
            passed = max(0.0, time - then)
            passed = passed if self._start is None else min(passed, MAX_GAP)
            self._last[person] = before - math.expm1(-passed / self._seconds) * (score - before), time
        means = {person: self._last[person][0] for person in scores}
        oldest = time - 10 * self._seconds - MAX_GAP
        for person in [p for p, (_, then) in self._last.items() if then < oldest]:
            del self._last[person]
        return means


class Held(Generic[T]):
    """What was last known of each person, for so many seconds after it was.

    Who falls is often lost: the tracker or the pose network does not know them lying. Their last score, which belongs
    to the fall, would be gone before an alarm has begun.

    Args:
        seconds: how long. 0 holds nothing.

    >>> held = Held(1.0)
    >>> [held.update(time, known) for time, known in ((0.0, {7: 5.0}), (1.0, {8: 2.0}), (1.5, {}), (2.5, {}))]
    [{7: 5.0}, {7: 5.0, 8: 2.0}, {8: 2.0}, {}]
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds + _ROUNDING
        self._known: dict[int, tuple[float, T]] = {}
        self._last = -math.inf

    def update(self, time: float, known: Mapping[int, T]) -> dict[int, T]:
        """Take what is known of the people of a frame, and return that with what is held of others.

        After a gap in which the camera was lost, and after a restart of the stream, nothing is held.
        """
        if not 0 <= time - self._last <= MAX_GAP:
            self._known.clear()
        self._last = time
        self._known.update({person: (time, value) for person, value in known.items()})
        for person in [p for p, (then, _) in self._known.items() if time - then > self._seconds]:
            del self._known[person]
        return {person: value for person, (_, value) in self._known.items()}


class Sustained:
    """The level of a score: its minimum over the last `seconds`.

    An alarm begins when the level exceeds the threshold, so thresholds are chosen by the distribution of levels.

    Args:
        seconds: the length of the minimum, `AlarmRule.begin_seconds`.

    >>> level = Sustained(0.2)
    >>> [level.update(frame / 10, score) for frame, score in enumerate((5, 7, 6, 9, 8))]
    [None, None, 5, 6, 6]
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds - _ROUNDING
        # Rising scores; each is the minimum since the one before it.
        self._scores: deque[tuple[float, float]] = deque()
        self._since = math.inf
        self._last = -math.inf

    def update(self, time: float, score: float | None) -> float | None:
        """Take the score of a frame and return the level, None until there were scores for long enough."""
        if score is None or math.isnan(score) or not 0 <= time - self._last <= MAX_GAP:
            self._scores.clear()
            self._since = math.inf
        self._last = time
        if score is None or math.isnan(score):
            return None
        self._since = min(self._since, time)
        first = time
        while self._scores and self._scores[-1][1] >= score:
            first = self._scores.pop()[0]
        self._scores.append((first, score))
        begin = time - self._seconds
        if self._since > begin:
            return None
        # An entry holds from its own first frame to the frame before the next entry's.
        while len(self._scores) > 1 and self._scores[1][0] <= begin:
            self._scores.popleft()
        return self._scores[0][1]


class AlarmState:
    """The state of a camera's alarm.

    >>> alarm = AlarmState(AlarmRule(threshold=5, release=4, begin_seconds=1, end_seconds=0))
    >>> [alarm.update(time, score) for time, score in enumerate((6, 3, 6, 6, 4.5, 3))]
    [None, None, None, 'begin', None, 'end']
    """

    def __init__(self, rule: AlarmRule) -> None:
        self.rule = rule
        self.active = False
        self._sustained = Sustained(rule.begin_seconds)
        self._quiet_since: float | None = None
        self._ended = -math.inf
        self._last = -math.inf

    def update(self, time: float, score: float | None) -> AlarmChange | None:
        """Take the next frame and return whether an alarm begins or ends.

        Args:
            time: seconds of the stream; never falls, but for a restart of the stream.
            score: smoothed score of the worst person; None when nobody could be scored.
        """
        return self.decide(time, score, self._sustained.update(time, score))

    def decide(self, time: float, score: float | None, level: float | None) -> AlarmChange | None:
        """Do the same as `update` for a level that is known already.

        While no alarm is on, frames whose level is not above the threshold may be skipped.
        """
        last, self._last = self._last, time
        if self.active:
            return self._end(time, last, score)
        rested = not 0 <= time - self._ended < self.rule.cool_down_seconds - _ROUNDING
        if rested and level is not None and level > self.rule.threshold:
            self.active = True
            self._quiet_since = None
            return "begin"
        return None

    def _end(self, time: float, last: float, score: float | None) -> AlarmChange | None:
        lost = time - last > MAX_GAP
        quiet = score is None or not score >= self.rule.release
        if not (lost or quiet):
            self._quiet_since = None
            return None
        if self._quiet_since is None or self._quiet_since > time:  # or the stream restarted
            self._quiet_since = last if lost else time
        if time - self._quiet_since >= self.rule.end_seconds - _ROUNDING:
            self.active = False
            self._ended = time
            return "end"
        if not quiet:
            self._quiet_since = None
        return None

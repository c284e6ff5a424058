"""When an alarm begins and when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Change = Literal["begin", "end"]


@dataclass(frozen=True)
class AlarmRule:
    """Hysteresis in value and in time.

    Attributes:
        threshold: an alarm begins when the score is above it.
        release: an alarm ends when the score is below it; at most the threshold.
        begin_frames: frames in a row above the threshold that begin an alarm.
        end_frames: frames in a row below the release that end it; frames without a score count.
    """

    threshold: float
    release: float
    begin_frames: int = 3
    end_frames: int = 12


class Alarm:
    """The state of a camera's alarm.

    >>> alarm = Alarm(AlarmRule(threshold=5, release=4, begin_frames=2, end_frames=1))
    >>> [alarm.update(score) for score in (6, 3, 6, 6, 4.5, 3)]
    [None, None, None, 'begin', None, 'end']
    """

    def __init__(self, rule: AlarmRule) -> None:
        self.rule = rule
        self.active = False
        self._in_a_row = 0

    def update(self, score: float | None) -> Change | None:
        """Take the score of the next frame, None when nobody could be scored, and say what changes."""
        if self.active:
            against = score is None or score < self.rule.release
            needed = self.rule.end_frames
        else:
            against = score is not None and score > self.rule.threshold
            needed = self.rule.begin_frames
        self._in_a_row = self._in_a_row + 1 if against else 0
        if self._in_a_row < needed:
            return None
        self.active = not self.active
        self._in_a_row = 0
        return "begin" if self.active else "end"

"""How finely a picture is divided into tiles for the detector."""

from __future__ import annotations

_GAIN = 1.1  # so many times the share of people must be found with smaller tiles, or they are not worth their time
_MEMORY = 0.7  # of the share found before, when one more search with the same tiles is counted
_COMPARE_EVERY = 8  # searches of the whole picture: one with smaller tiles, one with larger ones
_COMPARED = 2  # searches of people who were followed, after which something is known


class TileChoice:
    """Chooses how many tiles a picture is divided into, by the share of people that is found with more or fewer.

    How small a person the detector finds depends on the camera. So now and then the picture is searched with other
    tiles. Whoever they find is followed, and with which tiles they are seen again shows in the searches after that.

    >>> choice = TileChoice(max_across=3)
    >>> for _ in range(8):
    ...     across = choice.next()
    ...     choice.learn(across, {1: 0.5, 2: 0.9, 3: 0.9}[across])
    >>> choice.across
    2
    """

    def __init__(self, max_across: int) -> None:
        self._most = max_across
        self._searches = 0
        self._compared = 0
        self._shares: dict[int, float] = {}

    @property
    def is_settled(self) -> bool:
        """Whether the number of tiles is more than a guess."""
        return self._most == 1 or self._compared >= _COMPARED

    @property
    def across(self) -> int:
        """The best number of tiles along the longer side of the picture."""
        across = 1  # what was not tried yet is taken to see everybody
        while across < self._most and self._share(across + 1) > _GAIN * self._share(across):
            across += 1
        return across

    def _share(self, across: int) -> float:
        return self._shares.get(across, 1.0)

    def next(self) -> int:
        """Return how many tiles there are along the longer side in the next search of the whole picture."""
        self._searches += 1
        step = {2: 1, 6: -1}.get(self._searches % _COMPARE_EVERY, 0)
        return min(max(1, self.across + step), self._most)

    def learn(self, across: int, share: float) -> None:
        """Take which share of the people who were followed, 0 to 1, a search of the whole picture found too."""
        self._compared += 1
        before = self._shares.get(across, share)
        self._shares[across] = _MEMORY * before + (1 - _MEMORY) * share

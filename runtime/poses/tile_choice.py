"""How finely a picture is divided into tiles for the detector."""

from __future__ import annotations

_GAIN = 1.1  # so many times the people must be found with smaller tiles, or they are not worth their time
_MEMORY = 0.7  # of the number found before, when one more search with the same tiles is counted
_COMPARE_EVERY = 8  # searches of the whole picture: one with smaller tiles, one with larger ones


class TileChoice:
    """Chooses how many tiles a picture is divided into, by the number of people that are found with more or fewer.

    How small a person the detector finds depends on the camera. So now and then the picture is searched with other
    tiles, and their number follows from what is found.

    >>> choice = TileChoice(max_across=3)
    >>> for _ in range(8):
    ...     across = choice.next()
    ...     choice.learn(across, {1: 5, 2: 9, 3: 9}[across])
    >>> choice.across
    2
    """

    def __init__(self, max_across: int) -> None:
        self._most = max_across
        self._searches = 0
        self._found: dict[int, float] = {}

    @property
    def across(self) -> int:
        """The best number of tiles along the longer side of the picture."""
        across = 1
        while across < self._most and self._found.get(across + 1, 0.0) > _GAIN * self._found.get(across, 0.0):
            across += 1
        return across

    def next(self) -> int:
        """Return how many tiles there are along the longer side in the next search of the whole picture."""
        self._searches += 1
        step = {2: 1, 6: -1}.get(self._searches % _COMPARE_EVERY, 0)
        return min(max(1, self.across + step), self._most)

    def learn(self, across: int, found: int) -> None:
        """Take how many people a search of the whole picture found."""
        before = self._found.get(across, float(found))
        self._found[across] = _MEMORY * before + (1 - _MEMORY) * found

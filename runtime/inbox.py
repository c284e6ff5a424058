"""Between the cameras' threads and the one that scores: what all cameras have ready is taken at once."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """A queue with room for some items of each camera, so that a fast one cannot crowd out the others.

    >>> inbox: Inbox[str] = Inbox()
    >>> inbox.put("door", "a frame", room=2)
    True
    >>> inbox.take(timeout=1)
    [('door', 'a frame')]
    """

    def __init__(self) -> None:
        self._items: deque[tuple[str, T]] = deque()
        self._waiting: dict[str, int] = {}
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, camera: str, item: T, room: int) -> bool:
        """Wait until fewer than `room` items of the camera wait, and add one; False when the inbox was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting.get(camera, 0) < room)
            if self._closed:
                return False
            self._items.append((camera, item))
            self._waiting[camera] = self._waiting.get(camera, 0) + 1
            self._changed.notify_all()
            return True

    @property
    def done(self) -> bool:
        """Whether it was closed and everything was taken."""
        return self._closed and not self._items

    def take(self, timeout: float) -> list[tuple[str, T]]:
        """Return everything that waits, in order; nothing when nothing came for `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._items), timeout)
            items = list(self._items)
            self._items.clear()
            self._waiting.clear()
            self._changed.notify_all()
            return items

    def close(self) -> None:
        """Let everybody go who waits; what waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

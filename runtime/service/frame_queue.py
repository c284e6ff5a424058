"""Between the cameras' threads and the one that scores: what all cameras have ready is taken at once."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FrameQueue(Generic[T]):
    """A queue with room for some items of each camera, so that a fast one cannot crowd out the others.

    >>> queue: FrameQueue[str] = FrameQueue()
    >>> queue.put("door", "a frame", room=2)
    True
    >>> queue.take(timeout=1)
    [('door', 'a frame')]
    """

    def __init__(self) -> None:
        self._items: deque[tuple[str, T]] = deque()
        self._waiting: Counter[str] = Counter()
        self._closed = False
        self._lock = threading.Lock()
        self._filled = threading.Condition(self._lock)
        # A condition for each camera: with one for all, every frame would wake every thread.
        self._emptied: dict[str, threading.Condition] = {}

    def __len__(self) -> int:
        return len(self._items)

    def put(self, camera: str, item: T, room: int) -> bool:
        """Wait until fewer than `room` items of the camera wait, and add one; False when the queue was closed."""
        with self._lock:
            emptied = self._emptied.setdefault(camera, threading.Condition(self._lock))
            emptied.wait_for(lambda: self._closed or self._waiting[camera] < room)
            if self._closed:
                return False
            self._add(camera, item)
            return True

    def offer(self, camera: str, item: T, room: int) -> bool:
        """Add an item if there is room at once; return whether there was."""
        with self._lock:
            if self._closed or self._waiting[camera] >= room:
                return False
            self._add(camera, item)
            return True

    @property
    def done(self) -> bool:
        """Whether it was closed and everything was taken."""
        return self._closed and not self._items

    def take(self, timeout: float) -> list[tuple[str, T]]:
        """Return everything that waits, in order; nothing when nothing came for `timeout` seconds."""
        with self._lock:
            self._filled.wait_for(lambda: self._closed or bool(self._items), timeout)
            items = list(self._items)
            self._items.clear()
            for camera in self._waiting:
                if camera in self._emptied:
                    self._emptied[camera].notify_all()
            self._waiting.clear()
            return items

    def _add(self, camera: str, item: T) -> None:
        self._items.append((camera, item))
        self._waiting[camera] += 1
        self._filled.notify()

    def close(self) -> None:
        """Let everybody go who waits; what waits can still be taken."""
        with self._lock:
            self._closed = True
            self._filled.notify_all()
            for emptied in self._emptied.values():
                emptied.notify_all()

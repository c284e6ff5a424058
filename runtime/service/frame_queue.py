"""The queue between the threads of the cameras and the one that scores, which takes all items at once."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FrameQueue(Generic[T]):
    """A queue with a capacity for each camera, so that a fast one cannot delay the others.

    >>> queue: FrameQueue[str] = FrameQueue()
    >>> queue.put("door", "a frame", capacity=2)
    True
    >>> queue.take(timeout=1)
    [('door', 'a frame')]
    """

    def __init__(self) -> None:
        self._items: deque[tuple[str, T]] = deque()
        self._waiting: Counter[str] = Counter()
        self._closed = False
        self._lock = threading.Lock()
        self._not_empty = threading.Condition(self._lock)
        # One condition per camera: a common one would wake every thread for every frame.
        self._not_full: dict[str, threading.Condition] = {}

    def __len__(self) -> int:
        return len(self._items)

    def put(self, camera: str, item: T, capacity: int) -> bool:
        """Add an item once fewer than `capacity` of the camera wait; return False when the queue was closed."""
        with self._lock:
            not_full = self._not_full.setdefault(camera, threading.Condition(self._lock))
            not_full.wait_for(lambda: self._closed or self._waiting[camera] < capacity)
            if self._closed:
                return False
            self._add(camera, item)
            return True

    def offer(self, camera: str, item: T, capacity: int) -> bool:
        """Add an item if fewer than `capacity` of the camera wait; return whether it was added."""
        with self._lock:
            if self._closed or self._waiting[camera] >= capacity:
                return False
            self._add(camera, item)
            return True

    @property
    def done(self) -> bool:
        """Whether it is closed and empty."""
        return self._closed and not self._items

    def take(self, timeout: float) -> list[tuple[str, T]]:
        """Return all items in order, waiting up to `timeout` seconds for the first one."""
        with self._lock:
            self._not_empty.wait_for(lambda: self._closed or bool(self._items), timeout)
            items = list(self._items)
            self._items.clear()
            for camera in self._waiting:
                if camera in self._not_full:
                    self._not_full[camera].notify_all()
            self._waiting.clear()
            return items

    def _add(self, camera: str, item: T) -> None:
        self._items.append((camera, item))
        self._waiting[camera] += 1
        self._not_empty.notify()

    def close(self) -> None:
        """Wake all who wait and refuse new items; those in the queue can still be taken."""
        with self._lock:
            self._closed = True
            self._not_empty.notify_all()
            for not_full in self._not_full.values():
                not_full.notify_all()

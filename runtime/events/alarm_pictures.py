"""Pictures of stored alarms, made when somebody wants one."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import Literal, Protocol

from runtime.events.replay_recorder import SKELETONS
from runtime.replays.pictures import gif_of, mp4_of
from runtime.replays.skeletons import decode

Form = Literal["gif", "mp4"]

_MAX_KEPT_BYTES = 8_000_000


class Replays(Protocol):
    """What is needed of the event store."""

    def replay(self, alarm: str, part: str) -> bytes | None:
        """Return a part of the replay of an alarm, None when there is none."""


class AlarmPictures:
    """Makes pictures of alarms one at a time, and keeps the last ones; any thread may use it.

    Args:
        store: the replays.
    """

    def __init__(self, store: Replays) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, Form, bytes], bytes] = OrderedDict()

    def picture_of(self, alarm: str, form: Form = "gif") -> bytes | None:
        """Return the skeletons of an alarm as an animated GIF or an MP4; None when none are stored.

        Args:
            alarm: its id.
            form: of the picture.

        Raises:
            StoreError: the store cannot be read now.
            InputError: PyAV or OpenCV is missing.
        """
        stored = self._store.replay(alarm, SKELETONS)
        if stored is None:
            return None
        key = alarm, form, hashlib.sha256(stored).digest()  # a recording may still grow
        with self._lock:
            picture = self._kept.pop(key, None)
            if picture is None:
                skeletons = decode(stored)
                picture = gif_of(skeletons) if form == "gif" else mp4_of(skeletons)
            self._kept[key] = picture
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > _MAX_KEPT_BYTES:
                self._kept.popitem(last=False)
        return picture

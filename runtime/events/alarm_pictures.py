"""Pictures of stored alarms, made when somebody wants one."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from typing import Literal, Protocol

from runtime.events.delivery import DeliveryFailed
from runtime.events.message import EventMessage
from runtime.events.replay_recorder import SKELETONS
from runtime.events.store import StoreError
from runtime.replays.pictures import gif_of, mp4_of
from runtime.replays.skeletons import decode

logger = logging.getLogger(__name__)

Form = Literal["gif", "mp4"]

MAX_SENT_BYTES = 2_000_000
"""Of a picture that is sent to a receiver."""

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

    def gif_for(self, message: EventMessage) -> bytes | None:
        """Return the GIF that goes with a message about an alarm; None, and a line in the log, when there can be none.

        Raises:
            DeliveryFailed: the store cannot be read now.
        """
        try:
            picture = self.picture_of(message.id)
        except StoreError as error:
            raise DeliveryFailed(f"the replay of the alarm cannot be read: {error}") from None
        except Exception as error:  # noqa: BLE001 - no message may wait for ever for a picture that cannot be made
            logger.error("There is no picture of the alarm %s: %s", message.id, error)
            return None
        if picture is not None and len(picture) > MAX_SENT_BYTES:
            logger.error("The picture of the alarm %s has %d bytes and is not sent", message.id, len(picture))
            return None
        return picture

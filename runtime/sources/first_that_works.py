"""Connecting to a camera in one of several ways, of which some may not work here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from runtime.sources.camera import Connection

logger = logging.getLogger(__name__)


class TriedConnection(Connection, Protocol):
    """A connection that may turn out not to work.

    Attributes:
        delivered: whether there was a picture.
    """

    delivered: bool


class FirstThatWorks:
    """Connects in one of several ways: in the next one whenever a connection gave no picture, until one did.

    A camera that is away at first makes it go round, so a decoder that fails is passed over. The first way is kept once
    it has worked, whatever happens to the camera later. Another one is kept from the second time on: when the camera is
    connected to again, the ways before it are tried once more, since they may have failed because it was away.

    Args:
        ways: start a connection, by what decodes in it, in words; the best first.
        name: of the camera, for the warning.
    """

    def __init__(self, ways: Mapping[str, Callable[[], TriedConnection]], name: str) -> None:
        self._ways = list(ways.items())
        self._name = name
        self._chosen = 0
        self._last: TriedConnection | None = None
        self._works = False  # the chosen one
        self._tried_again = False
        self._told = False

    def __call__(self) -> TriedConnection:
        """Start a connection.

        Raises:
            OSError: its process cannot be started.
        """
        self._works = self._works or (self._last is not None and self._last.delivered)
        if self._works and self._chosen and not self._tried_again:
            self._works, self._tried_again, self._chosen = False, True, 0
        elif self._last is not None and not self._works and len(self._ways) > 1:
            failed, _ = self._ways[self._chosen]
            self._chosen = (self._chosen + 1) % len(self._ways)
            other, _ = self._ways[self._chosen]
            if not self._told:
                logger.warning("%s: no picture when %s; it is %s if that works", self._name, failed, other)
                self._told = True
        self._last = self._ways[self._chosen][1]()
        return self._last

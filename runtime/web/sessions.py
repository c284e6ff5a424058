"""The sessions of visitors who have given the token."""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

from runtime.events.store import StoreError

logger = logging.getLogger(__name__)

SESSION_SECONDS = 30 * 86400

_KEYS = {"operator": "web.sessions", "viewer": "web.sessions.viewer"}
_MAX_SESSIONS = 1000


class Values(Protocol):
    """Keeps small values beyond the end of the process."""

    def get(self, key: str) -> Any:
        """Return a value, None when it was never set."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value that JSON can hold."""


class Sessions:
    """The sessions, each a random number in a cookie; any thread may use them.

    They survive a restart of the service if its store does, and are invalid after the token was changed. The store
    holds no cookie, only what a cookie is recognised by.

    Args:
        token: what visitors must give.
        values: where sessions are kept; when it fails, they are kept in memory.
        now: gives seconds since 1970.
        role: of who gives the token; the sessions of each role are kept apart.
    """

    def __init__(
        self,
        token: str,
        values: Values,
        now: Callable[[], float] = time.time,
        role: Literal["operator", "viewer"] = "operator",
    ) -> None:
        self._values = values
        self._stored_as = _KEYS[role]
        self._now = now
        self._lock = threading.Lock()
        # Who has read the store and has a cookie must not find a short token easily.
        self._key = hashlib.scrypt(token.encode(), salt=b"daflow session", n=2**14, r=8, p=1)
        self._ends = self._read()

    def begin(self) -> str:
        """Begin a session; return the value of its cookie."""
        cookie = secrets.token_urlsafe(32)
        self._change(cookie, self._now() + SESSION_SECONDS)
        return cookie

    def left(self, cookie: str) -> float:
        """Return for how many seconds a session is still valid, 0 when it is not."""
        return max(0.0, self._ends.get(self._name(cookie), 0.0) - self._now())

    def extend(self, cookie: str) -> None:
        """Let a valid session last as long as a new one."""
        if self.left(cookie):
            self._change(cookie, self._now() + SESSION_SECONDS)

    def end(self, cookie: str) -> None:
        """End a session: its cookie is worth nothing any more, whoever has a copy."""
        if self.left(cookie):
            self._change(cookie, 0.0)

    def _name(self, cookie: str) -> str:
        return hmac.new(self._key, cookie.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def _change(self, cookie: str, end: float) -> None:
        with self._lock:
            ends = {**self._ends, self._name(cookie): end}
            valid = sorted((end, name) for name, end in ends.items() if end > self._now())
            self._ends = {name: end for end, name in valid[-_MAX_SESSIONS:]}
            try:
                self._values.set(self._stored_as, self._ends)
            except StoreError as error:
                logger.warning("the sessions of the live page are not stored: %s", error)

    def _read(self) -> dict[str, float]:
        try:
            stored = self._values.get(self._stored_as)
        except StoreError as error:
            logger.warning("the sessions of the live page cannot be read, sign in again: %s", error)
            return {}
        if not isinstance(stored, dict):
            return {}
        return {
            str(name): float(end)
            for name, end in stored.items()
            if isinstance(end, (int, float)) and math.isfinite(end)
        }

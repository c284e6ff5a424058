"""Who may see the page: allowed host names, the token, sessions by cookie, and the headers that guard the page."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re

from runtime.web.sessions import Sessions, Values
from runtime.web.token_throttle import TokenThrottle
from runtime.web.visitors import Visitors

COOKIE = "daflow_session"
MIN_TOKEN = 8  # characters

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

# No character in it can end the host in a URL.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(:[0-9]*)?", re.ASCII)


class Access:
    """Checks host names, tokens and sessions.

    Args:
        token: what visitors must give; None lets everybody in.
        hosts: the host names, beside loopback, that requests may use; None allows any.
        values: where sessions are kept; needed with a token.
        visitors: finds the visitor of a request.
    """

    def __init__(
        self,
        token: str | None,
        hosts: frozenset[str] | None,
        values: Values | None = None,
        visitors: Visitors | None = None,
    ) -> None:
        self.sessions = Sessions(token, values) if token is not None and values is not None else None
        self.throttle = TokenThrottle(self.token_is_valid)
        self.visitors = visitors or Visitors()
        self._token = token
        self._hosts = hosts

    @property
    def needs_token(self) -> bool:
        """Whether visitors must give a token."""
        return self._token is not None

    def host_is_allowed(self, host: str) -> bool:
        """Whether a Host header names this server; a page whose name resolves to it (DNS rebinding) is refused."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].strip("[]").lower().rstrip(".")
        return self._hosts is None or name in self._hosts or _is_loopback(name)

    def token_is_valid(self, token: str) -> bool:
        """Compare a token in constant time."""
        given, wanted = (
            hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (token, self._token or "")
        )
        return self._token is not None and hmac.compare_digest(given, wanted)

    def session_left(self, cookie: str) -> float:
        """Return for how many seconds the session of a cookie is still valid, 0 when it is not."""
        return self.sessions.left(cookie) if self.sessions else 0.0


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

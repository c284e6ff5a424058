"""Who may see the page: allowed host names, the token, sessions by cookie, and the headers that guard the page."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from typing import Literal

from runtime.web.sessions import Sessions, Values
from runtime.web.token_throttle import TokenThrottle
from runtime.web.visitors import Visitors

Role = Literal["operator", "viewer"]
"""What a token is for: a viewer sees everything, and an operator may also change something."""

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
        token: the operator's, or the only one; None lets everybody in, and nobody change anything.
        hosts: the host names, beside loopback, that requests may use; None allows any.
        values: where sessions are kept; needed with a token.
        visitors: finds the visitor of a request.
        viewer_token: of who may see everything and change nothing; only beside the other.
    """

    def __init__(
        self,
        token: str | None,
        hosts: frozenset[str] | None,
        values: Values | None = None,
        visitors: Visitors | None = None,
        viewer_token: str | None = None,
    ) -> None:
        tokens: dict[Role, str | None] = {"operator": token, "viewer": viewer_token}
        self._digests = {role: _digest(given) for role, given in tokens.items() if given is not None}
        self._sessions: dict[Role, Sessions] = {}
        if values is not None:
            for role, given in tokens.items():
                if given is not None:
                    self._sessions[role] = Sessions(given, values, role=role)
        self.throttle = TokenThrottle(self.token_is_valid)
        self.visitors = visitors or Visitors()
        self._hosts = hosts

    @property
    def needs_token(self) -> bool:
        """Whether visitors must give a token."""
        return bool(self._digests)

    def host_is_allowed(self, host: str) -> bool:
        """Whether a Host header names this server; a page whose name resolves to it (DNS rebinding) is refused."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].strip("[]").lower().rstrip(".")
        return self._hosts is None or name in self._hosts or _is_loopback(name)

    def token_is_valid(self, token: str) -> bool:
        """Whether a token is that of the operator or of viewers."""
        return self.role_of(token) is not None

    def role_of(self, token: str) -> Role | None:
        """Return what a token is for, None when it is wrong; each comparison takes constant time."""
        given = _digest(token)
        found: list[Role] = [
            role for role, wanted in self._digests.items() if hmac.compare_digest(given, wanted)
        ]
        return found[0] if found else None

    # Sessions

    @property
    def has_sessions(self) -> bool:
        """Whether visitors can sign in."""
        return bool(self._sessions)

    def begin_session(self, role: Role) -> str:
        """Begin a session; return the value of its cookie."""
        return self._sessions[role].begin()

    def extend_session(self, cookie: str) -> None:
        """Let a valid session last as long as a new one."""
        for sessions in self._sessions.values():
            sessions.extend(cookie)

    def end_session(self, cookie: str) -> None:
        """End a session."""
        for sessions in self._sessions.values():
            sessions.end(cookie)

    def session_left(self, cookie: str) -> float:
        """Return for how many seconds the session of a cookie is still valid, 0 when it is not."""
        return max((sessions.left(cookie) for sessions in self._sessions.values()), default=0.0)

    def session_role(self, cookie: str) -> Role | None:
        """Return what the token of a session is for, None when the session is not valid."""
        return next((role for role, sessions in self._sessions.items() if sessions.left(cookie) > 0), None)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

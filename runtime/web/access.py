"""Who may see the page: token, sessions by cookie, a delay after wrong tokens, and allowed host names."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

COOKIE = "daflow_session"
SESSION_SECONDS = 30 * 86400
MIN_TOKEN = 8  # characters

_FREE_FAILURES = 5
_MAX_DELAY = 60.0  # seconds
_MAX_ADDRESSES = 1024  # that are remembered

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class TokenThrottle:
    """Delays whoever guesses the token: after five wrong tokens from an address, each further one doubles the delay.

    Args:
        now: gives seconds that never go back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def delay(self, address: str) -> float:
        """Return how many seconds the address must wait before its next token is checked."""
        _, until = self._failures.get(address, (0, 0.0))
        return max(0.0, until - self._now())

    def record_failure(self, address: str) -> None:
        """Count a wrong token."""
        count = self._failures.pop(address, (0, 0.0))[0] + 1
        delay = min(_MAX_DELAY, 2.0 ** (count - _FREE_FAILURES)) if count >= _FREE_FAILURES else 0.0
        self._failures[address] = count, self._now() + delay
        if len(self._failures) > _MAX_ADDRESSES:
            self._failures.popitem(last=False)

    def record_success(self, address: str) -> None:
        """Forget the wrong tokens of an address."""
        self._failures.pop(address, None)


class Access:
    """Checks tokens and sessions.

    A session is its end and a signature, with a key that is derived from the token: it survives a restart of the
    service and is invalid after the token is changed.

    Args:
        token: what visitors must give; None lets everybody in.
        hosts: the host names that requests may use; None allows any.
        now: gives seconds since 1970.
    """

    def __init__(
        self, token: str | None, hosts: frozenset[str] | None, now: Callable[[], float] = time.time
    ) -> None:
        self.needs_token = token is not None
        self.throttle = TokenThrottle()
        self._hosts = hosts
        self._now = now
        self._token = (token or "").encode()
        # A stolen cookie must not make a short token easy to find.
        self._key = hashlib.scrypt(self._token, salt=b"daflow session", n=2**14, r=8, p=1) if token else b""

    def host_is_allowed(self, host: str) -> bool:
        """Whether a Host header names this server; a page whose name resolves to it (DNS rebinding) is refused."""
        if self._hosts is None:
            return True
        name = _without_port(host).lower()
        return name in self._hosts or _is_loopback(name)

    def token_is_valid(self, token: str) -> bool:
        """Compare a token in constant time."""
        return hmac.compare_digest(
            hashlib.sha256(token.encode()).digest(), hashlib.sha256(self._token).digest()
        )

    def new_session(self) -> str:
        """Return the value of the session cookie for a visitor who gave the token."""
        until = str(int(self._now()) + SESSION_SECONDS)
        return f"{until}.{self._sign(until)}"

    def session_left(self, cookie: str) -> float:
        """Return for how many seconds a session is still valid, 0 when it is not."""
        until, _, signature = cookie.partition(".")
        if not until.isascii() or not until.isdigit() or len(until) > 12:
            return 0.0
        if not hmac.compare_digest(signature.encode(), self._sign(until).encode()):
            return 0.0
        return max(0.0, int(until) - self._now())

    def _sign(self, until: str) -> str:
        return hmac.new(self._key, until.encode(), hashlib.sha256).hexdigest()


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

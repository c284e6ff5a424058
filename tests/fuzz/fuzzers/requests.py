"""Requests to the page, as bytes over a connection: to one that everybody may see, and to one that needs a token."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

from hypothesis import strategies as st

from runtime.events.store import EventStore
from runtime.web.live_state import LiveState

from ...runtime.web.conftest import World
from ..fuzzer import Check, Fuzzer
from ..inputs import Input, mutated

_CAMERA = "vault-7f3a"
"""A name that nobody may see without the token."""
_TOKEN = "correct horse battery"  # noqa: S105
_ALARM = "0" * 31 + "1"
_SECONDS = 30.0  # far more than any answer takes
_PATHS = (
    "/", "/login", "/logout", "/static/app.js", "/static/login.html", "/static/..%2fserver.py",
    "/static/../app.py", "//", "/api/health", "/api/live", f"/api/history?camera={_CAMERA}", "/api/alarms",
    "/api/alarms?limit=0", "/api/alarms/", f"/api/alarms?limit=2&camera={_CAMERA}&before={_ALARM}",
    f"/api/cameras/{_CAMERA}/zones", f"/api/cameras/{_CAMERA}/snooze?minutes=nan",
    f"/api/alarms/{_ALARM}", f"/picture/{_CAMERA}.jpg", "/picture/..%2f..%2fetc%2fpasswd.jpg", "/metrics",
    "/health", "/ready", "/health/../api/alarms", "/health%2f..%2fapi", "*", "http://127.0.0.1/api/alarms",
    "http://x/health", "/%00", "/%ff%fe", "/%ed%a0%80", "/\u00e9", "/api/alarms?limit=%00",
    "/?" + "a=b&" * 2_000, "/" + "a" * 70_000, "/api/alarms?before=" + "9" * 5_000,
    "/api/alarms?camera=%ed%a0%80", "/static/%00", "/api/alarms?before=%00", "/api/alarms/%f0%9f%98%80",
    "/login?token=correct", "/api/history?camera=%ff", "",
)  # fmt: skip
_METHODS = (
    "GET",
    "GET",
    "GET",
    "POST",
    "HEAD",
    "OPTIONS",
    "PUT",
    "DELETE",
    "TRACE",
    "CONNECT",
    "get",
    "PRI",
    "A" * 300,
    "",
)
_HEADERS = (
    "Host: 127.0.0.1", "Host: x/health?", "Host: x/health#", "Host: [::1]:99999", "Host: ", "Host: localhost:",
    "Host: evil.org", "Host: 127.0.0.1, evil.org", "host: \u00e9", "Cookie: daflow_session=",
    "Cookie: daflow_session=a; daflow_session=b", "Cookie: " + "daflow_session=a;" * 500, "Cookie: =;;=",
    "Authorization: Bearer ", "Authorization: Bearer wrong", "Authorization: Basic Og==",
    "Authorization: bearer \u00e9", "Content-Length: 0", "Content-Length: 5", "Content-Length: -1",
    "Content-Length: 99999999999999999999", "Content-Length: 5, 6", "Content-Length: 0x5",
    "Transfer-Encoding: chunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: \x0bchunked",
    "Expect: 100-continue", "Expect: something", "Upgrade: websocket", "Connection: Upgrade",
    "Connection: close", "Connection: keep-alive", "Upgrade: h2c", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Range: bytes=0-0", "Range: bytes=-1,0-,5-2", "If-Range: x",
    "Accept: text/event-stream", "Last-Event-ID: \u00e9", "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-Host: evil.org", "X-Forwarded-For: " + "1.2.3.4, " * 500, "X-Original-URL: /api/alarms",
    "X-HTTP-Method-Override: GET", "X-Forwarded-Proto: https", "Content-Type: multipart/form-data; boundary=x",
    "Content-Type: application/x-www-form-urlencoded", "a" * 300 + ": b",
    "Accept-Encoding: gzip, " + "*;q=0," * 300, " folded", "No colon", ": no name", "Name : b", "a: \x00",
    "Host : evil.org",
)  # fmt: skip
_BODIES = (
    b"", b"token=wrong", b"token=%ff%fe", b"token=" + b"a" * 5_000, b"token=" + b"+" * 4_000, b"token=\xff",
    b"&" * 4_000, b"5\r\ntoken\r\n0\r\n\r\n", b"fffffffffffffffffff\r\n", b"-1\r\n", b"0\r\nHost: a\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /api/alarms HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"\x81\x85\x00\x00\x00\x00hello",
)  # fmt: skip


def _request(method: str, path: str, version: str, headers: Sequence[str], ending: str, body: bytes) -> bytes:
    head = ending.join((f"{method} {path} {version}", *headers, "", ""))
    return head.encode("utf-8", "replace") + body


def _requests() -> st.SearchStrategy[bytes]:
    one = st.builds(
        _request,
        st.sampled_from(_METHODS),
        st.sampled_from(_PATHS),
        st.sampled_from(("HTTP/1.1",) * 6 + ("HTTP/1.0", "HTTP/2", "HTTP/9.9", "", "HTTP/1.1 x")),
        st.lists(st.sampled_from(_HEADERS), max_size=5).flatmap(
            lambda headers: st.sampled_from((["Host: 127.0.0.1", *headers], headers))
        ),
        st.sampled_from(("\r\n",) * 6 + ("\n", "\r")),
        st.sampled_from(_BODIES),
    )
    return st.lists(one, min_size=1, max_size=3).map(b"".join)


def _seeds() -> list[Input]:
    return [
        Input("valid.http", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
        Input(
            "login.http", b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 11\r\n\r\ntoken=wrong"
        ),
        Input("header.http", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: " + b"a" * 1_000_000),
    ]


def _mutated(inputs: Sequence[Input]) -> st.SearchStrategy[Input]:
    return mutated([each for each in inputs if len(each.content) < 100_000], lambda kind, _: _requests())


class _Failures(logging.Handler):
    """Keeps what the server logs as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    failures = _Failures()
    loggers = [logging.getLogger(name) for name in ("uvicorn.error", "asyncio", "runtime")]
    with ExitStack() as stack:
        for each in loggers:
            each.addHandler(failures)
            stack.callback(each.removeHandler, failures)
        stack.enter_context(patch("runtime.web.token_throttle._PAUSE", 0.0))
        stack.enter_context(patch.dict(os.environ, {"FUZZED_TOKEN": _TOKEN}))
        world = World(LiveState(), stack.enter_context(EventStore(folder / "events.sqlite")))
        world.add(_CAMERA, seed=1)
        world.show(_CAMERA, 300)
        world.ready, world.problems = False, [f"camera {_CAMERA} is lost"]
        world.alarm(_CAMERA, id_=_ALARM)
        seen_by_all = urlsplit(stack.enter_context(world.serve()).url).port
        guarded = urlsplit(stack.enter_context(world.serve(guarded_by="FUZZED_TOKEN")).url).port

        def check(given: Input) -> None:
            for port in (seen_by_all, guarded):
                said, health = _say(port, given.content)
                assert not re.search(rb"HTTP/1\.1 500", said), "the server failed"
                assert port != guarded or _CAMERA.encode() not in said, "it is told without the token"
                assert not given.is_valid or re.match(rb"HTTP/1\.1 [23]", said), "a valid request is refused"
                assert b"HTTP/1.1 200" in health, "the server does not answer any more"
            assert not failures.found, failures.found.pop()

        yield check


_HEALTH = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def _say(port: int | None, content: bytes) -> tuple[bytes, bytes]:
    """Send bytes to the server, then ask for its health; return both answers.

    The bytes come to an end only then: the server drops what it has not answered when they do.
    """
    with _connected(port) as connection:
        with suppress(ConnectionError):
            connection.sendall(content)
        with _connected(port) as another:
            another.sendall(_HEALTH)
            health = _answer(another)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        return _answer(connection), health


def _connected(port: int | None) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), _SECONDS)


def _answer(connection: socket.socket) -> bytes:
    """Return what comes until the end of the connection."""
    answer = b""
    with suppress(ConnectionError):
        while (new := connection.recv(100_000)) and len(answer) < 1_000_000:
            answer += new
    return answer


FUZZER = Fuzzer(_seeds, _mutated, _opened)

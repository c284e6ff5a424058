"""Requests that are never finished, against the real server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.web import connections as module
from runtime.web.connections import ConnectionLimits

from .conftest import World, fetch, wait_for


class Fake:
    def __init__(self) -> None:
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True


@given(
    st.lists(
        st.tuples(st.sampled_from(["whole", "open", "gone"]), st.integers(1, 3), st.integers(0, 40)),
        max_size=60,
    )
)
def test_the_limits_hold_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    """Whole requests, and more of another kind than the limit, never cut what is being answered."""
    limits = ConnectionLimits(lambda address: address.endswith(".3"), max_unfinished=4, max_connections=12)
    opened: list[tuple[Fake, str]] = []
    whole: set[Fake] = set()
    for kind, address, which in steps:
        here = f"127.0.0.{address}"
        if kind == "open":
            opened.append((Fake(), here))
            limits.add(*opened[-1])
        elif opened:
            connection, there = opened[which % len(opened)]
            if kind == "gone":
                limits.remove(connection)
                whole.discard(connection)
            elif not connection.is_cut:
                limits.set_unfinished(connection, there, False)
                whole.add(connection)
        alive = [each for each in opened if each[0] in limits._all]
        assert len(alive) <= 12
        assert not any(each.is_cut for each in whole)
        assert all(each in limits._all for each in limits._unfinished)
        for place in ("127.0.0.1", "127.0.0.2"):
            assert sum(name == place for name in limits._unfinished.values()) <= 4


def test_addresses_have_limits_of_their_own_and_proxies_none() -> None:
    limits = ConnectionLimits(lambda address: address == "127.0.0.9", max_unfinished=2, max_connections=100)
    opened = [(Fake(), address) for address in ["127.0.0.1", "127.0.0.2", "127.0.0.9"] for _ in range(3)]
    for each in opened:
        limits.add(*each)
    assert [each.is_cut for each, _ in opened] == [True, False, False] * 2 + [False] * 3


@contextmanager
def connected(url: str, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), 10, (source, 0)) as one:
        yield one


def is_closed(one: socket.socket) -> bool:
    one.settimeout(0.01)
    try:
        return one.recv(1000) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_health_is_answered_during_many_unfinished_requests(world: World) -> None:
    with world.serve() as served, ExitStack() as stack:
        unfinished = []
        for number in range(140):
            one = stack.enter_context(connected(served.url))
            one.sendall(
                [b"", b"GET / HTTP/1.1\r\n", b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"][
                    number % 3
                ]
            )
            unfinished.append(one)
        for _ in range(5):
            assert fetch(served.url, "health")[0] == 200
            assert fetch(served.url, "")[0] == 200
        wait_for(lambda: sum(map(is_closed, unfinished)) > 60)


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n"),
        (b"GET", b"T"),
        (b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\n", b"x"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\n", b"x"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /", b"x"),
    ],
)
def test_a_request_that_drips_is_ended(
    world: World, monkeypatch: pytest.MonkeyPatch, token: str, start: bytes, part: bytes
) -> None:
    """The deadline is for the whole request: a byte now and then does not move it."""
    monkeypatch.setattr(module, "_REQUEST_SECONDS", 0.5)
    with world.serve(guarded_by="PAGE_TOKEN") as served, connected(served.url) as one:
        one.sendall(start)
        end = time.monotonic() + 15
        try:
            while not is_closed(one) and time.monotonic() < end:
                one.sendall(part)
                time.sleep(0.05)
        except OSError:
            return
        assert is_closed(one)


def test_a_response_that_nobody_reads_is_ended(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(module, "_RESPONSE_SECONDS", 0.5)
    for _ in range(200):
        world.alarm("entrance", kinds=("begin",))
    with world.serve() as served, connected(served.url) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        request = b"GET /api/alarms?limit=200 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        one.sendall(request * 200)
        wait_for(lambda: b"ended" if _is_reset(one, request) else None, 15)
        assert fetch(served.url, "health")[0] == 200
    assert "Traceback" not in caplog.text


def _is_reset(one: socket.socket, request: bytes) -> bool:
    one.settimeout(0.2)
    try:
        one.sendall(request)
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def test_connections_are_kept_and_pipelined_requests_answered(world: World) -> None:
    with world.serve() as served, connected(served.url) as one:
        request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        file = one.makefile("rb")
        for together in (1, 3, 1):
            one.sendall(request * together)
            for _ in range(together):
                assert file.readline() == b"HTTP/1.1 200 OK\r\n"
                while file.readline() != b"\r\n":
                    pass
                assert file.read(11) == b'{"ok":true}'


def test_a_visitor_with_too_many_requests_is_refused_but_told_the_health(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.web.access_middleware._MAX_REQUESTS", 3)
    with world.serve() as served, ExitStack() as stack:
        for _ in range(3):
            one = stack.enter_context(connected(served.url, "127.0.0.2"))
            one.sendall(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.recv(12) == b"HTTP/1.1 200"
        for path, status in ((b"/", b"429"), (b"/health", b"200"), (b"/ready", b"200")):
            one = stack.enter_context(connected(served.url, "127.0.0.2"))
            one.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.recv(12) == b"HTTP/1.1 " + status
        assert fetch(served.url)[0] == 200, "another visitor"


def test_one_visitor_does_not_take_all_streams(world: World) -> None:
    with world.serve() as served, ExitStack() as stack:
        streams = []
        for source in ["127.0.0.2"] * 32 + ["127.0.0.3", "127.0.0.4"]:
            one = stack.enter_context(connected(served.url, source))
            one.sendall(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.recv(12) == b"HTTP/1.1 200"
            streams.append(one)

        def closed() -> int:
            found = 0
            for one in streams:
                one.setblocking(False)
                try:
                    while part := one.recv(65536):
                        if part.endswith(b"0\r\n\r\n"):
                            found += 1
                except BlockingIOError:
                    continue
                except OSError:
                    pass
            return found

        wait_for(closed)


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
        b"POST /api/alarms HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
        b"GET /api/live HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxno end",
        b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\nand more",
    ],
)
def test_a_request_that_goes_wrong_in_its_middle_is_refused_without_a_word_in_the_log(
    served: Any, caplog: pytest.LogCaptureFixture, request_: bytes
) -> None:
    """Anybody can send it, as often as they like: tracebacks would fill the disk."""
    head, _, rest = request_.partition(b"\r\n\r\n")
    for parts in ((request_,), (head + b"\r\n\r\n", rest)):
        with connected(served.url) as one:
            for part in parts:
                one.sendall(part)
                time.sleep(0.1)
            wait_for(lambda one=one: is_closed(one))
        assert fetch(served.url, "health")[0] == 200
    assert "Traceback" not in caplog.text

"""Against servers that never come to an end."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from runtime.deadline import Deadline, call_within, connect, http_request

Start = Callable[..., Any]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"


def ask(server: Any, seconds: float = 0.5, **more: Any) -> tuple[int, bytes]:
    response, body = http_request("GET", "127.0.0.1", server.port, "/", Deadline(seconds), **more)
    return response.status, body


@pytest.mark.parametrize(
    "at_once", [b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\nX-Padding: ", b"HTTP/1.1 100 Continue\r\n"]
)
def test_an_answer_that_drips_is_given_up(dripping_server: Start, at_once: bytes) -> None:
    server = dripping_server(at_once)
    with pytest.raises(TimeoutError):
        ask(server)
    assert server.hung_up.wait(10)


def test_headers_without_end_are_given_up(dripping_server: Start) -> None:
    server = dripping_server(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n")
    with pytest.raises(TimeoutError):
        ask(server)


def test_a_body_that_drips_is_given_up_if_it_is_wanted(dripping_server: Start) -> None:
    server = dripping_server(HEAD)
    assert ask(server, 30) == (200, b"")
    with pytest.raises(TimeoutError):
        ask(server, max_body=1000)


@pytest.mark.parametrize("drip", [b"", b"a"])
def test_a_handshake_that_hangs_or_drips_is_given_up(dripping_server: Start, drip: bytes) -> None:
    # The beginning of a record of TLS: the client waits for 16,384 bytes more.
    server = dripping_server(b"\x16\x03\x03\x40\x00", drip)
    with pytest.raises(OSError, match="timed out"):
        connect("127.0.0.1", server.port, Deadline(0.5), ssl.create_default_context())
    assert server.hung_up.wait(10)


def test_a_server_that_reads_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(TimeoutError):
            http_request("POST", "127.0.0.1", port, "/", Deadline(0.5), body=bytes(50_000_000))


def test_an_exchange_can_be_ended_by_another_thread(dripping_server: Start) -> None:
    server = dripping_server(b"HTTP/1.1 200 OK\r\n")
    deadline = Deadline(600)
    failures: list[OSError] = []

    def wait() -> None:
        try:
            http_request("GET", "127.0.0.1", server.port, "/", deadline)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while not server.connections:
        time.sleep(0.01)
    deadline.cancel()
    thread.join(30)
    assert failures


def test_a_search_for_an_address_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: release.wait(60))
    with pytest.raises(TimeoutError):
        connect("example.com", 80, Deadline(0.2))
    release.set()


def test_what_is_called_gives_its_result_or_its_error() -> None:
    assert call_within(60, lambda: 7) == 7
    assert call_within(60, lambda: None) is None
    with pytest.raises(ZeroDivisionError):
        call_within(60, lambda: 1 / 0)

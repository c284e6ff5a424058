"""One deadline for a whole exchange over the network: name, connection, TLS, request and answer.

The timeout of a socket holds for one read only, so a server that sends a byte each second would never exceed it.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPResponse
from typing import Any, TypeVar

T = TypeVar("T")


class Deadline:
    """A moment after which an exchange has failed.

    Args:
        seconds: from now.

    >>> Deadline(60).left() > 59
    True
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._connection: socket.socket | None = None

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: none are left.
        """
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        return seconds

    def hold(self, connection: socket.socket) -> None:
        """Remember the connection, so that `cancel` can end what waits for it."""
        self._connection = connection

    def cancel(self) -> None:
        """Let the exchange fail now; may be called from another thread."""
        self._end = time.monotonic()
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)


def call_within(seconds: float, work: Callable[[], T]) -> T:
    """Call a function that has no timeout of its own, and return its result.

    It runs in a thread that is left behind when the time is up, so it must be one that ends at some time, such as the
    system's search for an address, or the program must end soon.

    Raises:
        TimeoutError: it took longer than `seconds`.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=run, name="call-within", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError("timed out")
    return results[0]


def connect(host: str, port: int, deadline: Deadline, context: ssl.SSLContext | None = None) -> socket.socket:
    """Connect to a server, with TLS when there is a context.

    Raises:
        OSError: it cannot be reached in time, or its certificate is not valid.
    """
    addresses = call_within(deadline.left(), lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    connection = _first_that_answers(addresses, deadline)
    deadline.hold(connection)
    if context is None:
        return connection
    try:
        connection.settimeout(deadline.left())  # Python applies it to the handshake as a whole
        secured = context.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise
    deadline.hold(secured)
    return secured


def _first_that_answers(
    addresses: Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]],
    deadline: Deadline,
) -> socket.socket:
    failure: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in addresses:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(deadline.left())
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


class _Answer(io.RawIOBase):
    """What a server sends, as a file."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(self._deadline.left())
        return self._connection.recv_into(buffer)


class _Exchange:
    """What `http.client` needs of a socket."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._connection.settimeout(self._deadline.left())
            left = left[self._connection.send(left) :]

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 - it is only read
        return io.BufferedReader(_Answer(self._connection, self._deadline))

    def close(self) -> None:
        """Do nothing: `http_request` closes the connection once the answer is read."""


def http_request(
    method: str,
    host: str,
    port: int,
    target: str,
    deadline: Deadline,
    *,
    context: ssl.SSLContext | None = None,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    max_body: int = 0,
) -> tuple[HTTPResponse, bytes]:
    """Send a request on a connection of its own, and return the response and the first bytes of its body.

    Redirects are not followed and proxies of the environment are not used.

    Args:
        method: such as `POST`.
        host: of the server.
        port: of the server.
        target: path and query, in ASCII.
        deadline: for everything, from the search for the address to the last byte.
        context: for TLS; None for plain HTTP.
        headers: of the request, besides `Host` and `Content-Length`.
        body: of the request.
        max_body: bytes of the body that are read; 0 reads none, so the body may be endless.

    Raises:
        OSError: the server cannot be reached in time, or the exchange breaks off.
        http.client.HTTPException: the answer is not HTTP.
    """
    connection = connect(host, port, deadline, context)
    try:
        exchange = HTTPConnection(host, port)
        exchange.default_port = 443 if context else 80  # decides whether `Host` names the port
        exchange.sock = _Exchange(connection, deadline)
        exchange.request(method, target, body, headers or {})
        response = exchange.getresponse()
        return response, response.read(max_body) if max_body else b""
    finally:
        connection.close()

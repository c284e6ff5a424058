"""Deadlines and limits of connections, so that nobody holds the server up by requests that are never finished."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal, Protocol

from runtime.web.visitors import visitor_name

_REQUEST_SECONDS = 15.0  # for a whole request, header and body
_RESPONSE_SECONDS = 60.0  # for a whole response, but for the live stream
_MAX_UNFINISHED = 32  # connections of one address without a whole request
_MAX_CONNECTIONS = 512

_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

Phase = Literal["request", "idle", "response", "stream"]
"""What a connection waits for: the rest of a request, the next request, the end of a response, or a stream's."""


class Connection(Protocol):
    """A connection that can be closed at once."""

    def cut(self) -> None:
        """Close it, whatever it is doing."""


class ConnectionLimits:
    """Keeps the number of connections small: a new one takes the place of the oldest without a whole request.

    A request that is sent at once, such as that of a health check, is thus always answered.

    Args:
        is_proxy: whether an address may have as many connections as it likes, because it is a trusted proxy.
        max_unfinished: of one address, without a whole request.
        max_connections: of all addresses.
    """

    def __init__(
        self,
        is_proxy: Callable[[str], bool],
        max_unfinished: int = _MAX_UNFINISHED,
        max_connections: int = _MAX_CONNECTIONS,
    ) -> None:
        self._is_proxy = is_proxy
        self._max_unfinished = max_unfinished
        self._max_connections = max_connections
        self._all: set[Connection] = set()
        self._unfinished: dict[Connection, str] = {}  # with their address, the oldest first

    def add(self, connection: Connection, address: str) -> None:
        """Take in a new connection, and cut another if there are too many."""
        name = "" if self._is_proxy(address) else visitor_name(address)
        same = [each for each, other in self._unfinished.items() if other == name] if name else []
        surplus = same if len(same) >= self._max_unfinished else []
        if not surplus and len(self._all) >= self._max_connections:
            surplus = list(self._unfinished) or [connection]
        self._all.add(connection)
        self._unfinished[connection] = name
        for oldest in surplus[:1]:
            self.remove(oldest)
            oldest.cut()

    def set_unfinished(self, connection: Connection, address: str, unfinished: bool) -> None:
        """Say whether a connection has yet to send a whole request."""
        if not unfinished:
            self._unfinished.pop(connection, None)
        elif connection in self._all and connection not in self._unfinished:
            self._unfinished[connection] = "" if self._is_proxy(address) else visitor_name(address)

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._all.discard(connection)
        self._unfinished.pop(connection, None)


def http_protocol(limits: ConnectionLimits, streams: frozenset[str]) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol with deadlines and limits.

    Args:
        limits: shared by all connections of the server.
        streams: paths whose responses have no end.
    """
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class LimitedProtocol(H11Protocol):
        _phase: Phase = "idle"
        _deadline: asyncio.TimerHandle | None = None
        _address = ""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._address = self.client[0] if self.client else ""
            self._enter("request")
            limits.add(self, self._address)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._update(began=True)

        def send_400_response(self, msg: str) -> None:
            """Refuse what is not HTTP, also while the application answers the part before it."""
            if self.cycle is not None and not self.cycle.response_complete:
                # What it still sends would be an error of the protocol, with a traceback in the log.
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                super().send_400_response(msg)
            else:
                self.cut()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._update(began=False)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._deadline:
                self._deadline.cancel()
            limits.remove(self)
            super().connection_lost(exc)

        def cut(self) -> None:
            self.transport.abort()

        def _update(self, began: bool) -> None:
            """Find out what the connection waits for; `began`: a part of a request has come."""
            if self.transport.is_closing():
                return
            answering = self.cycle is not None and not self.cycle.response_complete
            if self.conn.their_state is h11.SEND_BODY:
                self._enter("request")
            elif answering:
                self._enter("stream" if self.scope["path"] in streams else "response")
            else:
                self._enter("request" if began else "idle")

        def _enter(self, phase: Phase) -> None:
            if phase == self._phase:
                return  # the deadline is for the whole phase
            self._phase = phase
            limits.set_unfinished(self, self._address, phase in ("request", "idle"))
            if self._deadline:
                self._deadline.cancel()
            seconds = {"request": _REQUEST_SECONDS, "response": _RESPONSE_SECONDS}.get(phase)
            self._deadline = self.loop.call_later(seconds, self._late) if seconds else None

        def _late(self) -> None:
            if self._phase == "request" and (self.cycle is None or self.cycle.response_complete):
                self.transport.write(_LATE)
                self.transport.close()
            else:
                self.cut()

    return LimitedProtocol

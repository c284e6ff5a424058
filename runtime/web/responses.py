"""JSON responses, the endless response of the live stream, and the bodies of requests."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.web.access import Role
from runtime.web.stream import LiveStream
from runtime.web.visitors import Visitor

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

VISIT = "daflow.visit"
"""The key of the `Visit` in the scope of a request."""


class Visit(NamedTuple):
    """What is known about a request before it is answered.

    Attributes:
        visitor: who it comes from.
        cookies: the cookies of valid sessions, mostly one or none.
        role: of these sessions, else of the token that was sent; None of a page without a token, and of a request that
            needs none.
    """

    visitor: Visitor
    cookies: tuple[str, ...]
    role: Role | None = None


class LiveEndpoint:
    """`/api/live`: an endless response; it ends when the client disconnects, its session ends or the server stops.

    Args:
        stream: the stream.
        hello: returns its first message to a client of a role.
        session_left: for how many seconds the session of a cookie is still valid.
    """

    def __init__(
        self,
        stream: LiveStream,
        hello: Callable[[Role | None], dict[str, Any]],
        session_left: Callable[[str], float],
    ) -> None:
        self._stream = stream
        self._hello = hello
        self._session_left = session_left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one client."""
        import anyio

        visit: Visit = scope[VISIT]
        if scope["method"] != "GET":
            await json_response({"error": "use GET"}, 405, {"allow": "GET"})(scope, receive, send)
            return
        subscriber = self._stream.join(visit.visitor.name)
        if subscriber is None:
            response = json_response({"error": "too many clients are connected"}, 503, {"retry-after": "10"})
            await response(scope, receive, send)
            return

        async def chunk(body: bytes) -> None:
            if visit.cookies and not any(map(self._session_left, visit.cookies)):
                group.cancel_scope.cancel()
                return
            await send({"type": "http.response.body", "body": body, "more_body": True})

        async def until_disconnected() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async with anyio.create_task_group() as group:
                group.start_soon(until_disconnected)
                await self._stream.serve(self._hello(visit.role), chunk, subscriber)
                group.cancel_scope.cancel()
        finally:
            self._stream.leave(subscriber)
        with suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(send({"type": "http.response.body", "body": b"", "more_body": False}), 1)


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response; NaN and infinite numbers become null."""
    from starlette.responses import JSONResponse

    return JSONResponse(_finite(content), status, headers)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value

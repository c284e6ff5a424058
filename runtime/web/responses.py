"""Answers that are more than a text: JSON without NaN, the endless one, and the guard in front of all of them."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runtime.web.access import COOKIE, SECURITY_HEADERS, Access
from runtime.web.stream import Stream

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

_OPEN_TO_ALL = frozenset({"/health", "/ready", "/login", "/static/style.css", "/static/icon.svg"})


class LiveAnswer:
    """`/api/live`: an endless answer, which ends when the visitor goes or the server stops."""

    def __init__(self, stream: Stream, hello: dict[str, Any]) -> None:
        self._stream = stream
        self._hello = hello

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one visitor."""
        import anyio

        if scope["method"] != "GET" or self._stream.full:
            response = json_answer({"error": "too many visitors look at the page"}, 503)
            response.headers["retry-after"] = "10"
            await response(scope, receive, send)
            return

        async def chunk(body: bytes) -> None:
            await send({"type": "http.response.body", "body": body, "more_body": True})

        async def until_gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with anyio.create_task_group() as group:
            group.start_soon(until_gone)
            await self._stream.serve(self._hello, chunk)
            group.cancel_scope.cancel()
        with suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(send({"type": "http.response.body", "body": b"", "more_body": False}), 1)


class Guard:
    """Refuses foreign hosts and visitors without a token, and adds the security headers to every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                known = {name for name, _ in message["headers"]}
                more = [
                    (k.encode(), v.encode()) for k, v in SECURITY_HEADERS.items() if k.encode() not in known
                ]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        answer = self._refusal(scope) or self._app
        await answer(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        from starlette.requests import Request
        from starlette.responses import RedirectResponse

        request = Request(scope)
        path, access = request.url.path, self._access
        if not access.host_is_ours(request.headers.get("host", "")):
            return json_answer({"error": "this server is not known by that name"}, 400)
        if not access.needs_token or path in _OPEN_TO_ALL:
            return None
        if access.session_left(request.cookies.get(COOKIE, "")) > 0:
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._judge(token.strip(), request.client.host if request.client else "")
        return RedirectResponse("/login", 303) if path == "/" else _token_needed()

    def _judge(self, token: str, address: str) -> Response | None:
        """Refuse a wrong token, and any token of somebody who guesses."""
        guesses = self._access.guesses
        wait = guesses.wait(address)
        if wait:
            return json_answer({"error": "too many wrong tokens"}, 429, {"retry-after": str(int(wait) + 1)})
        if self._access.token_is_right(token):
            guesses.right(address)
            return None
        guesses.wrong(address)
        return _token_needed()


def _token_needed() -> Response:
    return json_answer(
        {"error": "a token is needed"}, 401, {"www-authenticate": 'Bearer realm="daflow-edge"'}
    )


def json_answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return an answer in JSON; what JSON cannot say (NaN, infinite) becomes null."""
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

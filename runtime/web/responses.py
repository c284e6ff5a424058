"""JSON responses, the endless response of the live stream, and the check of access before all of them."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runtime.web.access import COOKIE, SECURITY_HEADERS, Access
from runtime.web.stream import LiveStream

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

_WITHOUT_TOKEN = frozenset({"/health", "/ready", "/login", "/static/style.css", "/static/icon.svg"})


class LiveEndpoint:
    """`/api/live`: an endless response, which ends when the client disconnects or the server stops."""

    def __init__(self, stream: LiveStream, hello: dict[str, Any]) -> None:
        self._stream = stream
        self._hello = hello

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one client."""
        import anyio

        if scope["method"] != "GET" or self._stream.full:
            response = json_response({"error": "too many clients are connected"}, 503)
            response.headers["retry-after"] = "10"
            await response(scope, receive, send)
            return

        async def chunk(body: bytes) -> None:
            await send({"type": "http.response.body", "body": body, "more_body": True})

        async def until_disconnected() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with anyio.create_task_group() as group:
            group.start_soon(until_disconnected)
            await self._stream.serve(self._hello, chunk)
            group.cancel_scope.cancel()
        with suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(send({"type": "http.response.body", "body": b"", "more_body": False}), 1)


class AccessMiddleware:
    """Refuses foreign host names and requests without a token, and adds the security headers to every response."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it to the application."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                known = {name for name, _ in message["headers"]}
                more = [
                    (k.encode(), v.encode()) for k, v in SECURITY_HEADERS.items() if k.encode() not in known
                ]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        respond = self._refusal(scope) or self._app
        await respond(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        from starlette.requests import Request
        from starlette.responses import RedirectResponse

        request = Request(scope)
        path, access = request.url.path, self._access
        if not access.host_is_allowed(request.headers.get("host", "")):
            return json_response({"error": "this host name is not allowed"}, 400)
        if not access.needs_token or path in _WITHOUT_TOKEN:
            return None
        if access.session_left(request.cookies.get(COOKIE, "")) > 0:
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._check_token(token.strip(), request.client.host if request.client else "")
        return RedirectResponse("/login", 303) if path == "/" else _token_needed()

    def _check_token(self, token: str, address: str) -> Response | None:
        """Refuse a wrong token, and any token during the delay after wrong ones."""
        throttle = self._access.throttle
        delay = throttle.delay(address)
        if delay:
            return json_response(
                {"error": "too many wrong tokens"}, 429, {"retry-after": str(int(delay) + 1)}
            )
        if self._access.token_is_valid(token):
            throttle.record_success(address)
            return None
        throttle.record_failure(address)
        return _token_needed()


def _token_needed() -> Response:
    return json_response(
        {"error": "a token is needed"}, 401, {"www-authenticate": 'Bearer realm="daflow-edge"'}
    )


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

"""The check of access before every response, and the headers that guard the page."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from runtime.web.access import COOKIE, SECURITY_HEADERS, Access
from runtime.web.responses import VISIT, Visit, json_response
from runtime.web.token_throttle import Verdict

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

HEALTH_PATHS = frozenset({"/health", "/ready"})

_WITHOUT_TOKEN = HEALTH_PATHS | {"/login", "/static/style.css", "/static/icon.svg"}
_MAX_REQUESTS = 64  # of one visitor that are answered at the same time, streams included


class AccessMiddleware:
    """Refuses foreign host names and requests without a token, and adds the security headers to every response.

    Requests for the health of the service are not counted: they are answered also when a visitor sends too many.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._requests: Counter[str] = Counter()

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

        visitor = self._access.visitors.of(scope)
        valid = tuple(cookie for cookie in _cookies(scope) if self._access.session_left(cookie) > 0)
        roles = {self._access.session_role(cookie) for cookie in valid}
        scope[VISIT] = Visit(
            visitor, valid, "operator" if "operator" in roles else "viewer" if "viewer" in roles else None
        )
        if scope["path"] in HEALTH_PATHS:
            respond = self._wrong_host(scope) or self._app
            await respond(scope, receive, send_with_headers)
            return
        self._requests[visitor.name] += 1
        try:
            respond = await self._refusal(scope) or self._app
            await respond(scope, receive, send_with_headers)
        finally:
            self._requests[visitor.name] -= 1
            self._requests += Counter()  # forgets visitors who have no request

    def _wrong_host(self, scope: Scope) -> Response | None:
        if self._access.host_is_allowed(_header(scope, b"host")):
            return None
        why = "this host name is not allowed; name it in serve.hosts if visitors shall use it"
        return json_response({"error": why}, HTTPStatus.BAD_REQUEST)

    async def _refusal(self, scope: Scope) -> Response | None:
        from starlette.responses import RedirectResponse

        # The path as it was requested: a URL that is put together again would take a part of it from the Host header.
        path, access, visit = scope["path"], self._access, scope[VISIT]
        if refused := self._wrong_host(scope):
            return refused
        if self._requests[visit.visitor.name] > _MAX_REQUESTS:
            return json_response(
                {"error": "too many requests at the same time"},
                HTTPStatus.TOO_MANY_REQUESTS,
                {"retry-after": "1"},
            )
        if not access.needs_token or path in _WITHOUT_TOKEN or visit.cookies:
            return None
        scheme, _, token = _header(scope, b"authorization").partition(" ")
        if scheme.lower() == "bearer":
            refused = await self._check_token(visit.visitor.name, token.strip())
            if refused is None:
                scope[VISIT] = visit._replace(role=access.role_of(token.strip()))
            return refused
        # Relative, so that the page may stand behind a prefix.
        return RedirectResponse("login", HTTPStatus.SEE_OTHER) if path == "/" else _token_needed()

    async def _check_token(self, visitor: str, token: str) -> Response | None:
        verdict = await self._access.throttle.judge(visitor, token)
        if verdict is Verdict.RIGHT:
            return None
        if verdict is Verdict.WRONG:
            return _token_needed()
        return json_response(
            {"error": "too many wrong tokens"}, HTTPStatus.TOO_MANY_REQUESTS, {"retry-after": "60"}
        )


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _cookies(scope: Scope) -> list[str]:
    """Return the cookies with the name of the session: two pages below one host name may have set one each."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
    pairs = [part.strip().partition("=") for line in lines for part in line.split(";")]
    return [value for name, _, value in pairs if name == COOKIE]


def _token_needed() -> Response:
    return json_response(
        {"error": "a token is needed"},
        HTTPStatus.UNAUTHORIZED,
        {"www-authenticate": 'Bearer realm="daflow-edge"'},
    )

"""The bodies of requests, which are bounded."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request


async def read_body(request: Request, max_bytes: int) -> bytes | None:
    """Return the body of a request, as far as it came; None when it is larger than so many bytes."""
    from starlette.requests import ClientDisconnect

    body = b""
    with suppress(ClientDisconnect):
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                return None
    return body

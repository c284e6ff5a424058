"""Who may change something by HTTP: the operator, from the page itself or from a program that sends the token."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.web.access import Access, Role
from runtime.web.responses import VISIT, Visit, json_response
from runtime.web.token_throttle import Verdict

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

PAGE_HEADER = "x-daflow-page"
"""Which the page sends with what it changes. A page of another origin cannot: a browser asks this server first whether
it may send a header like this, and the server does not allow it."""


async def write_refusal(request: Request, access: Access) -> Response | None:
    """Return why a request may change nothing; None when it may.

    A program sends the operator's token in the header `Authorization`. For the page its session does, from this origin
    only and with `PAGE_HEADER`: a browser sends its cookie also with requests that another page makes. A page without a
    token changes nothing, since any page that a browser of the same machine shows could ask it to.
    """
    if not access.needs_token:
        return json_response(
            {"error": "without serve.token_file or serve.token_env nothing can be changed"}, 403
        )
    if not _is_same_origin(request):
        return json_response({"error": "a page of another origin cannot change anything"}, 403)
    role = await _role(request, access)
    if role == "operator":
        return None
    if role == "viewer":
        return json_response({"error": "viewers change nothing; the operator's token does"}, 403)
    return role


async def _role(request: Request, access: Access) -> Role | Response:
    """Return whose token was sent, or whose session the page has; else what is answered."""
    visit: Visit = request.scope[VISIT]
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        if visit.cookies and visit.role and PAGE_HEADER in request.headers:
            return visit.role
        challenge = {"www-authenticate": 'Bearer realm="daflow-edge"'}
        return json_response({"error": "the token is needed in the header Authorization"}, 401, challenge)
    verdict = await access.throttle.judge(visit.visitor.name, token.strip())
    if verdict in (Verdict.RIGHT, Verdict.WRONG):
        return access.role_of(token.strip()) or json_response({"error": "the token is wrong"}, 401)
    return json_response({"error": "too many wrong tokens"}, 429, {"retry-after": "60"})


def _is_same_origin(request: Request) -> bool:
    """Whether a request comes from this page or from no page at all, as far as a browser tells."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return False
    origin = request.headers.get("origin")
    if origin is None or request.headers.get("sec-fetch-site") == "same-origin":
        return True  # a proxy may have replaced the Host header, with which the origin is compared below
    try:  # without the port, which a proxy may leave out of the Host header
        asked = urlsplit(f"//{request.headers.get('host', '')}").hostname
        return asked is not None and urlsplit(origin).hostname == asked
    except ValueError:
        return False

"""Who may change something: programs that send the token, and no page of another origin."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.web.access import Access
from runtime.web.responses import VISIT, Visit, json_response
from runtime.web.token_throttle import Verdict

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class WriteGuard:
    """Lets requests change something that send the token in the header `Authorization`.

    A session does not do: a browser sends its cookie with requests that another page makes. A page without a token
    changes nothing, since any page that a browser of the same machine shows could ask it to.

    Args:
        access: who may see the page.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    async def refusal(self, request: Request) -> Response | None:
        """Return why a request may change nothing, None when it may."""
        if not self._access.needs_token:
            return json_response(
                {"error": "without serve.token_file or serve.token_env nothing can be changed"}, 403
            )
        if not _is_same_origin(request):
            return json_response({"error": "a page of another origin cannot change anything"}, 403)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            challenge = {"www-authenticate": 'Bearer realm="daflow-edge"'}
            return json_response({"error": "the token is needed in the header Authorization"}, 401, challenge)
        visit: Visit = request.scope[VISIT]
        verdict = await self._access.throttle.judge(visit.visitor.name, token.strip())
        if verdict is Verdict.RIGHT:
            return None
        if verdict is Verdict.WRONG:
            return json_response({"error": "the token is wrong"}, 401)
        return json_response({"error": "too many wrong tokens"}, 429, {"retry-after": "60"})


def _is_same_origin(request: Request) -> bool:
    """Whether a request comes from this page or from no page at all, as far as a browser tells."""
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    try:  # without the port, which a proxy may leave out of the Host header
        asked = urlsplit(f"//{request.headers.get('host', '')}").hostname
        return asked is not None and urlsplit(origin).hostname == asked
    except ValueError:
        return False

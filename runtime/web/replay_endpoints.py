"""What can be replayed of an alarm: skeletons, drawn or as JSON, and where privacy allows a snapshot and a clip."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from daflow.core.errors import InputError
from runtime.events.alarm_pictures import AlarmPictures, Form, Replays
from runtime.events.picture_recorder import CLIP, SNAPSHOT
from runtime.events.replay_recorder import SKELETONS
from runtime.events.store import StoreError
from runtime.web.responses import json_response

if TYPE_CHECKING:
    from anyio import CapacityLimiter
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

_MAX_ASKED = 9  # pictures at the same time, all but one of which wait
_MEDIA: dict[Form, str] = {"gif": "image/gif", "mp4": "video/mp4"}


class ReplayEndpoints:
    """Serves the replays of stored alarms; pictures are made one at a time, while few visitors wait.

    Args:
        store: the replays.
        pictures: whether pictures of the camera are served too.
    """

    def __init__(self, store: Replays, pictures: bool) -> None:
        self._with_pictures = pictures
        self._store = store
        self._pictures = AlarmPictures(store)
        self._limiter: CapacityLimiter | None = None
        self._asked = 0

    def routes(self) -> list[Route]:
        """Return the routes; they must stand before that of an alarm itself."""
        from starlette.routing import Route

        return [
            Route("/api/alarms/{id}/skeletons", self._skeletons),
            Route("/api/alarms/{id}.gif", self._gif),
            Route("/api/alarms/{id}.mp4", self._mp4),
            Route("/api/alarms/{id}/snapshot.jpg", self._snapshot),
            Route("/api/alarms/{id}/clip.mp4", self._clip),
        ]

    def served(self, parts: Sequence[str]) -> list[str]:
        """Return those parts of a replay that are served."""
        return [part for part in parts if self._with_pictures or part == SKELETONS]

    async def _skeletons(self, request: Request) -> Response:
        from starlette.responses import Response

        stored = await _read(lambda: self._store.replay(request.path_params["id"], SKELETONS))
        if not isinstance(stored, bytes):
            return stored
        headers = {"vary": "accept-encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(
                stored, headers={**headers, "content-encoding": "gzip"}, media_type="application/json"
            )
        return Response(gzip.decompress(stored), headers=headers, media_type="application/json")

    async def _snapshot(self, request: Request) -> Response:
        return await self._stored(request, SNAPSHOT, "image/jpeg")

    async def _clip(self, request: Request) -> Response:
        return await self._stored(request, CLIP, "video/mp4")

    async def _stored(self, request: Request, part: str, kind: str) -> Response:
        from starlette.responses import Response

        id_ = request.path_params["id"]
        stored = await _read(lambda: self._store.replay(id_, part) if self._with_pictures else None)
        return Response(stored, media_type=kind) if isinstance(stored, bytes) else stored

    async def _gif(self, request: Request) -> Response:
        return await self._picture(request, "gif")

    async def _mp4(self, request: Request) -> Response:
        return await self._picture(request, "mp4")

    async def _picture(self, request: Request, form: Form) -> Response:
        from anyio import CapacityLimiter
        from starlette.responses import Response

        # One at a time, and those who wait hold no thread: the rest of the page stays fast.
        self._limiter = self._limiter or CapacityLimiter(1)
        if self._asked >= _MAX_ASKED:
            return json_response({"error": "too many pictures are being made"}, 503, {"retry-after": "5"})
        id_ = request.path_params["id"]
        self._asked += 1
        try:
            picture = await _read(lambda: self._pictures.picture_of(id_, form), self._limiter)
        finally:
            self._asked -= 1
        return Response(picture, media_type=_MEDIA[form]) if isinstance(picture, bytes) else picture


async def _read(read: Callable[[], bytes | None], limiter: CapacityLimiter | None = None) -> bytes | Response:
    """Call a function in a thread; return what it returns, or the response that says why it returns nothing."""
    from anyio import to_thread

    try:
        found = await to_thread.run_sync(read, limiter=limiter)
    except StoreError as error:
        return json_response({"error": f"The event store cannot be read: {error}"}, 503)
    except InputError as error:
        return json_response({"error": error.message}, 503)
    return json_response({"error": "there is no replay of such an alarm"}, 404) if found is None else found

"""The web application: what each address answers."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import parse_qs

from runtime.events.arming import Arming
from runtime.events.labels import AlarmLabels
from runtime.events.store import StoreError
from runtime.web.access import COOKIE, Access, Role
from runtime.web.access_middleware import AccessMiddleware
from runtime.web.arming_endpoint import ArmingEndpoint
from runtime.web.camera_pictures import CameraPictures
from runtime.web.health_reader import HealthReader, Snapshot
from runtime.web.json_messages import history_message
from runtime.web.label_endpoint import LabelEndpoint
from runtime.web.live_state import LiveState
from runtime.web.metrics import CONTENT_TYPE, render
from runtime.web.replay_endpoints import ReplayEndpoints
from runtime.web.request_body import read_body
from runtime.web.responses import VISIT, LiveEndpoint, Visit, json_response
from runtime.web.running_alarms import current_alarm, current_summary
from runtime.web.sessions import SESSION_SECONDS, Values
from runtime.web.stream import LiveStream
from runtime.web.token_throttle import Verdict
from runtime.web.zones_endpoint import SaveZones, ZonesEndpoint

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

Privacy = Literal["skeletons", "pictures"]

STREAM_PATH = "/api/live"

_KINDS = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_MAX_ALARMS = 200  # in one response
_MAX_FORM = 4096  # bytes
_WRONG_TOKEN = {
    Verdict.WRONG: (401, "The token is wrong."),
    Verdict.WRONG_AGAIN: (429, "The token is wrong again. Each further try takes some seconds."),
    Verdict.NOT_JUDGED: (429, "Too many wrong tokens. Wait a minute and try again."),
}
_NO_HEALTH = "the service does not respond"
_SIGNED_IN_ONLY = "ask /api/health for them, with the token"


class AlarmHistory(Values, Protocol):
    """What the page needs of the event store; it also keeps the sessions of the visitors."""

    def recent(
        self, limit: int = 50, camera: str | None = None, before: str | None = None
    ) -> list[dict[str, Any]]:
        """Return alarms, the newest first."""

    def alarm(self, id: str) -> dict[str, Any] | None:  # noqa: A002
        """Return an alarm with the skeletons at its peak."""

    def replay(self, alarm: str, part: str) -> bytes | None:
        """Return a part of the replay of an alarm."""

    def replay_parts(self, alarm: str) -> list[str]:
        """Return the names of the parts of the replay of an alarm."""


class WebApp:
    """The page, its data, and the addresses for machines.

    Args:
        live: the state of the cameras.
        store: the alarms.
        health: returns the health snapshot.
        privacy: with `skeletons` no picture is served.
        access: who may see the page.
        arming: of the cameras; None for a page on which nobody arms them.
        labels: what is said of alarms; None for a page on which nothing is said.
        save_zones: keeps the zones of a camera and applies them; None for a page on which nobody draws any.
    """

    def __init__(
        self,
        live: LiveState,
        store: AlarmHistory,
        health: Callable[[], Snapshot],
        privacy: Privacy,
        access: Access,
        arming: Arming | None = None,
        labels: AlarmLabels | None = None,
        save_zones: SaveZones | None = None,
    ) -> None:
        self._zones = ZonesEndpoint(save_zones, access) if save_zones else None
        self._arming = ArmingEndpoint(arming, access) if arming else None
        self._label = LabelEndpoint(labels, access) if labels else None
        self._live = live
        self._store = store
        self._health = HealthReader(health)
        self._privacy = privacy
        self._pictures = CameraPictures(live) if privacy == "pictures" else None
        self._replays = ReplayEndpoints(store, privacy == "pictures")
        self._access = access
        self.stream = LiveStream(
            live, notices=lambda: {"arming": arming.all_facts()} if arming is not None else {}
        )
        folder = resources.files("runtime.web").joinpath("static")
        self._files = {
            file.name: file.read_bytes()
            for file in folder.iterdir()
            if file.name.rpartition(".")[2] in _KINDS
        }

    def asgi(self) -> ASGIApp:
        """Return the ASGI application."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        routes = [
            Route("/", self._page),
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Route("/static/{name}", self._static),
            Route("/api/health", self._api_health),
            Route(STREAM_PATH, LiveEndpoint(self.stream, self._hello, self._access.session_left)),
            Route("/api/history", self._history),
            Route("/api/alarms", self._alarms),
            *self._replays.routes(),
            Route("/api/alarms/{id}", self._alarm),
            Route("/picture/{camera}.jpg", self._picture),
            Route("/metrics", self._metrics),
            Route("/health", self._alive),
            Route("/ready", self._ready),
        ]
        if self._zones is not None:
            routes.append(Route("/api/cameras/{camera}/zones", self._zones.__call__, methods=["PUT"]))
        if self._arming is not None:
            path = "/api/cameras/{camera}/{action}"
            routes.append(Route(path, self._arming.__call__, methods=["POST"]))
        if self._label is not None:
            routes.append(Route("/api/alarms/{id}/label", self._label.__call__, methods=["POST"]))
            routes.append(Route("/api/precision", self._label.precision))
        app = Starlette(routes=routes)
        app.router.redirect_slashes = (
            False  # it would redirect to an absolute address, without the proxy's prefix
        )
        return AccessMiddleware(app, self._access)

    def _hello(self, role: Role | None) -> dict[str, Any]:
        """Return the first message of the stream; `role` is null on a page without a token, where nobody writes."""
        return {"privacy": self._privacy, "login": self._access.needs_token, "role": role}

    # Pages

    async def _page(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        response = self._file("index.html")
        visit: Visit = request.scope[VISIT]
        if visit.cookies and self._access.session_left(visit.cookies[0]) < SESSION_SECONDS / 2:
            # A screen that always shows the page stays signed in.
            await run_in_threadpool(self._access.extend_session, visit.cookies[0])
            _set_cookie(response, visit.cookies[0], visit)
        return response

    async def _login(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import RedirectResponse

        if not self._access.has_sessions:
            return RedirectResponse("./", 303)
        if request.method != "POST":
            return self._file("login.html")
        body = await read_body(request, _MAX_FORM)
        if body is None:
            return self._refused(413, "The token is too long.")
        fields = parse_qs(body.decode("utf-8", "replace"))
        visit: Visit = request.scope[VISIT]
        token = fields.get("token", [""])[0].strip()
        verdict = await self._access.throttle.judge(visit.visitor.name, token)
        role = self._access.role_of(token)
        if verdict is not Verdict.RIGHT or role is None:
            return self._refused(*_WRONG_TOKEN[verdict])
        response = RedirectResponse("./", 303)
        _set_cookie(response, await run_in_threadpool(self._access.begin_session, role), visit)
        return response

    def _refused(self, status: int, why: str) -> Response:
        response = self._file("login.html", status)
        response.body = bytes(response.body).replace(b"<!-- refused -->", why.encode())
        response.headers["content-length"] = str(len(response.body))
        if status == 429:
            response.headers["retry-after"] = "60"
        return response

    async def _logout(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import RedirectResponse

        visit: Visit = request.scope[VISIT]
        for cookie in visit.cookies:
            await run_in_threadpool(self._access.end_session, cookie)
        response = RedirectResponse("login", 303)
        _set_cookie(response, "", visit)
        return response

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        return (
            self._file(name) if name in self._files and not name.endswith(".html") else json_response({}, 404)
        )

    def _file(self, name: str, status: int = 200) -> Response:
        from starlette.responses import Response

        return Response(self._files[name], status, media_type=_KINDS[name.rpartition(".")[2]])

    # Data

    async def _api_health(self, _: Request) -> Response:
        snapshot = await self._health.read()
        if snapshot is None:
            return json_response({"ready": False, "problems": [_NO_HEALTH]}, 503)
        return json_response(snapshot)

    async def _history(self, request: Request) -> Response:
        camera = request.query_params.get("camera", "")
        return json_response({"camera": camera, "scores": history_message(self._live.history(camera))})

    async def _alarms(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        query = request.query_params
        text = query.get("limit", "30")
        if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= _MAX_ALARMS):
            return json_response({"error": f"limit must be a number from 1 to {_MAX_ALARMS}"}, 400)
        try:
            alarms = await run_in_threadpool(
                self._store.recent, int(text), query.get("camera") or None, query.get("before") or None
            )
        except StoreError as error:
            return json_response({"error": f"The event store cannot be read: {error}"}, 503)
        return json_response({"alarms": [current_summary(alarm, self._live) for alarm in alarms]})

    async def _alarm(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        id_ = request.path_params["id"]
        try:
            alarm = await run_in_threadpool(self._store.alarm, id_)
            parts = await run_in_threadpool(self._store.replay_parts, id_)
        except StoreError as error:
            return json_response({"error": f"The event store cannot be read: {error}"}, 503)
        if alarm is None:
            return json_response({"error": "there is no such alarm"}, 404)
        return json_response({**current_alarm(alarm, self._live), "replay": self._replays.served(parts)})

    async def _picture(self, request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import Response

        found = None
        if self._pictures:
            found = await run_in_threadpool(self._pictures.jpeg, request.path_params["camera"])
        if found is None:
            return json_response({"error": "there is no picture of this camera"}, 404)
        number, jpeg = found
        return Response(jpeg, media_type="image/jpeg", headers={"x-number": str(number)})

    # For machines

    async def _metrics(self, _: Request) -> Response:
        from starlette.responses import Response

        snapshot = await self._health.read()
        if snapshot is None:
            return Response(f"{_NO_HEALTH}\n", 503, media_type="text/plain")
        return Response(render(snapshot), headers={"content-type": CONTENT_TYPE})

    async def _alive(self, _: Request) -> Response:
        snapshot = await self._health.read()
        return (
            json_response({"ok": True})
            if snapshot is not None
            else json_response({"ok": False, "problems": [_NO_HEALTH]}, 503)
        )

    async def _ready(self, request: Request) -> Response:
        snapshot = await self._health.read() or {"ready": False, "problems": [_NO_HEALTH]}
        ready, problems = bool(snapshot.get("ready")), snapshot.get("problems", [])
        visit: Visit = request.scope[VISIT]
        if self._access.needs_token and not visit.cookies and problems:
            problems = [_SIGNED_IN_ONLY]  # they name the cameras
        return json_response({"ready": ready, "problems": problems}, 200 if ready else 503)


def _set_cookie(response: Response, cookie: str, visit: Visit) -> None:
    """Set the cookie of a session, or remove it when it is empty.

    Without a path the browser takes the folder of the address that it knows: behind a prefix it is the prefix.
    """
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=SESSION_SECONDS if cookie else 0,
        path=None,
        secure=visit.visitor.secure,
        httponly=True,
        samesite="strict",
    )

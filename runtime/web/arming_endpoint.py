"""`POST /api/cameras/NAME/arm`, `disarm` and `snooze`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.events.arming import Arming
from runtime.web.access import Access
from runtime.web.responses import json_response
from runtime.web.write_access import write_refusal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


class ArmingEndpoint:
    """Arms and disarms cameras.

    Args:
        arming: of the cameras.
        access: who may.
    """

    def __init__(self, arming: Arming, access: Access) -> None:
        self._arming = arming
        self._access = access

    async def __call__(self, request: Request) -> Response:
        """Respond to one request: with what holds now, or why nothing was changed."""
        from starlette.concurrency import run_in_threadpool

        if refused := await write_refusal(request, self._access):
            return refused
        camera, action = request.path_params["camera"], request.path_params["action"]
        try:
            if action == "arm":
                await run_in_threadpool(self._arming.arm, camera)
            elif action == "disarm":
                await run_in_threadpool(self._arming.disarm, camera)
            elif action == "snooze":
                minutes = float(request.query_params.get("minutes", ""))
                await run_in_threadpool(self._arming.snooze, camera, minutes)
            else:
                return json_response({"error": "use arm, disarm or snooze"}, 404)
        except KeyError:
            return json_response({"error": "there is no such camera"}, 404)
        except ValueError:
            return json_response(
                {"error": "say for how many minutes: snooze?minutes=30, at most a week"}, 400
            )
        return json_response({"camera": camera, **self._arming.facts(camera)})

"""`PUT /api/cameras/NAME/zones`: the zones of a camera, as they were drawn on the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from daflow.core.alarms.zones import Zone, Zones
from daflow.core.errors import InputError
from daflow.core.files import parse_json
from daflow.core.schema import problem
from runtime.web.access import Access
from runtime.web.request_body import read_body
from runtime.web.responses import json_response
from runtime.web.write_access import write_refusal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

SaveZones = Callable[[str, dict[str, Zone]], None]
"""Keeps the zones of a camera and applies them.

It raises KeyError for a camera that is not known, InputError when there is no place to keep them, and OSError when they
cannot be written.
"""

_ZONES: TypeAdapter[dict[str, Zone]] = TypeAdapter(Zones)
_MAX_BYTES = 256 << 10  # as many zones and corners as a camera may have take less


class ZonesEndpoint:
    """Replaces all zones of a camera.

    Args:
        save: keeps and applies them.
        access: who may.
    """

    def __init__(self, save: SaveZones, access: Access) -> None:
        self._save = save
        self._access = access

    async def __call__(self, request: Request) -> Response:
        """Respond to one request: with the zones that hold from now on, or why nothing was changed."""
        from starlette.concurrency import run_in_threadpool

        if refused := await write_refusal(request, self._access):
            return refused
        camera = request.path_params["camera"]
        content = await read_body(request, _MAX_BYTES)
        if content is None:
            return json_response({"error": "too many zones or corners"}, 413)
        status, said = await run_in_threadpool(self._keep, camera, content)
        return json_response(said, status)

    def _keep(self, camera: str, content: bytes) -> tuple[int, dict[str, Any]]:
        """Return the status of the answer, and the answer."""
        try:
            zones = _ZONES.validate_python(parse_json(content))
            self._save(camera, zones)
        except KeyError:
            return 404, {"error": "there is no such camera"}
        except ValidationError as error:
            return 400, {"error": problem(error)}
        except ValueError as error:
            return 400, {"error": f"this is not JSON: {error}"}
        except InputError as error:
            return 409, {"error": error.message.rstrip(".")}
        except OSError as error:
            return 507, {"error": f"the zones cannot be written: {error.strerror or error}"}
        shown = {name: zone.model_dump(mode="json") for name, zone in zones.items()}
        return 200, {"camera": camera, "zones": shown}

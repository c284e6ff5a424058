"""`POST /api/alarms/ID/label`: what an operator says of an alarm. `GET /api/precision`: what was said by week."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from daflow.core.files import parse_json
from runtime.events.label_table import Label
from runtime.events.labels import AlarmLabels
from runtime.events.store import StoreError
from runtime.web.access import Access
from runtime.web.request_body import read_body
from runtime.web.responses import VISIT, Visit, json_response
from runtime.web.write_access import write_refusal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_MAX_BODY = 200  # bytes
_FORM = 'send {"label": "false"}, {"label": "real"} or {"label": null}'


class _Said(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    label: Label | None


class LabelEndpoint:
    """Labels alarms.

    Args:
        labels: of the alarms.
        access: who may.
    """

    def __init__(self, labels: AlarmLabels, access: Access) -> None:
        self._labels = labels
        self._access = access

    async def __call__(self, request: Request) -> Response:
        """Respond to one request: with the label that the alarm has now, or why nothing was changed."""
        from starlette.concurrency import run_in_threadpool

        if refused := await write_refusal(request, self._access):
            return refused
        body = await read_body(request, _MAX_BODY)
        try:
            said = _Said.model_validate(parse_json(body or b""))
        except (ValueError, RecursionError):  # ValidationError is a ValueError
            return json_response({"error": _FORM}, 400)
        visit: Visit = request.scope[VISIT]
        by = f"HTTP from {visit.visitor.name}" if visit.visitor.name else "HTTP"
        try:
            done = await run_in_threadpool(self._labels.set, request.path_params["id"], said.label, by)
        except KeyError:
            return json_response({"error": "there is no such alarm"}, 404)
        except StoreError as error:
            return json_response({"error": f"The event store cannot be used: {error}"}, 503)
        return json_response(done)

    async def precision(self, _: Request) -> Response:
        """Respond with the alarms and labels of each camera and week, the newest week first."""
        from starlette.concurrency import run_in_threadpool

        try:
            weeks = await run_in_threadpool(self._labels.precision)
        except StoreError as error:
            return json_response({"error": f"The event store cannot be read: {error}"}, 503)
        return json_response({"weeks": [week.facts() for week in weeks]})

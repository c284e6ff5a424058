"""Cameras are armed and disarmed by programs that send the token, and by nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime.config.schema import Config
from runtime.events.arming import Arming

from .conftest import WITH_VIEWERS, World, log_in

KITCHEN = "K\u00fcche 1"


@pytest.fixture
def arming(world: World) -> Arming:
    """Of the cameras of the world, which are always armed."""
    cameras = {name: {"source": "0"} for name in ("entrance", KITCHEN)}
    world.arming = Arming(world.store, Config.model_validate({"bundle": "b", "cameras": cameras}))
    return world.arming


def post(url: str, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
    from urllib3 import PoolManager

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with PoolManager() as pool:
        answer = pool.request("POST", url + path, headers=named, redirect=False, retries=False, timeout=10)
        return answer.status, json.loads(answer.data)


def test_who_sends_the_token_arms_disarms_and_snoozes(world: World, arming: Arming, token: str) -> None:
    right = {"Authorization": f"Bearer {token}"}
    with world.serve(guarded_by="PAGE_TOKEN") as served:
        said = post(served.url, "api/cameras/entrance/disarm", **right)
        assert said == (
            200,
            {
                "camera": "entrance",
                "armed": False,
                "armed_why": "said",
                "armed_until_utc": None,
                "schedule_changes_utc": None,
            },
        )
        assert not arming.is_armed("entrance")
        assert arming.is_armed(KITCHEN)
        assert post(served.url, "api/cameras/entrance/arm", **right)[1]["armed"] is True
        status, said = post(served.url, "api/cameras/K%C3%BCche%201/snooze?minutes=30", **right)
        assert (status, said["armed"], said["armed_why"]) == (200, False, "snoozed")
        assert said["armed_until_utc"]
        same = {"Origin": served.url.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
        assert post(served.url, "api/cameras/entrance/disarm", **right, **same)[0] == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("api/cameras/gate/disarm", 404),
        ("api/cameras/entrance/explode", 404),
        ("api/cameras/entrance/snooze", 400),
        ("api/cameras/entrance/snooze?minutes=soon", 400),
        ("api/cameras/entrance/snooze?minutes=-1", 400),
        ("api/cameras/entrance/snooze?minutes=nan", 400),
        ("api/cameras/entrance/snooze?minutes=1e9", 400),
    ],
)
def test_what_cannot_be_done_is_said(
    world: World, arming: Arming, token: str, path: str, status: int
) -> None:
    with world.serve(guarded_by="PAGE_TOKEN") as served:
        found, said = post(served.url, path, Authorization=f"Bearer {token}")
    assert found == status
    assert said["error"]
    assert arming.is_armed("entrance")


def test_neither_a_session_nor_another_page_nor_a_wrong_token_disarms(
    world: World, arming: Arming, token: str
) -> None:
    path = "api/cameras/entrance/disarm"
    right = {"Authorization": f"Bearer {token}"}
    with world.serve(guarded_by="PAGE_TOKEN") as served:
        cookie = (log_in(served.url, token).getheader("set-cookie") or "").partition(";")[0]
        assert cookie.startswith("daflow_session=")
        for headers, status in (
            ({}, 401),
            ({"Cookie": cookie}, 401),
            ({"Cookie": cookie, "Authorization": "Bearer wrong horse"}, 401),
            ({"Authorization": "Basic " + token}, 401),
            ({**right, "Origin": "https://evil.example"}, 403),
            ({**right, "Origin": "null"}, 403),
            ({**right, "Origin": "http://["}, 403),
            ({**right, "Sec-Fetch-Site": "cross-site"}, 403),
            ({**right, "Sec-Fetch-Site": "same-site", "Cookie": cookie}, 403),
        ):
            found, said = post(served.url, path, **headers)
            assert (found, bool(said["error"])) == (status, True), headers
    assert arming.is_armed("entrance")


def test_the_page_of_an_operator_disarms_and_that_of_a_viewer_does_not(
    world: World, arming: Arming, token: str, viewer_token: str
) -> None:
    path = "api/cameras/entrance/disarm"
    with world.serve(guarded_by="PAGE_TOKEN", **WITH_VIEWERS) as served:
        operator, viewer = (
            {"Cookie": (log_in(served.url, given).getheader("set-cookie") or "").partition(";")[0]}
            for given in (token, viewer_token)
        )
        page = {"X-Daflow-Page": "1", "Origin": served.url.rstrip("/")}
        for headers, status in (
            ({**viewer, **page}, 403),
            ({"Authorization": f"Bearer {viewer_token}"}, 403),
            ({**operator, "Authorization": f"Bearer {viewer_token}"}, 403),
            (operator, 401),
            ({**operator, "Origin": served.url.rstrip("/")}, 401),
            ({**operator, **page, "Origin": "https://evil.example"}, 403),
            ({**operator, **page, "Sec-Fetch-Site": "same-site"}, 403),
            ({**page}, 401),
        ):
            assert post(served.url, path, **headers)[0] == status, headers
        assert arming.is_armed("entrance")
        assert post(served.url, path, **operator, **page)[0] == 200
        assert not arming.is_armed("entrance")
        # Behind a proxy that replaces the name of the host, the browser tells that it is the same origin.
        behind = {**page, "Origin": "https://watch.example", "Sec-Fetch-Site": "same-origin"}
        assert post(served.url, "api/cameras/entrance/arm", **operator, **behind)[0] == 200


def test_a_page_of_another_origin_may_not_even_ask(world: World, arming: Arming, token: str) -> None:
    from urllib3 import PoolManager

    asks = {
        "Origin": "https://evil.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-daflow-page",
    }  # fmt: skip
    with world.serve(guarded_by="PAGE_TOKEN") as served, PoolManager() as pool:
        said = pool.request(
            "OPTIONS",
            served.url + "api/cameras/entrance/disarm",
            headers={**asks, "Authorization": f"Bearer {token}"},
        )
        assert said.status == 405
        assert not [name for name in said.headers if name.lower().startswith("access-control")]


def test_a_page_without_a_token_changes_nothing(world: World, arming: Arming) -> None:
    with world.serve() as served:
        assert post(served.url, "api/cameras/entrance/disarm", Authorization="Bearer x")[0] == 403
    assert arming.is_armed("entrance")

"""Alarms are labelled by those with the token: programs, and people with the buttons of the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .browser import Page, sign_in
from .conftest import World, fetch, log_in, wait_for


def post(url: str, alarm: str, body: str | bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    from urllib3 import PoolManager

    with PoolManager() as pool:
        answer = pool.request(
            "POST", f"{url}api/alarms/{alarm}/label", body=body, headers=headers, retries=False, timeout=10
        )
        return answer.status, json.loads(answer.data)


@pytest.fixture
def alarm(world: World) -> str:
    """An alarm of the world."""
    return world.alarm("entrance", ago=60)


def test_who_sends_the_token_labels_an_alarm(world: World, alarm: str, token: str) -> None:
    right = {"Authorization": f"Bearer {token}"}
    with world.serve(guarded_by="PAGE_TOKEN") as served:
        status, said = post(served.url, alarm, '{"label": "false"}', **right)
        assert (status, said["label"], said["camera"]) == (200, "false", "entrance")
        assert said["labelled_by"] == "HTTP from 127.0.0.1"
        _, body, _ = fetch(served.url, "api/alarms", **right)
        (listed,) = json.loads(body)["alarms"]
        assert (listed["label"], listed["labelled_by"]) == ("false", "HTTP from 127.0.0.1")
        _, body, _ = fetch(served.url, "api/alarms/" + alarm, **right)
        assert json.loads(body)["labelled_utc"] == listed["labelled_utc"]
        _, body, _ = fetch(served.url, "api/precision", **right)
        (week,) = json.loads(body)["weeks"]
        assert (week["camera"], week["real"], week["false"], week["precision"]) == ("entrance", 0, 1, 0.0)
        assert post(served.url, alarm, '{"label": null}', **right)[1]["label"] is None
        assert world.store.recent()[0]["label"] is None
        for body in ("", "{}", '{"label": "maybe"}', '{"label": 1}', '{"label": "real", "more": 1}', "[" * 150,
                     '{"label": "real"' + " " * 300 + "}", b"\xff"):  # fmt: skip
            assert post(served.url, alarm, body, **right)[0] == 400, body
        assert post(served.url, "0" * 32, '{"label": "real"}', **right)[0] == 404
    assert world.store.recent()[0]["label"] is None


def test_nobody_else_does(world: World, alarm: str, token: str) -> None:
    right, body = {"Authorization": f"Bearer {token}"}, '{"label": "false"}'
    with world.serve(guarded_by="PAGE_TOKEN") as served:
        cookie = (log_in(served.url, token).getheader("set-cookie") or "").partition(";")[0]
        for headers, status in (
            ({}, 401),
            ({"Cookie": cookie}, 401),
            ({"Authorization": "Bearer wrong horse"}, 401),
            ({**right, "Origin": "https://evil.example"}, 403),
            ({**right, "Sec-Fetch-Site": "cross-site"}, 403),
        ):
            assert post(served.url, alarm, body, **headers)[0] == status, headers
    with world.serve() as served:
        assert post(served.url, alarm, body, Authorization="Bearer x")[0] == 403
    assert world.store.recent()[0]["label"] is None


def test_an_operator_says_it_with_the_buttons_of_the_page(
    world: World, alarm: str, token: str, new_browser: Callable[..., Any]
) -> None:
    page = Page(new_browser())
    with world.serve(guarded_by="PAGE_TOKEN") as served:
        sign_in(page, served.url, token)
        press = f"document.querySelector('[data-id=\"false-{alarm}\"]')"
        wait_for(lambda: page.run(f"return {press} !== null"))
        page.run(f"{press}.click()")
        wait_for(lambda: world.store.recent()[0]["label"] == "false")
        wait_for(lambda: page.run(f"return {press}.getAttribute('aria-pressed')") == "true")
        assert page.text("label-problem") == ""
        wait_for(lambda: not page.run("return document.getElementById('precision').hidden"))
        page.run("document.querySelector('#precision summary').click()")
        wait_for(lambda: "0 of 1" in page.text("precision"))
        assert "0 to 79 %" in page.text("precision")
        page.run(f"{press}.click()")
        wait_for(lambda: world.store.recent()[0]["label"] is None)
        wait_for(lambda: page.run(f"return {press}.getAttribute('aria-pressed')") == "false")
        wait_for(lambda: page.run("return document.getElementById('precision').hidden"))
        assert page.errors() == []


def test_who_may_not_label_alarms_sees_no_buttons(
    world: World, alarm: str, token: str, viewer_token: str, new_browser: Callable[..., Any]
) -> None:
    shown = "return document.querySelector('.labels').offsetParent !== null"
    page = Page(new_browser())
    with world.serve() as served:
        page.open(served.url)
        wait_for(lambda: "entrance" in page.text("alarm-list"))
        assert not page.run(shown)
    with world.serve(guarded_by="PAGE_TOKEN", viewer_token_env="VIEWER_TOKEN") as served:  # noqa: S106
        sign_in(page, served.url, viewer_token)
        wait_for(lambda: "entrance" in page.text("alarm-list"))
        assert not page.run(shown)
        sign_in(page, served.url, token)
        wait_for(lambda: "entrance" in page.text("alarm-list"))
        wait_for(lambda: page.run(shown))

"""Viewers see everything and change nothing; the page says so and hides what they cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from daflow.core.errors import InputError
from runtime.config.serve_options import ServeOptions
from runtime.web.access import Access
from runtime.web.server import check_serving

from .browser import Feeder, Page, sign_in
from .conftest import WITH_VIEWERS, World, arm_all, fetch, wait_for


@pytest.fixture
def fed(world: World) -> Iterator[Feeder]:
    world.add("yard", seed=3, people=2)
    with Feeder(world) as feeder:
        yield feeder


class Values(dict[str, Any]):
    def set(self, key: str, value: Any) -> None:
        self[key] = value


def test_a_token_and_its_sessions_have_one_role() -> None:
    values = Values()
    access = Access("correct horse", None, values, viewer_token="only looking")  # noqa: S106
    assert [access.role_of(token) for token in ("correct horse", "only looking", "", "wrong")] == [
        "operator",
        "viewer",
        None,
        None,
    ]
    operator, viewer = access.begin_session("operator"), access.begin_session("viewer")
    assert (access.session_role(operator), access.session_role(viewer)) == ("operator", "viewer")
    changed = Access("correct horse", None, values, viewer_token="another one")  # noqa: S106
    assert (changed.session_role(operator), changed.session_role(viewer)) == ("operator", None)
    access.end_session(viewer)
    assert access.session_role(viewer) is None
    assert access.session_left(operator) > 0


def test_a_viewers_token_needs_another_for_the_operator(tmp_path: Path) -> None:
    one, other, short = tmp_path / "one", tmp_path / "other", tmp_path / "short"
    for path, text in ((one, "correct horse"), (other, "only looking"), (short, "abc")):
        path.write_text(text, encoding="utf-8")

    def check(**options: Any) -> Any:
        return check_serving(ServeOptions(address="127.0.0.1:0", **options))[1]

    assert check(token_file=one, viewer_token_file=other) == ("correct horse", "only looking")
    for options, said in (
        ({"viewer_token_file": other}, "none for the operator"),
        ({"token_file": one, "viewer_token_file": one}, "are the same"),
        (
            {"token_file": one, "viewer_token_file": short},
            "The viewers' token of the live page is shorter than 8",
        ),
    ):
        with pytest.raises(InputError, match=said):
            check(**options)


def test_a_viewers_token_reads_what_programs_read(world: World, token: str, viewer_token: str) -> None:
    with world.serve(guarded_by="PAGE_TOKEN", **WITH_VIEWERS) as served:
        for given in (token, viewer_token):
            for path in ("metrics", "api/health", "api/alarms"):
                assert fetch(served.url, path, Authorization=f"Bearer {given}")[0] == 200


def test_an_operator_arms_disarms_and_snoozes_on_the_page(
    fed: Feeder, page: Page, token: str, viewer_token: str
) -> None:
    arming = arm_all(fed.world, yard={"schedule": {"armed": ["mon-sun 00:00-23:59"]}})
    with fed.world.serve(guarded_by="PAGE_TOKEN", **WITH_VIEWERS) as served:
        sign_in(page, served.url, token)
        wait_for(lambda: page.text("arming-word") == "Armed")
        assert page.text("arming-more") == "it has no schedule"
        assert page.run("return document.getElementById('role').hidden")
        page.run("document.getElementById('arm').click()")
        wait_for(lambda: page.text("arming-word") == "Disarmed")
        assert "Alarms are stored and not delivered" in page.text("arming-more")
        assert page.text("arm") == "Arm"
        assert not arming.is_armed("entrance")
        arming.arm("entrance")  # by somebody else, as by MQTT
        wait_for(lambda: page.text("arming-word") == "Armed")
        page.run("document.getElementById('snooze-minutes').value = '240'")
        page.run("document.querySelector('#snooze button').click()")
        wait_for(lambda: page.text("arming-word") == "Snoozed")
        until = arming.state("entrance").until_utc
        assert until is not None
        assert f"until {page.call('text', 'module.moment(arguments[0])', until)}" in page.text("arming-more")
        page.run("document.querySelectorAll('.thumb')[1].click()")
        wait_for(lambda: "by its schedule, until" in page.text("arming-more"))
        assert page.text("arming-said") == "", "what was said of another camera is gone"
        assert page.errors() == []


def test_a_viewer_sees_the_same_and_cannot_change_it(
    fed: Feeder, page: Page, token: str, viewer_token: str
) -> None:
    arming = arm_all(fed.world)
    shown = (
        "return [...document.querySelectorAll('.for-operator')].filter((each) => each.offsetParent).length"
    )
    with fed.world.serve(guarded_by="PAGE_TOKEN", **WITH_VIEWERS) as served:
        sign_in(page, served.url, viewer_token)
        wait_for(lambda: page.text("arming-word") == "Armed")
        assert "as a viewer" in page.text("role")
        assert page.run(shown) == 0
        page.run("document.getElementById('arm').click()")
        wait_for(
            lambda: (
                "viewers change nothing"
                in page.run("return document.getElementById('arming-said').textContent")
            )
        )
        assert arming.is_armed("entrance")
        page.errors()  # the refused request


def test_a_page_without_a_token_says_what_it_needs(fed: Feeder, page: Page) -> None:
    arm_all(fed.world)
    with fed.world.serve() as served:
        page.open(served.url)
        wait_for(lambda: "serve.token_file" in page.text("role"))
        assert page.run("return document.getElementById('arm').offsetParent") is None
        assert page.errors() == []


def test_what_a_schedule_does_next_is_told(world: World) -> None:
    now = datetime(2026, 3, 2, 21, 0, tzinfo=timezone.utc).timestamp()
    arming = arm_all(world, entrance={"schedule": {"armed": ["mon 22:00-06:00"]}})
    arming._now = lambda: now
    assert arming.facts("entrance") == {
        "armed": False, "armed_why": "schedule", "armed_until_utc": None,
        "schedule_changes_utc": "2026-03-02T22:00:00.000+00:00",
    }  # fmt: skip
    now += 2 * 3600
    assert arming.facts("entrance")["schedule_changes_utc"] == "2026-03-03T06:00:00.000+00:00"
    assert arming.all_facts() == {"entrance": arming.facts("entrance")}

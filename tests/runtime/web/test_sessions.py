from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.events.store import EventStore, StoreError
from runtime.web.sessions import SESSION_SECONDS, Sessions

TOKEN = "correct horse"  # noqa: S105


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


class Values(dict[str, Any]):
    def set(self, key: str, value: Any) -> None:
        self[key] = value


def test_a_session_is_valid_for_its_time_and_for_one_token() -> None:
    clock, values = Clock(), Values()
    sessions = Sessions(TOKEN, values, clock)
    cookie = sessions.begin()
    assert sessions.left(cookie) == SESSION_SECONDS
    assert Sessions("another token", values, clock).left(cookie) == 0
    clock.time += SESSION_SECONDS - 10
    assert sessions.left(cookie) == 10
    sessions.extend(cookie)
    assert sessions.left(cookie) == SESSION_SECONDS
    clock.time += SESSION_SECONDS
    assert sessions.left(cookie) == 0
    sessions.extend(cookie)
    assert sessions.left(cookie) == 0, "an ended session cannot be prolonged"


def test_sessions_survive_a_restart_and_so_does_their_end(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    with EventStore(path) as store:
        sessions = Sessions(TOKEN, store)
        kept, ended = sessions.begin(), sessions.begin()
        sessions.end(ended)
        assert (sessions.left(kept) > 0, sessions.left(ended)) == (True, 0)
    assert kept.encode() not in path.read_bytes()
    with EventStore(path) as store:
        sessions = Sessions(TOKEN, store)
        assert (sessions.left(kept) > 0, sessions.left(ended)) == (True, 0)


@given(st.text(st.characters(codec="latin-1"), max_size=80))
def test_no_other_cookie_is_a_session(cookie: str) -> None:
    sessions = SHARED
    assert sessions.left(cookie) == 0
    sessions.extend(cookie)
    sessions.end(cookie)
    assert sessions.left(cookie) == 0


SHARED = Sessions(TOKEN, Values())
SHARED.begin()


def test_a_store_that_fails_ends_no_session(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def get(self, key: str) -> Any:
            raise StoreError("the disk is full")

        def set(self, key: str, value: Any) -> None:
            raise StoreError("the disk is full")

    sessions = Sessions(TOKEN, Broken())
    cookie = sessions.begin()
    assert sessions.left(cookie) > 0
    sessions.end(cookie)
    assert sessions.left(cookie) == 0
    assert "the disk is full" in caplog.text


@pytest.mark.parametrize("stored", [5, "x", [1], {"a": "b"}, {"a": float("nan")}, {"a": None}])
def test_what_is_stored_wrongly_is_no_session(stored: Any) -> None:
    values = Values()
    values["web.sessions"] = stored
    assert Sessions(TOKEN, values).left("a") == 0


def test_the_number_of_sessions_is_limited() -> None:
    clock, values = Clock(), Values()
    sessions = Sessions(TOKEN, values, clock)
    cookies = []
    for _ in range(1003):
        clock.time += 1
        cookies.append(sessions.begin())
    assert [sessions.left(cookie) > 0 for cookie in cookies] == [False] * 3 + [True] * 1000
    assert len(values["web.sessions"]) == 1000

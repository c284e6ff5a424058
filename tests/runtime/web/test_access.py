from __future__ import annotations

import pytest

from runtime.web.access import SESSION_SECONDS, Access, TokenThrottle


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def test_a_session_is_valid_for_its_time_and_for_one_token() -> None:
    clock = Clock()
    access = Access("correct horse", None, clock)
    cookie = access.new_session()
    assert access.session_left(cookie) == SESSION_SECONDS
    assert Access("correct horse", None, clock).session_left(cookie) > 0, "a restart does not end a session"
    assert Access("another token", None, clock).session_left(cookie) == 0
    clock.time += SESSION_SECONDS + 1
    assert access.session_left(cookie) == 0
    assert "correct horse" not in cookie


@pytest.mark.parametrize(
    "cookie", ["", ".", "x.y", "9999999999.", "-1.a", "٣.a", "9" * 400 + ".a", "99999999999.é"]
)
def test_forged_sessions_are_refused(cookie: str) -> None:
    assert Access("correct horse", None).session_left(cookie) == 0


def test_a_session_cannot_be_prolonged() -> None:
    access = Access("correct horse", None, Clock())
    until, _, signature = access.new_session().partition(".")
    assert access.session_left(f"{int(until) + 1}.{signature}") == 0


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:8080", True),
        ("localhost:8080", True),
        ("LOCALHOST", True),
        ("[::1]:8080", True),
        ("edge.local:80", True),
        ("evil.example:8080", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.7:8080", False),
        ("", False),
        ("[", False),
    ],
)
def test_only_host_names_of_this_machine_are_allowed(host: str, ours: bool) -> None:
    assert Access(None, frozenset({"edge.local"})).host_is_allowed(host) is ours
    assert Access("correct horse", None).host_is_allowed(host)


def test_wrong_tokens_delay_their_address_and_no_other() -> None:
    clock = Clock()
    throttle = TokenThrottle(clock)
    delays = []
    for _ in range(13):
        throttle.record_failure("a")
        delays.append(throttle.delay("a"))
        clock.time += delays[-1]
    assert delays == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert throttle.delay("b") == 0
    throttle.record_success("a")
    throttle.record_failure("a")
    assert throttle.delay("a") == 0


def test_the_addresses_of_wrong_tokens_are_limited() -> None:
    throttle = TokenThrottle()
    for index in range(3000):
        throttle.record_failure(str(index))
    assert len(throttle._failures) == 1024

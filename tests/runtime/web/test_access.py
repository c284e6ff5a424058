from __future__ import annotations

import pytest

from runtime.web.access import Access


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:8080", True),
        ("localhost:8080", True),
        ("LOCALHOST", True),
        ("localhost.", True),
        ("[::1]:8080", True),
        ("edge.local:80", True),
        ("Edge.Local", True),
        ("evil.example:8080", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.7:8080", False),
        ("", False),
    ],
)
def test_only_host_names_of_this_machine_are_allowed(host: str, ours: bool) -> None:
    assert Access(None, frozenset({"edge.local"})).host_is_allowed(host) is ours
    assert Access("correct horse", None).host_is_allowed(host)


@pytest.mark.parametrize(
    "host",
    [
        "x/health?", "x/health#", "localhost/health?", "localhost?", "localhost#", "user@localhost",
        "localhost\\health", "localhost:80/health", "[::1", "[", "localhost:port", "local host", "localhost\t",
        "l\u00f6calhost", "a,b", "%2f",
    ],
)  # fmt: skip
def test_a_host_that_could_change_the_path_of_a_url_is_refused_everywhere(host: str) -> None:
    assert not Access(None, frozenset({"edge.local"})).host_is_allowed(host)
    assert not Access("correct horse", None).host_is_allowed(host)


def test_without_a_token_none_is_valid() -> None:
    assert not Access(None, None).token_is_valid("")
    assert Access("correct horse", None).token_is_valid("correct horse")
    assert not Access("correct horse", None).token_is_valid("correct \udc80")

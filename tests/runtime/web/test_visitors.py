from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.web.visitors import Visitors, visitor_name

PROXIES = ("127.0.0.1", "10.0.0.0/8", "fd00::/8")


def scope(
    peer: str | None, forwarded: list[str] | str = "", proto: str = "", scheme: str = "http"
) -> dict[str, Any]:
    lines = [forwarded] if isinstance(forwarded, str) else forwarded
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in lines if line]
    if proto:
        headers.append((b"x-forwarded-proto", proto.encode()))
    return {"client": (peer, 1234) if peer else None, "scheme": scheme, "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "visitor"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("127.0.0.1", ["198.51.100.1", "203.0.113.7", "10.1.2.3"], "203.0.113.7"),
        ("127.0.0.1", "10.1.2.4,10.1.2.3", "10.1.2.4"),
        ("127.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
        ("127.0.0.1", "[2001:db8::7]:4711", "2001:db8::/64"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::/64"),
        ("127.0.0.1", "198.51.100.1, unknown, 10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("::ffff:127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("fd00::1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("2001:db8:1:2:3::4", "", "2001:db8:1:2::/64"),
        (None, "198.51.100.1", ""),
    ],
)
def test_the_visitor_is_the_last_address_that_no_trusted_proxy_has(
    peer: str | None, forwarded: list[str] | str, visitor: str
) -> None:
    assert Visitors(PROXIES).of(scope(peer, forwarded)).name == visitor


@given(st.lists(st.text(st.characters(codec="latin-1"), max_size=40), max_size=5), st.ip_addresses().map(str))
def test_what_a_visitor_writes_does_not_change_who_it_is(lines: list[str], visitor: str) -> None:
    """A proxy appends the address that it sees; all before it is written by the visitor."""
    if Visitors(PROXIES).is_proxy(visitor):
        return
    assert Visitors(PROXIES).of(scope("127.0.0.1", [*lines, visitor])).name == visitor_name(visitor)
    assert Visitors(PROXIES).of(scope(visitor, lines)).name == visitor_name(visitor)
    assert Visitors().of(scope(visitor, lines)).name == visitor_name(visitor)


@pytest.mark.parametrize(
    ("peer", "proto", "scheme", "secure"),
    [
        ("127.0.0.1", "https", "http", True),
        ("127.0.0.1", "HTTPS, http", "http", True),
        ("127.0.0.1", "http", "http", False),
        ("127.0.0.1", "", "http", False),
        ("127.0.0.1", "", "https", True),
        ("203.0.113.9", "https", "http", False),
    ],
)
def test_only_a_trusted_proxy_says_that_a_request_came_by_tls(
    peer: str, proto: str, scheme: str, secure: bool
) -> None:
    assert Visitors(PROXIES).of(scope(peer, proto=proto, scheme=scheme)).secure is secure


def test_an_unknown_proxy_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    visitors = Visitors()
    for index in range(3):
        visitors.of(scope("127.0.0.1", f"203.0.113.{index}"))
    assert caplog.text.count("name it in serve.trusted_proxies") == 1

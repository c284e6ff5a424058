from __future__ import annotations

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runtime.cli import main
from runtime.config.serve_options import ServeOptions


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ("watch.example.org", ("watch.example.org",)),
        ("Watch.Example.org., edge", ("watch.example.org", "edge")),
        (["a.example", "b.example,c.example"], ("a.example", "b.example", "c.example")),
        (["[FD00::0:1]", "192.0.2.7"], ("fd00::1", "192.0.2.7")),
        ((), ()),
    ],
)
def test_host_names(given: object, hosts: tuple[str, ...]) -> None:
    assert ServeOptions.model_validate({"hosts": given}).hosts == hosts


@pytest.mark.parametrize(
    "wrong", ["https://a.example", "a.example:443", "a/b", "a..b", "*", "-a", "a b", "\u00f6.example"]
)
def test_what_is_not_a_host_name_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError, match="without scheme and port"):
        ServeOptions.model_validate({"hosts": [wrong]})


def test_networks() -> None:
    options = ServeOptions.model_validate({"trusted_proxies": ["127.0.0.1, 10.1.2.3/8", "::1"]})
    assert options.trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8", "::1/128")
    with pytest.raises(ValidationError, match=r"192\.0\.2\.0/24"):
        ServeOptions.model_validate({"trusted_proxies": ["proxy.example"]})


@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=20), lambda inner: st.lists(inner, max_size=3))
)
def test_whatever_is_given_is_a_setting_or_an_error(given: object) -> None:
    for name in ("hosts", "trusted_proxies"):
        try:
            options = ServeOptions.model_validate({name: given})
        except ValidationError:
            continue
        again = ServeOptions.model_validate({name: list(getattr(options, name))})
        assert again == options


def test_lists_on_the_command_line_are_repeated_or_separated_by_commas() -> None:
    ran = CliRunner().invoke(
        main,
        [
            *("--bundle", "b", "--source", "synthetic:", "--print-config"),
            *("--hosts", "a.example", "--hosts", "b.example,c.example", "--trusted-proxies", "127.0.0.1"),
        ],
    )
    assert ran.exit_code == 0, ran.output
    assert 'hosts = ["a.example", "b.example", "c.example"]' in ran.output
    assert 'trusted_proxies = ["127.0.0.1/32"]' in ran.output
    ran = CliRunner().invoke(
        main, ["--bundle", "b", "--source", "synthetic:", "--hosts", "https://a.example"]
    )
    assert ran.exit_code == 2
    assert "--hosts: 'https://a.example' is not a host name: give it without scheme and port" in ran.output

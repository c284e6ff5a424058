from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daflow.core.errors import InputError
from runtime.sources.redaction import Redactor, redacted, with_environment

PASSWORD = "Gr3en-D00r"  # noqa: S105
ADDRESSES = [
    f"rtsp://admin:{PASSWORD}@10.0.0.5:554/live",
    f"rtsp://admin:{PASSWORD}/x@10.0.0.5:554/live",
    f"http://10.0.0.5/video?user=a&password={PASSWORD}",
    f"https://{PASSWORD}@10.0.0.5/video",
    f"gst:souphttpsrc location=http://a:{PASSWORD}@host/ ! decodebin",
    f"gst:rtspsrc location=rtsp://host/ user-id=a user-pw={PASSWORD} ! decodebin",
    f"gst:rtspsrc 'user-pw={PASSWORD}",
]


@pytest.mark.parametrize("uri", ADDRESSES)
def test_passwords_are_never_shown(uri: str) -> None:
    assert PASSWORD not in redacted(uri)
    said = f"cannot open {uri}: {uri!r} and {PASSWORD} (location = '{uri.partition(':')[2]}')"
    assert PASSWORD not in Redactor(uri)(said)


def test_a_quoted_password_is_hidden_as_it_is_meant_too() -> None:
    assert Redactor("rtsp://a:x%40yz@host/")("x@yz x%40yz") == "*** ***"


def test_what_comes_from_the_environment_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR_PASSWORD", PASSWORD)
    uri = "gst:thing setting=${DOOR_PASSWORD}"
    assert with_environment(uri) == f"gst:thing setting={PASSWORD}"
    assert Redactor(uri)(f"no element {PASSWORD}") == "no element ***"


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(InputError, match="environment variable 'NOT_SET_HERE', which is not set"):
        with_environment("rtsp://a:${NOT_SET_HERE}@host/live")


@settings(deadline=None)
@given(st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=6, max_size=20))
def test_no_password_of_letters_and_digits_is_shown(password: str) -> None:
    secret = f"Q{password}Z"
    uri = f"rtsp://admin:{secret}@camera:554/live?p={secret}"
    assert secret not in redacted(uri)
    assert secret not in Redactor(uri)(f"{uri} {secret} rtsp://x:{secret}@y")

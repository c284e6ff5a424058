from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daflow.core.errors import InputError
from runtime.sources.redaction import HIDDEN, Redactor, hidden, holds_secret, redacted, with_environment

PASSWORD = "Gr3en-D00r"  # noqa: S105
ADDRESSES = [
    f"rtsp://admin:{PASSWORD}@10.0.0.5:554/live",
    f"rtsp://admin:{PASSWORD}/x@10.0.0.5:554/live",
    f"http://10.0.0.5/video?user=a&password={PASSWORD}",
    f"https://{PASSWORD}@10.0.0.5/video",
    f"gst:souphttpsrc location=http://a:{PASSWORD}@host/ ! decodebin",
    f"gst:rtspsrc location=rtsp://host/ user-id=a user-pw={PASSWORD} ! decodebin",
    f"gst:rtspsrc 'user-pw={PASSWORD}",
    f"rtsp://10.0.0.5/user=admin_password={PASSWORD}_channel=1.sdp",
    f"rtsp://10.0.0.5:554/user=admin&password={PASSWORD}&channel=1&stream=0.sdp?real_stream",
    f"rtsp://{PASSWORD}@10.0.0.5/live",
    f"rtsp://10.0.0.5/live?tk={PASSWORD}",
    f"rtsp://10.0.0.5/live?{PASSWORD}=",
    f"rtsp://10.0.0.5/live;password={PASSWORD}",
    f"rtsp://admin:{PASSWORD}",
    f"rtps://10.0.0.5/live?tk={PASSWORD}",
    f"camera:554/live;password={PASSWORD}",
    f'gst:souphttpsrc location=http://h/ extra-headers="a,Authorization=(string)\\"Bearer {PASSWORD}\\"" ! decodebin',
    f"gst:rtspsrc location=rtsp://h/ user-pw = {PASSWORD} ! decodebin",
    f"gst:rtspsrc location=rtsp://h/live?tk={PASSWORD} ! decodebin",
]


@pytest.mark.parametrize("uri", ADDRESSES)
def test_passwords_are_never_shown(uri: str) -> None:
    assert PASSWORD not in redacted(uri)
    said = f"cannot open {uri}: {uri!r} and {PASSWORD} (location = '{uri.partition(':')[2]}')"
    assert PASSWORD not in Redactor(uri)(said)
    assert holds_secret(uri)
    assert PASSWORD not in hidden(uri)
    assert HIDDEN in hidden(uri)


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


@pytest.mark.parametrize(
    "uri",
    [
        "rtsp://10.0.0.5/live",
        "rtsp://host:554/Streaming/Channels/101",
        "rtsp://[fe80::1%eth0]:554/h264Preview_01_main",
        "rtsp://10.0.0.5/cam/realmonitor?channel=1&subtype=0",
        "rtsp://10.0.0.5/axis-media/media.amp?resolution=1280x720&audio=false",
        "gst:videotestsrc num-buffers=10 ! video/x-raw, format=I420, width = 640 ! identity",
        "rtsp://admin:${PASSWORD}@10.0.0.5/live#transport=udp&timeout=5",
        "rtsp://${USER}:${PASSWORD}@${HOST}:${PORT}/${PATH}?${QUERY}",
        "rtsp://${TOKEN}@10.0.0.5/live?tk=${TOKEN}",
        "rtsp://10.0.0.5/user=${USER}_password=${PASSWORD}_channel=1.sdp",
        "rtsp://10.0.0.5/user=${USER}&password=${PASSWORD}&channel=1&stream=0.sdp",
        "http://camera.local/axis-media/media%20one.amp",
        "${CAMERA}",
        "${CAMERA}/live?channel=1#timeout=5",
        "${FILMS}/monday.mp4",
        "0",
        "v4l2:///dev/video0?width=1280&fps=30",
        "synthetic:seed=3,event=fall",
        "tracks:monday/16:38:41.json",
        "day=1/16 38.mp4",
        "gst:videotestsrc pattern=ball is-live=true ! video/x-raw,width=640,format=NV12 ! queue leaky=downstream",
        "gst:rtspsrc location=rtsp://10.0.0.5/live latency=100 protocols=tcp+udp ! rtph264depay ! nvv4l2decoder",
        "gst:rtspsrc location=rtsp://h/ user-id=${USER} user-pw=${PASSWORD} ! decodebin name=d0",
        "gst:v4l2src device=/dev/video0 ! capsfilter caps='image/jpeg,framerate=30/1' ! jpegdec",
        "gst:multifilesrc location='pictures/img %05d.png' ! pngdec",
    ],
)
def test_what_holds_no_secret_is_taken_as_it_is(uri: str) -> None:
    assert not holds_secret(uri)


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://example.com", False),
        ("http://10.0.0.3:1880/", False),
        ("${WEBHOOK_URL}", False),
        ("https://example.com/${HOOK}", False),
        ("${WEBHOOK_URL}/", False),
        ("${WEBHOOK_URL}/bot${TOKEN}/send", False),
        ("${WEBHOOK_URL}/services/T0AAA/B0BBB/XyZ0123456789", True),
        ("https://api.telegram.org/bot${TOKEN}/sendMessage", False),
        ("https://ntfy.sh/thetopic", True),
        ("https://hooks.slack.com/services/T0AAA/B0BBB/XyZ0123456789", True),
        ("https://discord.com/api/webhooks/123/Ab_c-0123456789", True),
        ("https://api.telegram.org/bot12345:AAbb-0123456789/sendMessage?room=${ROOM}", True),
        ("https://example.com/?k=0123456789", True),
        ("https://user:pw@example.com/", True),
        ("https://user@example.com/", True),
    ],
)
def test_the_path_of_a_webhook_may_be_a_secret(url: str, secret: bool) -> None:
    assert holds_secret(url, secret_path=True) == secret


@pytest.mark.parametrize(
    "uri",
    [
        "${A}/x?token=abc",
        "${A}/bot1:ABC",
        "${A}@h/x",
        "${A}Gr3en",
        "${A}://admin:Gr3en@h/",
        "${A} user-pw=Gr3en",
    ],
)
def test_what_follows_a_variable_is_judged_and_never_shown(uri: str) -> None:
    assert holds_secret(uri)
    assert holds_secret(uri, secret_path=True)
    assert redacted(uri) == "..."
    assert hidden(uri) == HIDDEN


# A secret with a digit, as every token of more than a few letters has one.
SECRETS = st.from_regex(r"Q[A-Za-z0-9_.~+-]{4,12}7[A-Za-z0-9_.~-]{3,12}Z", fullmatch=True)
WITH_A_SECRET = st.sampled_from(
    [
        "rtsp://{}@camera/live",
        "RTSP://admin:{}@camera:554/live",
        "rtsp://admin:{}#x@camera/live",
        "rtsp://admin:x/{}@camera/live",
        "http://a:b@{}@camera/",
        "rtsp://camera/user=admin_password={}_channel=1.sdp",
        "rtsp://camera/user=a&password={}&channel=1&stream=0.sdp?real_stream",
        "rtsp://camera/live/tk={}/1",
        "rtsp://camera/live;password={}",
        "rtsp://camera/live;{}",
        "rtsp://camera/live,key:{}",
        "rtsp://camera/live?channel=1&tk={}",
        "rtsp://camera/live?{}",
        "rtsp://camera/live?{}=1",
        "rtsp://camera/live?tk=${{NOT_SET_HERE}}{}",
        "rtsp://camera/live#timeout=5&{}",
        "rtsp://camera/live#{}@",
        "https://camera:{}/live",
        "rtps://u:{}@camera/live",
        "rtsp:/u:{}@camera/live",
        "camera:554/live?tk={}",
        "gst:rtspsrc location=rtsp://camera/live user-pw={} ! decodebin",
        "gst:rtspsrc location=rtsp://camera/live?tk={} ! decodebin",
        "gst:rtspsrc location='rtsp://u:{}@camera/live' ! decodebin",
        'gst:souphttpsrc location=http://h extra-headers="a,Authorization={}" ! decodebin',
        "gst:souphttpsrc location=http://h cookies='a={};b' ! decodebin",
        "gst:thing setting={} ! decodebin",
        "gst:rtsp://u:{}@camera/live ! decodebin",
        "${{NOT_SET_HERE}}/live?tk={}",
        "${{NOT_SET_HERE}}:{}@camera/live",
        "${{NOT_SET_HERE}}{}",
    ]
)


@settings(deadline=None, max_examples=400)
@given(WITH_A_SECRET, SECRETS)
def test_a_secret_in_any_part_is_found_and_never_shown(form: str, secret: str) -> None:
    uri = form.format(secret)
    assert holds_secret(uri)
    assert secret not in redacted(uri)
    assert secret not in hidden(uri)
    address = uri.partition("location=")[2].split()[0] if "location=" in uri else uri
    said = f"no {uri}, {uri!r}: {secret}, '{address}' {uri.partition(':')[2]} path {uri.rpartition('/')[2]}"
    assert secret not in Redactor(uri)(said)

"""`gst:rtsp://...`: a network camera by GStreamer, with a hardware decoder where one is there; no Jetson was here."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daflow.core.errors import InputError
from runtime.doctor.sources import FirstPicture, source
from runtime.machine.board import Machine
from runtime.sources import gstreamer
from runtime.sources import uri as uri_module
from runtime.sources.child_process import SourceLostError
from runtime.sources.first_that_works import FirstThatWorks
from runtime.sources.redaction import holds_secret
from runtime.sources.uri import check_present, connector, decoder_of

JETSON = {"nvv4l2decoder", "nvvidconv", "avdec_h264", "avdec_h265"}


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Let no test see the decoders of another."""
    gstreamer.find_decoders.cache_clear()
    yield
    gstreamer.find_decoders.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, *elements: str) -> None:
    """Let GStreamer have these elements alone."""

    monkeypatch.setattr(gstreamer, "has_element", elements.__contains__)


@pytest.mark.parametrize(
    ("elements", "codec", "decoder"),
    [
        (JETSON, "h264", "nvv4l2decoder in hardware"),
        (JETSON, "h265", "nvv4l2decoder in hardware"),
        (JETSON - {"nvvidconv"}, "h264", "avdec_h264 on the processor"),
        ({"v4l2h264dec", "avdec_h264"}, "h264", "v4l2h264dec in hardware"),
        ({"v4l2h264dec", "avdec_h265"}, "h265", "avdec_h265 on the processor"),
        ({"openh264dec"}, "h264", "openh264dec on the processor"),
    ],
)
def test_the_decoder_is_the_best_that_is_there(
    monkeypatch: pytest.MonkeyPatch, elements: set[str], codec: str, decoder: str
) -> None:
    install(monkeypatch, *elements)
    assert decoder_of(f"gst:rtsp://camera/live#codec={codec}") == f"decoded by {decoder}"


def test_the_doctor_tells_what_another_chip_could_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uri_module, "find_decoders", lambda _: ["v4l2h264dec", "avdec_h264"])
    assert str(decoder_of("rtsp://camera/live")).endswith("(gst:rtsp://... would be decoded in hardware)")
    assert decoder_of("http://camera/live") == "decoded by FFmpeg on the processor"


def test_a_jetson_decodes_a_network_camera_in_hardware_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, *JETSON)
    if_so = "by nvv4l2decoder in hardware, if that gives a picture"
    assert decoder_of("rtsp://camera/live") == f"decoded as h264 {if_so}"
    assert decoder_of("rtsps://camera/live#codec=h265") == f"decoded as h265 {if_so}"
    assert decoder_of("rtsp://camera/live#decoder=processor") == "decoded by FFmpeg on the processor"
    assert decoder_of("http://camera/live") == "decoded by FFmpeg on the processor"
    for wrong, message in (("codec=av1", "is h264 or h265"), ("decoder=gpu", "may be processor")):
        with pytest.raises(InputError, match=message):
            connector(f"rtsp://camera/live#{wrong}")


def test_where_the_jetsons_decoder_gives_no_picture_ffmpeg_decodes(
    rtsp_server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch, *JETSON)  # which is not so
    connect = connector(rtsp_server.uri)
    rtsp_server.start()

    def shape() -> tuple[int, ...]:
        with contextlib.closing(connect()) as connection:
            picture = next(iter(connection)).picture
            return picture.width, picture.height

    for connections in (1, 2):  # once more after a picture: they may have failed because the camera was away
        for _ in ("h264", "h265"):
            with pytest.raises(SourceLostError, match="nvv4l2decoder"):
                shape()
        assert [shape() for _ in range(connections)] == [(320, 240)] * connections
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "no picture when decoded as h264 by nvv4l2decoder in hardware" in warning


def test_a_decoder_that_fails_is_passed_over_with_one_warning(
    rtsp_server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, software = "v4l2h264dec", gstreamer.find_decoders("h264")[-1]
    monkeypatch.setattr(gstreamer, "_DECODERS", {"h264": (broken, software)})
    gstreamer.find_decoders.cache_clear()
    install(monkeypatch, broken, software)
    connect = connector(f"gst:{rtsp_server.uri}")

    def width() -> int:
        with contextlib.closing(connect()) as connection:
            return int(next(iter(connection)).picture.width)

    with pytest.raises(SourceLostError, match=broken):
        width()
    with pytest.raises(SourceLostError):  # the camera is away
        width()
    rtsp_server.start()
    with pytest.raises(SourceLostError, match=broken):
        width()
    assert width() == 320
    # Once more: it may have failed because the camera was away.
    with pytest.raises(SourceLostError, match=broken):
        width()
    assert [width(), width()] == [320, 320]
    (warning,) = [record.getMessage() for record in caplog.records]
    assert f"no picture when decoded by {broken} in hardware; it is decoded by {software} on" in warning


@pytest.mark.parametrize(
    ("hardware", "software", "tried"),
    [
        ([False, True, False, False, True], [False], "hshhhh"),  # the first that has worked is kept
        ([False, True, False, True], [True], "hshhh"),  # it failed while the camera was away: another chance
        ([False, False], [True, True, False, False], "hshsss"),  # but one only
    ],
)
def test_the_ways_are_tried_in_turn(hardware: list[bool], software: list[bool], tried: str) -> None:
    """Each connection by a way gives a picture or not."""
    gives = {"h": hardware, "s": software}
    order: list[str] = []

    def connect(way: str) -> Any:
        order.append(way)
        return SimpleNamespace(delivered=bool(gives[way]) and gives[way].pop(0))

    connector = FirstThatWorks({name: partial(connect, name) for name in gives}, "door")
    for _ in tried:
        connector()
    assert "".join(order) == tried


def test_without_its_program_of_search_no_decoder_is_said_to_be_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert decoder_of("rtsp://camera/live") == "decoded by FFmpeg on the processor"
    with pytest.raises(
        InputError, match=r"gst-inspect-1\.0 finds no decoder of h264 here: .*gstreamer1\.0-tools"
    ):
        connector("gst:rtsp://camera/live")


def test_decoders_are_looked_for_once_and_those_that_are_missing_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []
    there: set[str] = set()

    def has_element(name: str) -> bool:
        looked.append(name)
        return name in there

    monkeypatch.setattr(gstreamer, "has_element", has_element)
    with pytest.raises(InputError):
        gstreamer.find_decoders("h264")
    there |= {"v4l2slh264dec", "openh264dec", "v4l2h264dec"}
    looked.clear()
    assert gstreamer.find_decoders("h264") == ("v4l2slh264dec", "openh264dec")
    assert looked == ["nvv4l2decoder", "v4l2slh264dec", "avdec_h264", "openh264dec"]
    gstreamer.find_decoders("h264")
    assert len(looked) == 4


def test_a_camera_without_a_picture_is_told_without_a_search_for_decoders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.doctor.sources._unavailable", lambda *_: None)
    monkeypatch.setattr("runtime.doctor.sources.decoder_of", None)  # calling it would raise
    found = source(Machine(), "camera door", "rtsp://camera/live", lambda _: FirstPicture((0, 0)))
    assert found.state == "problem"


def test_the_child_process_has_little_memory_and_ends_with_its_parent() -> None:
    connection = connector("gst:videotestsrc is-live=true ! video/x-raw,width=64,height=48")()
    try:
        next(iter(connection))
        child = connection._child._process  # type: ignore[attr-defined]
        process = Path(f"/proc/{child.pid}")
        limits = (process / "limits").read_text()
        assert re.search(rf"Max data size +{2 << 30} ", limits)
        assert re.search(r"Max core file size +0 ", limits)
        assert int((process / "oom_score_adj").read_text()) == 1000
        child.stdin.close()
        assert child.wait(60) == 0
    finally:
        connection.close()


def test_no_password_is_in_the_list_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "Gr3en-D00r")
    connection = connector(
        "gst:videotestsrc is-live=true name=${PASSWORD} ! video/x-raw,width=64,height=48"
    )()
    try:
        assert next(iter(connection)).picture.width == 64
        lines = list(command_lines())
        assert any(b"pipeline_runner" in line for line in lines)
        assert not any(b"Gr3en" in line for line in lines)
    finally:
        connection.close()


def command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended
            yield path.read_bytes()


def test_without_a_decoder_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "openh264dec")
    with pytest.raises(InputError, match="finds no decoder of h265 here: apt-get install"):
        connector("gst:rtsp://camera/live#codec=h265")


def test_other_sources_are_decoded_as_before() -> None:
    assert decoder_of("rtsp://camera/live") == "decoded by FFmpeg on the processor"
    assert [decoder_of(uri) for uri in ("shop.mp4", "csi://0", "0", "gst:videotestsrc", "synthetic:")] == [
        None
    ] * 5


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("/live#codec=av1", "The codec of gst:rtsp is h264 or h265"),
        (
            "/live#timeout=3",
            "of gst:rtsp may have these options after #: codec, latency, transport; it has 1 others",
        ),
        ("/live#latency=soon", "latency"),
        (
            "/live#colour=red",
            "of gst:rtsp may have these options after #: codec, latency, transport; it has 1",
        ),
        (":0/live", "is invalid"),
    ],
)
def test_a_wrong_address_is_refused_without_its_password(rest: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        connector(f"gst:rtsp://admin:Gr3en-D00r@camera{rest}")
    assert "Gr3en" not in raised.value.message


def test_a_password_that_is_written_out_is_a_secret_and_the_options_are_none() -> None:
    assert holds_secret("gst:rtsp://admin:Gr3en-D00r@camera/live")
    assert not holds_secret("gst:rtsp://admin:${PASSWORD}@camera/live#codec=h265&latency=50&transport=udp")
    assert not holds_secret("rtsp://camera/live#codec=h265&decoder=processor")
    assert holds_secret("rtsp://camera/live#codec=Gr3en")


def test_a_camera_with_a_password_is_watched_and_the_doctor_says_its_decoder(
    rtsp_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "Gr3en-D00r")
    rtsp_server.start(account=("admin", "Gr3en-D00r"))
    uri = f"gst:rtsp://admin:${{PASSWORD}}@127.0.0.1:{rtsp_server.port}/live"
    check_present(uri)
    found = source(Machine(), "camera door", uri)
    assert found.state == "ok", found
    assert "320x240" in found.found
    assert found.found.endswith(str(decoder_of(uri)))
    assert "decoded by FFmpeg on the processor" in source(Machine(), "door", rtsp_server.uri.replace(
        "rtsp://", "rtsp://admin:${PASSWORD}@")).found  # fmt: skip
    monkeypatch.setenv("PASSWORD", "wr0ng-Pass")
    refused = source(Machine(), "camera door", uri)
    assert refused.state == "problem"
    assert "wr0ng" not in str(refused)

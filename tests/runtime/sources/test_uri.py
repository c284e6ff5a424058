from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daflow.core.errors import InputError
from runtime.sources import gstreamer
from runtime.sources.camera import CameraSource
from runtime.sources.frames import Source
from runtime.sources.redaction import redacted
from runtime.sources.uri import check_present, is_live, open_source, recording_path


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "The source is empty"),
        ("  ", "The source is empty"),
        ("ftp://host/file", "There are no sources of the kind ftp://"),
        ("rtsp://", "is invalid; write rtsp://user:password@host:port/path"),
        ("rtsp:camera", "is invalid; write rtsp://"),
        ("rtsp://camera:port/live", "is invalid"),
        ("rtsp://cam era/live", "is invalid"),
        ("rtsp://camera/live#transport=pigeon", "transport of an rtsp address is tcp or udp"),
        ("rtsp://camera/live#latency=long", "latency of a source must be a number"),
        ("rtsp://camera/live#timeout=-1", "timeout of a source must be a number"),
        ("http://camera/live#transport=udp", "options after #: timeout; it has 1 others"),
        ("csi://left", "names its sensor by a number"),
        ("csi://0?hue=3", "takes width, height, fps, not 'hue'"),
        ("csi://0?width=wide", "width='wide' of a csi source must be from 1 to 16384"),
        ("v4l2://", "needs a camera, as in v4l2:///dev/video0"),
        ("v4l2:///etc/passwd", "names its device, as in v4l2:///dev/video0"),
        ("gst:", "is a pipeline that ends in raw video"),
        ("gst:videotestsrc !", "must not end with !"),
        ("gst:videotestsrc name='a", "quotes must be closed"),
        ("x" * 5000 + ".mp4", "There is no video xxx"),
        ("file://elsewhere/shop.mp4", "names a file of this machine"),
        ("rtsp://a:${NOT_SET_HERE}@camera/", "environment variable 'NOT_SET_HERE'"),
    ],
)
def test_wrong_names_are_explained(uri: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        open_source(uri)
    assert message in error.value.message


@pytest.mark.parametrize(
    "slip", ["rtsp://admin:Gr3en#D00r@camera/live", "rtsp//a:Gr3en@camera", "rstp://a:Gr3en@camera"]
)
def test_a_password_in_a_wrong_address_is_not_repeated(slip: str) -> None:
    with pytest.raises(InputError) as error:
        open_source(slip)
    assert "Gr3en" not in error.value.message
    assert "D00r" not in error.value.message


def test_a_whole_source_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOOR", "rtsp://a:Gr3en@camera/live")
    monkeypatch.setenv("FILM", str(tmp_path / "film.mp4"))
    assert is_live("${DOOR}")
    assert isinstance(open_source("${DOOR}"), CameraSource)
    with pytest.raises(InputError, match=r"There is no video .*film\.mp4"):
        open_source("${FILM}")
    with pytest.raises(InputError, match="environment variable 'NOT_SET_HERE'"):
        open_source("${NOT_SET_HERE}")


def test_a_missing_gstreamer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gstreamer, "LIBRARY", "libnobody-1.0.so.0")
    with pytest.raises(InputError, match=r"need GStreamer: apt-get install gstreamer1\.0-tools"):
        open_source("gst:videotestsrc")


def test_files_may_have_odd_names(tmp_path: Path) -> None:
    path = tmp_path / "a b:c%20.mp4"
    for uri in (str(path), f"file://{str(path).replace('%', '%25')}"):
        with pytest.raises(InputError, match=r"There is no video .*a b:c%20\.mp4"):
            open_source(uri)
    path.write_text("no video")
    with pytest.raises(InputError, match="is not a video that can be read"):
        open_source(f"file://{str(path).replace('%', '%25')}")


PARTS = st.sampled_from(
    ["rtsp", "rtsps", "http", "v4l2", "csi", "gst", "tracks", "synthetic", "file", ":", "://", "/", "#", "?", "@", "&",
     "=", ",", "!", "0", "99999999999999999999", "-1", "${", "}", "HOME", "'", '"', "\0", "\n", " ", "[", "]", "%", "é",
     "frames", "seed", "people", "fps", "nan", "1e999", "٣", "²", "width", "transport=udp", "..", "/dev/video0"]
)  # fmt: skip


@settings(deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(PARTS, max_size=12).map("".join)))
def test_no_name_raises_anything_else(uri: str) -> None:
    # Cameras are not entered, so nothing is connected to.
    with contextlib.suppress(InputError):
        source: Source = open_source(uri)
        if not is_live(uri):
            with source:
                pass


@pytest.mark.skipif(shutil.which("gst-inspect-1.0") is None, reason="GStreamer is not here")
@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("v4l2:///dev/video-of-nobody", "There is no camera /dev/video-of-nobody"),
        ("973", "There is no camera /dev/video973"),
        ("gst:videotestsrc ! nobodys-element ! fakesink", "GStreamer has no nobodys-element on this machine"),
        ("gst:nobodys-source name=a a. ! video/x-raw", "GStreamer has no nobodys-source on this machine"),
    ],
)
def test_a_camera_that_cannot_come_is_refused_at_once(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_present(uri)
    open_source(uri).__exit__(None, None, None)  # a service waits for it


def test_a_csi_camera_needs_its_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.sources.uri.find_gstreamer", lambda: None)
    monkeypatch.setattr("runtime.sources.uri.missing_element", lambda words: words[0])
    with pytest.raises(
        InputError, match=r"GStreamer has no nvarguscamerasrc .* csi://0 needs: it is part of Jet"
    ):
        check_present("csi://0")


@pytest.mark.parametrize("uri", ["rtsp://127.0.0.1:1/live", "shop.mp4", "synthetic:", "tracks:a.json"])
def test_only_cameras_of_this_machine_are_looked_for(uri: str) -> None:
    check_present(uri)


def test_a_recording_may_have_colons_in_its_name() -> None:
    assert recording_path("16:38:41.mp4") == Path("16:38:41.mp4")
    assert redacted("a/16:38:41.mp4") == "a/16:38:41.mp4"
    assert "secret" not in redacted("rtps://admin:secret@camera/live")
    assert "secret" not in redacted("camera:554/live?password=secret")

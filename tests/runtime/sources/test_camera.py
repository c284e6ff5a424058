from __future__ import annotations

import itertools
import json
import logging
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daflow.core.programs import python_module
from runtime.sources.camera import CameraSource, Connection
from runtime.sources.child_process import SourceLostError
from runtime.sources.frames import Frame, SourceState
from runtime.sources.frozen_pictures import PictureCheck
from runtime.sources.uri import connector, open_source

av = pytest.importorskip("av")

needs_gstreamer = pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="GStreamer is not here")
SMALL = "video/x-raw,width=64,height=48,framerate=25/1"


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def soon(uri: str, **options: Any) -> CameraSource:
    """A camera that is tried again at once."""
    return CameraSource(connector(uri), "test", first_wait=0.1, max_wait=0.3, **options)


def read_until(source: CameraSource, state: SourceState) -> list[Frame]:
    frames = []
    for frame in source:
        frames.append(frame)
        if source.status.state == state:
            break
        assert len(frames) < 2000
    return frames


def jpeg(value: int, size: tuple[int, int] = (64, 48)) -> bytes:
    picture = av.VideoFrame.from_ndarray(
        np.full((size[1], size[0], 3), value, dtype=np.uint8), format="rgb24"
    )
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = *size, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode()])


class Camera:
    """A camera that speaks MJPEG over HTTP: it sends the pictures it is told to, and then waits until it is closed."""

    def __init__(self) -> None:
        self.pictures: Iterator[bytes] = iter(())
        self.asked: list[str] = []
        self.closed_to_all = False
        self.done = threading.Event()
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.asked.append(self.headers.get("Authorization", ""))
                if camera.closed_to_all and not camera.asked[-1]:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                try:
                    for picture in camera.pictures:
                        head = (
                            f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                        )
                        self.wfile.write(head.encode() + picture + b"\r\n")
                        if camera.done.wait(0.04):
                            return
                    camera.done.wait(30)
                except OSError:
                    pass

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self.done.set()
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def camera() -> Iterator[Camera]:
    """A camera that speaks MJPEG over HTTP."""
    camera = Camera()
    yield camera
    camera.close()


def moving(size: tuple[int, int] = (64, 48)) -> Iterator[bytes]:
    return (jpeg(40 + index % 150, size) for index in itertools.count())


@pytest.mark.slow
@pytest.mark.parametrize("losses", [2, pytest.param(5, marks=pytest.mark.everything)])
def test_a_camera_that_is_killed_comes_back_each_time(rtsp_server: Any, losses: int) -> None:
    rtsp_server.start()
    with soon(rtsp_server.uri) as source:
        stream = iter(source)
        last = next(stream)
        assert last.size == (320, 240)
        for turn in range(losses):
            for frame in itertools.islice(stream, 20):
                assert frame.index > last.index
                assert frame.time > last.time
                last = frame
            killed = time.monotonic()
            rtsp_server.kill()
            wait_for(lambda: source.status.state == "lost")
            assert source.status.reconnects == turn
            assert source.status.error
            size = (160, 120) if turn % 2 else (320, 240)
            rtsp_server.start(size=size)
            for frame in stream:  # what was on its way comes first
                assert frame.time > last.time
                before, last = last, frame
                if source.status.reconnects == turn + 1 and frame.time - before.time > 0.5:
                    break
            # The stream's time goes on while the camera is away; this thread may be late, but never early.
            assert 0.5 < last.time - before.time < time.monotonic() - killed + 0.4
            assert last.index - before.index > 5
        assert source.status.state == "streaming"
        sizes = {frame.size for frame in itertools.islice(stream, 3)}
    assert sizes == {size}


def test_a_camera_that_is_not_there_at_the_start_is_waited_for(rtsp_server: Any) -> None:
    with soon(rtsp_server.uri) as source:
        wait_for(lambda: source.status.state == "lost")
        assert source.status.error is not None
        assert "refused" in source.status.error
        rtsp_server.start(size=(160, 120))
        assert next(iter(source)).size == (160, 120)
        assert source.status.reconnects == 0
        assert source.status.state == "streaming"


def test_no_password_gets_into_status_or_log(rtsp_server: Any, caplog: pytest.LogCaptureFixture) -> None:
    rtsp_server.start(account=("admin", "Right-0ne"))
    wrong = rtsp_server.uri.replace("//", "//admin:Wr0ng-0ne@")
    with caplog.at_level(logging.DEBUG), soon(wrong) as source:
        wait_for(lambda: source.status.state == "lost")
        assert source.status.error is not None
        assert "authorization" in source.status.error
        assert "Wr0ng" not in source.status.error + caplog.text
    right = rtsp_server.uri.replace("//", "//admin:Right-0ne@")
    with caplog.at_level(logging.DEBUG), soon(right) as source:
        assert next(iter(source)).index == 0
        rtsp_server.kill()
        wait_for(lambda: source.status.state == "lost")
    assert "Right-0ne" not in f"{source.status} {caplog.text}"
    assert "lost" in caplog.text


@needs_gstreamer
def test_no_password_of_a_pipeline_gets_out(caplog: pytest.LogCaptureFixture) -> None:
    uri = (
        "gst:tcpclientsrc host=127.0.0.1 port=9 name=${SECRET_NAME} ! nothing password=Gr3en-D00r ! decodebin"
    )
    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.DEBUG):
        patch.setenv("SECRET_NAME", "Hidden-0ne")
        with soon(uri) as source:
            wait_for(lambda: source.status.state == "lost")
    assert "no element" in str(source.status.error)
    assert "Gr3en" not in f"{source.status} {caplog.text}"
    assert "Hidden" not in f"{source.status} {caplog.text}"


@needs_gstreamer
def test_a_pipeline_gives_its_frames_with_their_times_and_colours() -> None:
    uri = f"gst:videotestsrc num-buffers=30 pattern=red ! {SMALL}"
    with open_source(uri, "all") as source:
        frames = list(itertools.islice(source, 30))
        assert source.fps == 25
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.time for frame in frames] == pytest.approx([index / 25 for index in range(30)], abs=0.002)
    assert frames[0].size == (64, 48)
    assert frames[0].image is not None
    assert frames[0].image.mean(axis=(0, 1)) == pytest.approx([255, 0, 0], abs=12)
    assert frames[0].utc == pytest.approx(time.time(), abs=20)


@needs_gstreamer
def test_a_pipeline_that_ends_is_started_again_and_time_goes_on() -> None:
    with soon(f"gst:videotestsrc num-buffers=5 ! {SMALL}", policy="all") as source:
        frames = list(itertools.islice(source, 12))
        assert source.status.reconnects >= 1
    assert "ended" in str(source.status.error)
    assert all(one.time < other.time for one, other in itertools.pairwise(frames))
    assert frames[5].time - frames[4].time > 0.05


@needs_gstreamer
@pytest.mark.parametrize(
    ("pipeline", "error"),
    [
        ("nothing-of-this-kind ! fakesink", 'no element "nothing-of-this-kind"'),
        ("filesrc location=/not/here.mp4 ! decodebin", "No such file"),
        ("audiotestsrc num-buffers=3", "could not link"),
    ],
)
def test_what_gstreamer_complains_about_is_in_the_status(pipeline: str, error: str) -> None:
    with soon(f"gst:{pipeline}") as source:
        wait_for(lambda: source.status.state == "lost")
    assert error in str(source.status.error)


@needs_gstreamer
def test_a_device_that_is_not_plugged_in_is_named() -> None:
    with open_source("v4l2:///dev/video98") as source:
        wait_for(lambda: source.status.state == "lost")
        assert "there is no camera /dev/video98" in str(source.status.error)


@needs_gstreamer
@pytest.mark.parametrize(("pattern", "state"), [("black", "black"), ("smpte100", "frozen")])
def test_black_and_frozen_pictures_are_noticed_and_still_delivered(pattern: str, state: SourceState) -> None:
    check = PictureCheck(frozen_seconds=0.5, black_seconds=0.3)
    uri = f"gst:videotestsrc is-live=true pattern={pattern} ! {SMALL}"
    with soon(uri, check=check) as source:
        frames = read_until(source, state)
        assert len(frames) > 2
        assert next(iter(source)).index > frames[-1].index


@pytest.mark.slow
def test_an_encoded_still_picture_is_frozen_and_a_moving_one_is_not(rtsp_server: Any) -> None:
    rtsp_server.start(pattern="smpte100")
    check = PictureCheck(frozen_seconds=1.5, black_seconds=0.5)
    with soon(rtsp_server.uri, check=check) as source:
        read_until(source, "frozen")
        rtsp_server.kill()
        wait_for(lambda: source.status.state == "lost")
        rtsp_server.start(pattern="smpte")  # with a corner of snow
        stream = iter(source)
        wait_for(lambda: source.status.state == "streaming")
        for _ in itertools.islice(stream, 60):
            assert source.status.state == "streaming"


@pytest.fixture
def folder_server(tmp_path: Path) -> Iterator[str]:
    """A server of the files in `tmp_path`; its address."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def write_noise(path: Path, frames: int, **options: Any) -> None:
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 10
        pictures = np.random.default_rng(0).integers(0, 255, (frames, 48, 64, 3), dtype=np.uint8)
        packets = [p for i in pictures for p in stream.encode(av.VideoFrame.from_ndarray(i, format="rgb24"))]
        for packet in [*packets, *stream.encode()]:
            container.mux(packet)


def test_hls_plays_at_its_own_speed_and_drops_nothing(tmp_path: Path, folder_server: str) -> None:
    write_noise(tmp_path / "live.m3u8", 60, format="hls", options={"hls_time": "0.5", "hls_list_size": "0"})
    with open_source(f"{folder_server}/live.m3u8") as source:
        frames = list(itertools.islice(source, 40))
        assert source.status.dropped <= 4
    assert frames[-1].utc - frames[0].utc == pytest.approx(frames[-1].time - frames[0].time, abs=0.3)
    assert frames[0].size == (64, 48)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_streams_are_survived(tmp_path: Path, folder_server: str, seed: int) -> None:
    write_noise(tmp_path / "whole.ts", 20)
    content = np.frombuffer((tmp_path / "whole.ts").read_bytes(), dtype=np.uint8).copy()
    rng = np.random.default_rng(seed)
    content[rng.integers(0, len(content), 4 ** (seed + 2))] = 7
    (tmp_path / "damaged.ts").write_bytes(content.tobytes())
    with soon(f"{folder_server}/damaged.ts", policy="all") as source:
        frames: list[Frame] = []
        reader = threading.Thread(target=lambda: frames.extend(source))
        reader.start()
        wait_for(lambda: source.status.state == "lost")
    reader.join()
    assert all(one.time < other.time for one, other in itertools.pairwise(frames))


def test_the_child_process_ends_with_its_parent() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(60)
        address = f"rtsp://127.0.0.1:{server.getsockname()[1]}/live"
        request = {"address": address, "options": {}, "seconds": 60}
        program = python_module("runtime.sources.network_receiver", "1")
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdin is not None
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
            connection, _ = server.accept()
            connection.recv(100)
            child.stdin.close()
            assert child.wait(5) == 0
            connection.close()


def test_an_mjpeg_camera_changes_its_resolution(camera: Camera) -> None:
    camera.pictures = itertools.chain(itertools.islice(moving((64, 48)), 10), moving((96, 80)))
    with soon(f"http://{camera.address}/video", policy="all") as source:
        frames = list(itertools.islice(source, 20))
        assert source.status.reconnects == 0
    assert [frame.size for frame in frames] == [(64, 48)] * 10 + [(96, 80)] * 10
    assert [frame.index for frame in frames] == list(range(20))
    # Its stamps are made up by FFmpeg, so the times are those of the arrival.
    assert frames[-1].time - frames[10].time == pytest.approx(9 * 0.04, rel=1.0)


def test_an_mjpeg_camera_gets_its_password_and_the_options_stay_here(camera: Camera) -> None:
    camera.pictures, camera.closed_to_all = moving(), True
    with soon(f"http://admin:x%40yz@{camera.address}/video#timeout=3") as source:
        assert next(iter(source)).size == (64, 48)
    assert "Basic YWRtaW46eEB5eg==" in camera.asked


def test_a_camera_that_falls_silent_is_lost(camera: Camera) -> None:
    camera.pictures = itertools.islice(moving(), 12)
    with soon(f"http://{camera.address}/video#timeout=1") as source:
        next(iter(source))
        wait_for(lambda: source.status.state == "lost")
        assert "in time" in str(source.status.error) or "no picture for 1 s" in str(source.status.error)
        camera.pictures = moving()
        wait_for(lambda: source.status.reconnects == 1)


@needs_gstreamer
@pytest.mark.parametrize(("policy", "all_there"), [("latest", False), ("all", True)])
def test_a_slow_edge_sees_the_newest_frames_or_all(policy: Any, all_there: bool) -> None:
    colours = f"gst:videotestsrc is-live=true pattern=ball ! {SMALL}"
    with soon(colours, policy=policy) as source:
        frames = []
        for frame in itertools.islice(source, 10):
            frames.append(frame)
            time.sleep(0.15)
        dropped = source.status.dropped
    steps = np.diff([frame.time for frame in frames])
    if all_there:
        assert dropped == 0
        assert steps == pytest.approx([0.04] * 9, abs=0.002)
    else:
        assert dropped > 10
        assert steps[3:].mean() == pytest.approx(0.16, abs=0.06)
        assert [frame.index for frame in frames[3:]] == list(range(frames[3].index, frames[3].index + 7))


def test_the_waits_for_a_lost_camera_grow_to_their_limit() -> None:
    waits: list[float] = []
    enough = threading.Event()

    def connect() -> Connection:
        raise SourceLostError("it is not there")

    def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            enough.set()
        time.sleep(0.001)

    with CameraSource(connect, "test", first_wait=5, max_wait=30, pause=pause) as source:
        assert enough.wait(20)
    assert source.status.error == "it is not there"
    assert np.array(waits[:8]) == pytest.approx(np.array([5, 10, 20, 30, 30, 30, 30, 30]), rel=0.2)
    assert len(set(waits[:8])) == 8, "cameras that were lost together would all reconnect at once"


@pytest.mark.parametrize("reason", ["Server returned 401 Unauthorized", "Unauthorized", "403 Forbidden"])
def test_a_camera_that_refuses_the_password_is_asked_less_and_less_often(reason: str) -> None:
    waits: list[float] = []
    enough = threading.Event()

    def connect() -> Connection:
        raise SourceLostError(reason if len(waits) < 7 else "it is not there")

    def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 9:
            enough.set()
        time.sleep(0.001)

    with CameraSource(connect, "test", first_wait=1, max_wait=30, pause=pause) as source:
        assert enough.wait(20)
    assert np.array(waits[:9]) == pytest.approx([30, 60, 120, 240, 480, 600, 600, 30, 30], rel=0.2)
    assert source.status.error == "it is not there"


def test_a_camera_that_refuses_the_password_is_not_asked_for_ever() -> None:
    asked: list[float] = []

    def connect() -> Connection:
        asked.append(time.monotonic())
        raise SourceLostError("Server returned 401 Unauthorized")

    with CameraSource(connect, "test", pause=lambda _: None) as source:
        wait_for(lambda: "not tried again" in str(source.status.error))
        source._thread.join(20)
        assert not source._thread.is_alive()
        assert (len(asked), source.status.state) == (12, "lost")


def test_a_wrong_password_is_told(camera: Camera) -> None:
    camera.closed_to_all = True
    with soon(f"http://{camera.address}/video#timeout=3") as source:
        wait_for(lambda: source.status.state == "lost")
        assert "wrong user or password: " in str(source.status.error)
        time.sleep(0.5)
    assert len(camera.asked) <= 2, "the account would be locked"


@pytest.mark.parametrize("when", ["refused", "silent", "full"])
def test_closing_is_prompt_whatever_the_thread_does(when: str) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if when != "refused":
            server.listen()
        port = server.getsockname()[1]
        uri = f"gst:videotestsrc ! {SMALL}" if when == "full" else f"rtsp://127.0.0.1:{port}/live"
        if when == "full" and shutil.which("gst-launch-1.0") is None:
            pytest.skip("GStreamer is not here")
        source = CameraSource(connector(uri), "test", "all", first_wait=60, max_wait=60)
        ended = threading.Event()
        with source:
            reader = threading.Thread(target=lambda: (list(source) if when != "full" else None, ended.set()))
            reader.start()
            if when == "silent":
                connection, _ = server.accept()
                connection.recv(100)
            else:
                wait_for(lambda: source.status.state == ("lost" if when == "refused" else "streaming"))
        assert ended.wait(5), "the source is closed, but whoever reads it still waits"
        reader.join()
        if when == "silent":
            connection.close()
    assert source.status.state == "ended"
    assert not any(thread.name.startswith(("source", "camera-messages")) for thread in threading.enumerate())


def test_what_is_no_stream_at_all_is_only_lost(camera: Camera) -> None:
    camera.pictures = iter([np.random.default_rng(0).bytes(20_000)] * 3)
    with soon(f"http://{camera.address}/video#timeout=1") as source:
        wait_for(lambda: source.status.state == "lost")
        assert source.status.error

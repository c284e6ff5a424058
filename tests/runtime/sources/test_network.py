"""A network camera is decoded in a child process, which may crash, has little memory and asks only the named host."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.sources import named_host
from runtime.sources.camera import CameraSource
from runtime.sources.frames import Frame
from runtime.sources.uri import connector, open_source

av = pytest.importorskip("av")


class Server:
    """A server of a folder that remembers what it was asked for, and redirects the paths in `redirects`."""

    def __init__(self, folder: Path, host: str) -> None:
        self.redirects: dict[str, str] = {}
        self.asked: list[str] = []
        server = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                if self.path in server.redirects:
                    self.send_response(302)
                    self.send_header("Location", server.redirects[self.path])
                    self.end_headers()
                    return
                super().do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((host, 0), partial(Handler, directory=str(folder)))
        self._server.daemon_threads = True
        self.address = f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Server]:
    """The camera that the user named."""
    server = Server(tmp_path, "127.0.0.1")
    yield server
    server.close()


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Server]:
    """Another host, which only this device reaches."""
    server = Server(tmp_path, "127.0.0.2")
    yield server
    server.close()


def soon(uri: str, **options: Any) -> CameraSource:
    return CameraSource(connector(uri), "test", first_wait=0.1, max_wait=0.3, **options)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def lost(uri: str) -> str:
    """Return why a camera is lost."""
    with soon(uri) as source:
        wait_for(lambda: source.status.state == "lost")
        return str(source.status.error)


def first_frames(uri: str, count: int) -> list[Frame]:
    with soon(uri, policy="all") as source:
        stream = iter(source)
        return [next(stream) for _ in range(count)]


def redirecting(server: socket.socket, targets: list[str]) -> None:
    """Answer a connection for each target with a redirect of RTSP."""
    for target in targets:
        connection, _ = server.accept()
        with connection:
            request = connection.recv(4096)
            number = re.search(rb"CSeq: *(\d+)", request)
            head = f"RTSP/1.0 302 Found\r\nCSeq: {number[1].decode() if number else 1}"
            connection.sendall(f"{head}\r\nLocation: {target}\r\n\r\n".encode())
            connection.recv(4096)  # until it is closed


REFUSED = r"it leads to 127\.0\.0\.\d port \d+, another host or port than the named one"


def test_a_redirect_to_another_host_is_not_followed(
    tmp_path: Path, make_video: Callable[..., Path], camera: Server, inside: Server
) -> None:
    make_video(tmp_path / "a.ts", 10)
    camera.redirects["/live.ts"] = f"{inside.address}/a.ts"
    assert re.search(REFUSED, lost(f"{camera.address}/live.ts"))
    assert inside.asked == []


def test_a_redirect_to_another_port_is_not_followed(
    tmp_path: Path, make_video: Callable[..., Path], camera: Server
) -> None:
    make_video(tmp_path / "a.ts", 10)
    other = Server(tmp_path, "127.0.0.1")
    try:
        camera.redirects["/live.ts"] = f"{other.address}/a.ts"
        assert re.search(REFUSED, lost(f"{camera.address}/live.ts"))
        assert other.asked == []
    finally:
        other.close()


@pytest.mark.parametrize("to", ["/a.ts", "{address}/a.ts"])
def test_a_redirect_of_the_host_to_itself_is_followed(
    tmp_path: Path, make_video: Callable[..., Path], camera: Server, to: str
) -> None:
    make_video(tmp_path / "a.ts", 10)
    camera.redirects["/live.ts"] = to.format(address=camera.address)
    assert first_frames(f"{camera.address}/live.ts", 5)[0].size == (64, 48)


def test_a_proxy_of_the_environment_is_not_asked(
    tmp_path: Path,
    make_video: Callable[..., Path],
    camera: Server,
    inside: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_video(tmp_path / "a.ts", 10)
    monkeypatch.setenv("http_proxy", inside.address)
    monkeypatch.delenv("no_proxy", raising=False)
    assert first_frames(f"{camera.address}/a.ts", 1)
    assert inside.asked == []


def playlist(*segments: str) -> str:
    return "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:1", *(f"#EXTINF:1,\n{one}" for one in segments), ""])


def test_segments_of_the_named_host_are_played(
    tmp_path: Path, make_video: Callable[..., Path], camera: Server
) -> None:
    make_video(tmp_path / "a.ts", 25)
    (tmp_path / "live.m3u8").write_text(playlist("a.ts", f"{camera.address}/a.ts") + "#EXT-X-ENDLIST\n")
    assert len(first_frames(f"{camera.address}/live.m3u8", 10)) == 10


@pytest.mark.parametrize("how", ["segment", "redirect", "playlist", "key", "file"])
def test_a_playlist_leads_to_no_other_host_and_to_no_file(
    tmp_path: Path, make_video: Callable[..., Path], camera: Server, inside: Server, how: str
) -> None:
    secret = make_video(tmp_path / "secret.ts", 25)
    camera.redirects["/moved.ts"] = f"{inside.address}/secret.ts"
    segments = {
        "segment": f"{inside.address}/secret.ts", "redirect": "moved.ts", "file": f"file://{secret}",
        "key": "secret.ts", "playlist": "",
    }  # fmt: skip
    text = playlist(segments[how])
    if how == "key":
        text = text.replace("#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{inside.address}/key"\n#EXTINF', 1)
    if how == "playlist":
        text = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\n{inside.address}/live.m3u8\n"
    (tmp_path / "live.m3u8").write_text(text)
    with soon(f"{camera.address}/live.m3u8#timeout=5") as source:
        wait_for(lambda: source.status.state == "lost")
        assert how == "file" or re.search(REFUSED, str(source.status.error))
    assert inside.asked == []


def test_a_redirect_of_rtsp_is_followed_at_the_named_host_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.2", 0)) as other:
        named = f"rtsp://127.0.0.1:{server.getsockname()[1]}"
        targets = [f"{named}/moved", f"rtsp://127.0.0.2:{other.getsockname()[1]}/live"]
        thread = threading.Thread(target=redirecting, args=(server, targets))
        thread.start()
        assert re.search(REFUSED, lost(f"{named}/live#timeout=20"))
        thread.join(60)
        assert not thread.is_alive(), "the first redirect was not followed"
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()


LOST = "fe80::99"


@pytest.mark.parametrize(
    ("host", "answers", "asked"),
    [
        ("[fe80::1%eth0]", [["fe80::1"]], ["fe80::1%eth0", "fe80::1"]),
        ("camera", [["10.0.0.5"], ["10.0.0.6"], ["10.0.0.7"]], ["10.0.0.5", "10.0.0.6", "10.0.0.5"]),
        ("camera", [["10.0.0.5", "fe80::1"]], ["fe80::1%3", "10.0.0.5"]),
    ],
)
def test_every_address_that_the_name_has_had_is_the_named_host(
    monkeypatch: pytest.MonkeyPatch, host: str, answers: list[list[str]], asked: list[str]
) -> None:
    refused: list[str] = []
    given = iter(answers)
    monkeypatch.setattr(named_host, "fail", refused.append)
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **__: [(0, 0, 0, "", (address, 0)) for address in next(given, answers[-1])],
    )
    handler = named_host.NamedHost(f"rtsp://{host}/live")

    def ask(address: str) -> None:
        message = f"Starting connection attempt to {address} port 554"
        handler.emit(logging.LogRecord("libav", logging.INFO, "", 0, message, None, None))

    for address in asked:
        ask(address)
    assert refused == []
    ask(LOST)
    assert len(refused) == 1


COLOURS = {
    "limited.ts": ("libx264", "yuv420p", {"colorprim": "bt709"}, 1, 1),
    "full.ts": ("libx264", "yuvj420p", {}, 2, 1),
    "old.ts": ("libx264", "yuv420p", {}, 1, 5),
    "half.ts": ("libx264", "yuv422p", {}, 1, 1),
    "ten.ts": ("libx265", "yuv420p10le", {}, 1, 1),
    "jpeg.avi": ("mjpeg", "yuvj422p", {}, 2, 5),
}


def write_colours(path: Path, size: tuple[int, int]) -> None:
    codec, form, _, span, space = COLOURS[path.name]
    noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt, stream.gop_size = form, 5
        stream.codec_context.color_range, stream.codec_context.colorspace = span, space
        for _ in range(12):
            picture = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format=form)
            picture.color_range, picture.colorspace = span, space
            for packet in stream.encode(picture):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("size", [(64, 48), (130, 98)])
def test_pictures_from_the_network_are_those_of_the_file_to_the_last_bit(
    tmp_path: Path, camera: Server, name: str, size: tuple[int, int]
) -> None:
    write_colours(tmp_path / name, size)
    with open_source(str(tmp_path / name)) as source:
        wanted = [frame.image for frame in source][:8]
    found = [frame.image for frame in first_frames(f"{camera.address}/{name}", 8)]
    for one, other in zip(wanted, found, strict=True):
        assert one is not None
        assert other is not None
        np.testing.assert_array_equal(one, other)


def test_a_turned_video_is_turned_from_the_network_too(
    tmp_path: Path, make_video: Callable[..., Path], camera: Server
) -> None:
    make_video(tmp_path / "a.mp4", 10, turn=90, options={"movflags": "faststart"})
    with open_source(str(tmp_path / "a.mp4")) as source:
        (wanted,) = [frame.image for frame in source][:1]
    (found,) = first_frames(f"{camera.address}/a.mp4", 1)
    assert wanted is not None
    assert found.image is not None
    assert found.size == (48, 64)
    np.testing.assert_array_equal(wanted, found.image)


def child(source: CameraSource) -> int:
    """Return the number of the process that decodes a camera."""
    assert source._connection is not None
    return int(source._connection._child._process.pid)  # type: ignore[attr-defined]


def test_a_decoder_that_crashes_is_a_lost_camera_that_comes_back(
    tmp_path: Path, make_video: Callable[..., Path], camera: Server
) -> None:
    make_video(tmp_path / "a.ts", 500)
    with soon(f"{camera.address}/a.ts") as source:
        stream = iter(source)
        next(stream)
        first = child(source)
        os.kill(first, signal.SIGSEGV)
        wait_for(lambda: "SIGSEGV" in str(source.status.error))
        wait_for(lambda: source.status.reconnects == 1)
        assert next(stream).size == (64, 48)
        assert child(source) != first


def test_the_decoder_has_little_memory_and_is_the_first_to_go(
    tmp_path: Path, make_video: Callable[..., Path], camera: Server
) -> None:
    make_video(tmp_path / "a.ts", 500)
    with soon(f"{camera.address}/a.ts") as source:
        next(iter(source))
        process = Path(f"/proc/{child(source)}")
        limits = (process / "limits").read_text()
        assert re.search(rf"Max data size +{2 << 30} ", limits)
        assert re.search(r"Max core file size +0 ", limits)
        assert int((process / "oom_score_adj").read_text()) == 1000


def jpeg(path: Path, size: tuple[int, int]) -> None:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
    packets = [*encoder.encode(av.VideoFrame(*size, "yuvj420p")), *encoder.encode()]
    path.write_bytes(b"".join(map(bytes, packets)))


def test_a_picture_that_is_too_large_is_refused(tmp_path: Path, camera: Server) -> None:
    jpeg(tmp_path / "usual.jpg", (640, 480))
    jpeg(tmp_path / "large.jpg", (8400, 8000))
    assert first_frames(f"{camera.address}/usual.jpg", 1)[0].size == (640, 480)
    assert lost(f"{camera.address}/usual.jpg") == "the stream ended"
    assert "more than 67 megapixels" in lost(f"{camera.address}/large.jpg")


def test_a_codec_that_no_camera_sends_is_not_decoded(tmp_path: Path, camera: Server) -> None:
    with av.open(str(tmp_path / "odd.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for packet in [*stream.encode(av.VideoFrame(64, 48, "yuv420p")), *stream.encode()]:
            container.mux(packet)
    assert "video format ffv1 is not read" in lost(f"{camera.address}/odd.mkv")


def test_the_receiver_imports_nothing_from_the_working_directory(
    tmp_path: Path, make_video: Callable[..., Path], camera: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video(tmp_path / "a.ts", 50)
    hostile = tmp_path / "hostile"
    (hostile / "runtime").mkdir(parents=True)
    for name in ("runtime/__init__.py", "av.py", "json.py", "linecache.py"):
        (hostile / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit(9)\n")
    monkeypatch.chdir(hostile)
    monkeypatch.syspath_prepend("")
    assert first_frames(f"{camera.address}/a.ts", 1)
    assert not (tmp_path / "ran").exists()

"""A local file is a file whatever it is called, leads nowhere else, and has pictures that fit into memory."""

from __future__ import annotations

import logging
import struct
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from daflow.core.errors import InputError
from daflow.core.programs import python_code
from runtime.outputs.annotated_video import AnnotatedVideo
from runtime.pipeline.results import FrameResult
from runtime.sources.containers import MAX_PIXELS, open_file
from runtime.sources.images import ImagesSource
from runtime.sources.uri import open_source
from runtime.sources.video import VideoSource

av = pytest.importorskip("av")


class Listener:
    """A server that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

            do_POST = do_PUT = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    thread = threading.Thread(target=listener.server.serve_forever, args=(0.05,))
    thread.start()
    yield listener
    listener.server.shutdown()
    thread.join()
    listener.server.server_close()


def png(path: Path, width: int, height: int) -> Path:
    """Write a black PNG, a few hundred kilobytes at most."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    pack = zlib.compressobj(1)
    row = bytes(1 + 3 * width)
    content = b"".join(pack.compress(row) for _ in range(height)) + pack.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", content) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("protocol", ["http:", "concat:", "data:", "subfile:", "pipe:"])
def test_a_folder_that_is_called_as_a_protocol_is_read_as_files(
    tmp_path: Path,
    make_video: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    listener: Listener,
    make_result: Callable[..., FrameResult],
    protocol: str,
) -> None:
    folder = tmp_path / protocol / listener.host
    folder.mkdir(parents=True)
    make_video(folder / "a.mp4", 5)
    (folder / "pictures").mkdir()
    png(folder / "pictures/1.png", 64, 48)
    monkeypatch.chdir(tmp_path)
    # av.open of the same name asks the network, or is no file at all.
    name = Path(protocol) / listener.host
    with open_file(name / "a.mp4") as container:
        assert sum(1 for _ in container.decode(video=0)) == 5
    with VideoSource(name / "a.mp4") as source:
        assert len(list(source)) == 5
    with ImagesSource(name / "pictures") as source:
        assert len(list(source)) == 1
    with AnnotatedVideo(name / "out.mp4", 25) as written:
        written(make_result(0))
    assert (folder / "out.mp4").exists()
    assert listener.asked == []


def playlists(host: str, other: Path) -> dict[str, str]:
    return {
        "hls.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://{host}/a.ts\n#EXT-X-ENDLIST\n",
        "other.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile {other.name}\n",
        "sdp.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
        "dash.mp4": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><BaseURL>http://{host}'
        "/</BaseURL></MPD>",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["hls.m3u8", "other.m3u8", "concat.mp4", "sdp.mp4", "dash.mp4"])
def test_a_playlist_leads_neither_to_the_network_nor_to_other_files(
    tmp_path: Path, make_video: Callable[..., Path], listener: Listener, name: str
) -> None:
    other = make_video(tmp_path / "other.ts", 5)
    (tmp_path / name).write_text(playlists(listener.host, other)[name])
    with pytest.raises(InputError, match="is not a video that can be read"):
        open_source(str(tmp_path / name))
    assert listener.asked == []


def test_a_picture_whose_name_has_a_percent_sign_is_that_picture(tmp_path: Path) -> None:
    png(tmp_path / "a%d.png", 64, 48)
    png(tmp_path / "a1.png", 32, 24)
    with open_source(str(tmp_path)) as source:
        assert {frame.size for frame in source} == {(64, 48), (32, 24)}


def test_a_picture_that_is_too_large_is_skipped_before_it_takes_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    png(tmp_path / "1.png", 64, 48)
    png(tmp_path / "2.png", 16000, 16000)
    png(tmp_path / "3.png", 64, 48)
    with caplog.at_level(logging.WARNING), open_source(str(tmp_path)) as source:
        assert [frame.index for frame in source] == [0, 2]
    assert source.status.dropped == 1
    assert "2.png is skipped" in caplog.text
    assert "67 megapixels" in caplog.text
    code = (
        f"from runtime.sources.uri import open_source\nwith open_source({str(tmp_path)!r}) as s: list(s)\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )  # `ru_maxrss` would count this process, which starts it
    ran = subprocess.run(python_code(code), capture_output=True, text=True, check=True)
    assert int(ran.stdout) * 1024 < 400e6, "the picture alone takes 768 MB"


@pytest.mark.parametrize(("name", "codec"), [("large.mp4", "libx264"), ("large.avi", "mjpeg")])
def test_a_video_that_is_too_large_is_refused_and_says_so(tmp_path: Path, name: str, codec: str) -> None:
    size = 8400, 8000
    assert size[0] * size[1] > MAX_PIXELS
    with av.open(str(tmp_path / name), "w") as container:
        options = {"preset": "ultrafast"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p" if codec == "libx264" else "yuvj420p"
        for packet in [*stream.encode(av.VideoFrame(*size, stream.pix_fmt)), *stream.encode()]:
            container.mux(packet)
    with open_source(str(tmp_path / name)) as source, pytest.raises(InputError, match="67 megapixels"):
        list(source)

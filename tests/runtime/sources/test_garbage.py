"""Whatever a camera sends, the source goes on and nobody sees a traceback."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator

import pytest

from runtime.sources.camera import CameraSource
from runtime.sources.uri import connector

_ATTEMPTS = 12


class Liar:
    """A server that answers each connection with something else."""

    def __init__(self, scheme: str) -> None:
        self._random = random.Random(7)  # noqa: S311
        self._scheme = scheme
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.answered = 0
        self.enough = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    connection.recv(4096)
                    connection.sendall(self._answer())
                except OSError:
                    pass
            self.answered += 1
            if self.answered >= _ATTEMPTS:
                self.enough.set()

    def _answer(self) -> bytes:
        noise = self._random.randbytes(self._random.randrange(0, 4000))
        lines = [
            b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n--b\r\n"
            b"Content-Type: image/jpeg\r\n\r\n\xff\xd8\xff\xe0",
            b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n\x47",
            b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n#EXTM3U\n#EXTINF:1,\n",
            b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: DESCRIBE, SETUP, PLAY\r\n\r\n",
            b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Type: application/sdp\r\nContent-Length: 99999\r\n\r\nv=0\r\n",
            b"",
        ]
        return self._random.choice(lines) + noise

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


@pytest.fixture(params=["rtsp", "http"])
def liar(request: pytest.FixtureRequest) -> Iterator[tuple[str, Liar]]:
    server = Liar(request.param)
    yield f"{request.param}://admin:open-sesame@127.0.0.1:{server.port}/live#timeout=2", server
    server.close()


def test_a_camera_that_sends_nonsense_is_lost_and_tried_again(
    liar: tuple[str, Liar], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    uri, server = liar
    frames, failures = [], []
    source = CameraSource(connector(uri), "camera", first_wait=0.01, max_wait=0.02)

    def read() -> None:
        try:
            frames.extend(frame.size for frame in source)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    with source:
        reader = threading.Thread(target=read)
        reader.start()
        assert server.enough.wait(60)
        assert source.status.state in ("lost", "connecting", "streaming")
    reader.join(10)
    assert failures == []
    shown = caplog.text + "".join(capfd.readouterr())
    assert "Traceback" not in shown
    assert "open-sesame" not in shown

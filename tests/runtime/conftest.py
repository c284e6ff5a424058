"""A real bundle, real small videos, and what the edge's parts pass to each other, made by hand."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.bundle import Bundle, Manifest, read_bundle, write_manifest
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.windows import LENGTH, MAX_MISSING, make_windows
from daflow.core.evidence import Scored
from daflow.core.files import sha256
from runtime.pipeline.results import FrameResult, Person
from runtime.sources.frames import Frame, Keypoints

# Child processes of the tests share the cores with the workers.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def bundle(build_once: Callable[[str, Callable[[Path], None]], Path]) -> Bundle:
    """A bundle as export and calibration write it; the model is initialised on walkers and not trained."""
    return read_bundle(build_once("runtime-bundle", _write_bundle))


def _write_bundle(folder: Path) -> None:
    import torch

    from daflow.model.flow import DAFlow
    from export.folded_flow import FoldedFlow
    from export.onnx_graph import export_onnx

    walkers, _ = generate_clip("walkers", seed=1, scene=Scene(frames=150))
    windows = make_windows([walkers]).poses
    torch.manual_seed(0)
    model = DAFlow().eval()
    model.initialise(torch.from_numpy(windows))
    with torch.no_grad():
        threshold = float(model.nll(torch.from_numpy(windows)).max())
    graph = "scorer.fp32.onnx"
    export_onnx(FoldedFlow(model), LENGTH, folder / graph)
    manifest = Manifest(
        daflow="test",
        created="2024-01-01T00:00:00+00:00",
        model=model.config.as_dict(),
        parameters=488,
        window=LENGTH,
        max_missing=MAX_MISSING,
        fps=25.0,
        precisions={"fp32": graph},
        files={graph: sha256(folder / graph)},
        alarm=AlarmCalibration(threshold=threshold, quantile=1.0, windows=len(windows), precision="fp32"),
    )
    write_manifest(folder, manifest)


@pytest.fixture(scope="session")
def pose_model(shared: Path) -> Path:
    """A MediaPipe pose model."""
    path = shared / "models" / "pose_landmarker_lite.task"
    if not path.is_file():
        pytest.skip("the pose model is not here")
    return path


@pytest.fixture(scope="session")
def squats(shared: Path) -> Path:
    """A video of one person who exercises, 720x1280, 65 frames."""
    path = shared / "data" / "video" / "tfjs_pose_squats.mp4"
    if not path.is_file():
        pytest.skip("the video is not here")
    return path


@pytest.fixture
def make_result() -> Callable[..., FrameResult]:
    """Return a function that makes the result of a frame with one person."""
    skeleton = np.zeros((18, 3), dtype=np.float32)
    skeleton[:, 0], skeleton[:, 1], skeleton[:, 2] = np.linspace(80, 120, 18), np.linspace(60, 180, 18), 0.9

    def make(
        index: int,
        score: float | None = None,
        size: tuple[int, int] = (320, 240),
        **fields: Any,
    ) -> FrameResult:
        person = Person(7, skeleton, score, smoothed=score)
        worst = None if score is None else person
        frame = Frame(index, index / 25, size, fields.pop("image", None))
        fields = {"alarm": False, "change": None, "threshold": 5.0, **fields}
        return FrameResult(frame, (person,), worst, **fields)

    return make


@pytest.fixture
def read_video() -> Callable[[Path], list[npt.NDArray[np.uint8]]]:
    """Return a function that decodes every picture of a video, RGB."""
    import av

    def read(path: Path) -> list[npt.NDArray[np.uint8]]:
        with av.open(str(path)) as container:
            return [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]

    return read


@pytest.fixture
def record_video() -> Callable[..., Path]:
    """Return a function that writes an MP4 of noise."""
    import av

    def record(
        path: Path,
        frames: int = 50,
        codec: str = "libx264",
        options: Mapping[str, str] | None = None,
        fps: int = 25,
    ) -> Path:
        pictures = np.random.default_rng(0).integers(0, 255, (frames, 48, 64, 3), dtype=np.uint8)
        with av.open(str(path), "w", format="mp4", options=dict(options or {})) as container:
            stream = container.add_stream(codec, rate=fps)
            stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 5
            for picture in pictures:
                for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
        return path

    return record


@pytest.fixture
def start_edge(bundle: Bundle) -> Callable[..., subprocess.Popen[str]]:
    """Return a function that starts `daflow-edge` on the bundle in a process of its own."""

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "runtime.cli", "--bundle", str(bundle.folder), *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


class FakeScorer:
    """A scorer that gives each window the mean of its first channel, and remembers what it was given."""

    name = "fake"

    def __init__(self, scores: Sequence[float] | None = None) -> None:
        self.calls: list[npt.NDArray[np.float32]] = []
        self._scores = scores

    def score(self, poses: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self.calls.append(poses)
        if self._scores is not None:
            return np.array(self._scores[: len(poses)], dtype=np.float32)
        return poses[:, 0, -1].mean(axis=1)

    def judge(self, poses: npt.NDArray[np.float32]) -> Scored:
        return Scored(self.score(poses))

    def __enter__(self) -> FakeScorer:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def fake_scorer() -> type[FakeScorer]:
    """The class of scorers that need no model."""
    return FakeScorer


@pytest.fixture
def walking() -> Callable[[int], Keypoints]:
    """Return a function that gives the COCO keypoints `(17, 3)` of a walker in a frame."""
    clip, _ = generate_clip("walker", seed=5, scene=Scene(frames=200, people=1, missed_poses=0))
    (track,) = clip.tracks
    return lambda frame: track.keypoints[frame]


class RtspServer:
    """GStreamer's RTSP server in a process of its own, which can be killed and started again on the same port."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"rtsp://127.0.0.1:{self.port}/live"
        self._process: subprocess.Popen[str] | None = None

    def start(
        self, pattern: str = "ball", size: tuple[int, int] = (320, 240), account: Sequence[str] = ()
    ) -> None:
        """Serve a test picture at 25 frames a second, to the user and password in `account` only if given."""
        caps = f"video/x-raw,width={size[0]},height={size[1]},framerate=25/1"
        self.serve(f"videotestsrc is-live=true pattern={pattern} ! {caps}", account)

    def serve(self, pipeline: str, account: Sequence[str] = ()) -> None:
        """Serve a pipeline that ends in raw video."""
        program = [_SYSTEM_PYTHON, str(Path(__file__).with_name("rtsp_server.py")), str(self.port), pipeline]
        self._process = subprocess.Popen([*program, *account], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """End it without a word to its clients."""
        if self._process is not None:
            assert self._process.stdout is not None
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process = None


_SYSTEM_PYTHON = "/usr/bin/python3"
_RTSP_PARTS = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@pytest.fixture
def rtsp_server() -> Iterator[RtspServer]:
    """An RTSP server that is not started yet."""
    if shutil.which(_SYSTEM_PYTHON) is None or shutil.which("gst-inspect-1.0") is None:
        pytest.skip("GStreamer or the system's Python is not here")
    checks = [[_SYSTEM_PYTHON, "-c", _RTSP_PARTS], ["gst-inspect-1.0", "--exists", "x264enc"]]
    if any(subprocess.run(check, capture_output=True, check=False).returncode for check in checks):
        pytest.skip("GStreamer's RTSP server (gir1.2-gst-rtsp-server-1.0, python3-gi) or x264enc is not here")
    server = RtspServer()
    yield server
    server.kill()


class Broker:
    """A real mosquitto on a free port of the loopback; it may be stopped and started again, and keeps its port."""

    def __init__(self, folder: Path, password: str | None = None, tls: bool = False) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.ca = folder / "ca.pem"
        self._config = folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'false' if password else 'true'}",
            "user root",
        ]
        if password:
            words = ["mosquitto_passwd", "-b", "-c", str(folder / "passwords"), "daflow", password]
            subprocess.run(words, check=True, capture_output=True)
            lines.append(f"password_file {folder / 'passwords'}")
        if tls:
            self._make_certificate(folder)
            lines += [f"certfile {folder / 'server.pem'}", f"keyfile {folder / 'server.key'}"]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(
            [shutil.which("mosquitto") or "", "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while True:
            assert self._process.poll() is None, "mosquitto did not start"
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "mosquitto does not listen"
                time.sleep(0.02)

    def stop(self) -> None:
        """Stop it as a power cut does: it keeps nothing."""
        if self._process:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self, signals: signal.Signals = signal.SIGSTOP) -> None:
        """Stop it from answering while its connections stay; SIGCONT ends that."""
        assert self._process is not None
        self._process.send_signal(signals)

    @staticmethod
    def _make_certificate(folder: Path) -> None:
        def openssl(*words: object) -> None:
            command = ["openssl", *map(str, words)]
            subprocess.run(command, check=True, capture_output=True, cwd=folder)

        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl(
            "req",
            "-x509",
            *key,
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-subj",
            "/CN=test authority",
            "-days",
            2,
        )
        openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl(
            *("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-out", "server.pem", "-days", 2, "-extfile", "names"),
        )


@pytest.fixture
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Broker]]:
    """Return a function that starts a real MQTT broker, with `password` (of the user daflow) and `tls` as asked."""
    if not shutil.which("mosquitto") or not shutil.which("mosquitto_passwd"):
        pytest.skip("mosquitto is not installed")
    brokers: list[Broker] = []

    def start(password: str | None = None, tls: bool = False) -> Broker:
        brokers.append(Broker(tmp_path_factory.mktemp("mosquitto"), password, tls))
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.stop()


class DrippingServer:
    """Accepts connections, sends `at_once`, then `drip` again and again, for ever; an empty `drip` says nothing."""

    def __init__(self, at_once: bytes = b"", drip: bytes = b"a") -> None:
        self._at_once, self._drip = at_once, drip
        self.connections = 0
        self.hung_up = threading.Event()
        """Whether a client has closed its connection."""
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(0.02)
            connection.sendall(self._at_once)
            received = b"?"
            while received and not self._ended.is_set():
                with contextlib.suppress(TimeoutError):
                    received = connection.recv(100_000)
                connection.sendall(self._drip)
        self.hung_up.set()

    def close(self) -> None:
        """End every connection."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def dripping_server() -> Iterator[Callable[..., DrippingServer]]:
    """Return a function that starts a server which never comes to an end of what it says."""
    servers: list[DrippingServer] = []

    def start(at_once: bytes = b"", drip: bytes = b"a") -> DrippingServer:
        servers.append(DrippingServer(at_once, drip))
        return servers[-1]

    yield start
    for server in servers:
        server.close()

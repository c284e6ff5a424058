"""Generated people, real alarms in a real store, the real server, and a real browser."""

from __future__ import annotations

import http.client
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pytest

from daflow.core.alarms.reasons import Reason
from daflow.core.alarms.zones import Zone
from daflow.core.data.skeleton import to_openpose
from daflow.core.data.synthetic import Scene, SceneEvent, generate_clip
from runtime.config.drawn_zones import DrawnZones
from runtime.config.schema import Config
from runtime.config.serve_options import ServeOptions
from runtime.events.arming import Arming
from runtime.events.labels import AlarmLabels
from runtime.events.message import EventMessage, Kind
from runtime.events.store import EventStore
from runtime.pipeline.results import FrameResult, Person
from runtime.replays.skeletons import AlarmSkeletons, RecordedFrame, RecordedPerson, encode
from runtime.sources.frames import Frame
from runtime.web.live_state import LiveState
from runtime.web.server import RunningServer, serve

THRESHOLD = 5.0
WITH_VIEWERS = {"viewer_token_env": "VIEWER_TOKEN"}
SIZE = (1280, 720)


def iso(utc: float) -> str:
    return datetime.fromtimestamp(utc, timezone.utc).isoformat(timespec="milliseconds")


@cache
def generated_poses(seed: int, people: int, event: SceneEvent | None) -> dict[int, dict[int, Any]]:
    """Poses `(18, 3)` by frame and person."""
    clip, _ = generate_clip("clip", seed, Scene(frames=1200, people=people, event=event, frame_size=SIZE))
    poses: dict[int, dict[int, Any]] = {}
    for track in clip.tracks:
        for frame, keypoints in zip(track.frames, to_openpose(track.keypoints), strict=True):
            poses.setdefault(int(frame), {})[track.person] = keypoints
    return poses


@dataclass
class World:
    """A service that is made up: generated people go through the sink, and its health is what the test says."""

    live: LiveState
    store: EventStore
    cameras: dict[str, dict[str, Any]] = field(default_factory=dict)
    ready: bool = True
    problems: list[str] = field(default_factory=list)
    hang: Callable[[], None] = lambda: None
    reasons: tuple[Reason, ...] = ()
    """What raised the score of the first person."""
    arming: Arming | None = None
    drawn: DrawnZones | None = None
    """Where zones that are drawn are kept; without it none can be."""
    _clips: dict[str, Any] = field(default_factory=dict)
    _alarms: int = 0

    def add(self, camera: str, seed: int, people: int = 2, event: SceneEvent | None = None) -> None:
        """Add a camera that sees generated people."""
        self._clips[camera] = generated_poses(seed, people, event)
        self.cameras[camera] = {
            "state": "streaming", "since_utc": iso(time.time() - 5000), "source": f"rtsp://10.0.0.2/{camera}",
            "error": None, "fps": 24.9, "frames": 120_000, "dropped": 3, "reconnects": 1, "restarts": 0,
            "people": people, "score": 2.0, "p_value": 0.2, "alarm": False, "alarms": 2, "unusable": 0, "hidden": 0,
            "threshold": THRESHOLD, "drift": "fits",
        }  # fmt: skip

    def show(
        self,
        camera: str,
        frame: int,
        score: float | None = 2.0,
        p_value: float | None = 0.2,
        utc: float | None = None,
        image: npt.NDArray[np.uint8] | None = None,
        people: bool = True,
        beyond_normal: bool = False,
        ignored: bool = False,
    ) -> FrameResult:
        """Let a camera see its frame; the first person there has the score, the others a low one."""
        found = self._clips[camera].get(frame, {}) if people else {}
        persons = tuple(
            Person(
                person,
                keypoints,
                None if ignored else score,
                None if ignored else score if index == 0 else 1.5,
                p_value if index == 0 else 0.6,
                self._window(camera, person, frame),
                beyond_normal and index == 0,
                self.reasons if index == 0 else (),
                ignored=ignored,
            )
            for index, (person, keypoints) in enumerate(found.items())
        )
        worst = persons[0] if persons and score is not None and not ignored else None
        alarm = worst is not None and score is not None and score > THRESHOLD
        now = time.time() if utc is None else utc
        shown = Frame(frame, frame / 25, SIZE, image, utc=now)
        result = FrameResult(shown, persons, worst, alarm, None, camera, THRESHOLD)
        self.live(result)
        return result

    def _window(self, camera: str, person: int, frame: int) -> npt.NDArray[np.float32]:
        poses = [self._clips[camera].get(f, {}).get(person) for f in range(frame - 23, frame + 1)]
        return np.stack([pose[:, :2].T for pose in poses if pose is not None], axis=1)

    def alarm(
        self,
        camera: str,
        frame: int = 400,
        ago: float = 0.0,
        seconds: float = 4.2,
        kinds: tuple[Kind, ...] = ("begin", "end"),
        id_: str | None = None,
        began: float | None = None,
    ) -> str:
        """Store an alarm, its peak the poses that end at a frame; return its id."""
        self._alarms += 1
        id_ = id_ or f"{self._alarms:032x}"
        poses = self._clips[camera]
        frame = min((f for f in poses if f >= 60), key=lambda each: abs(each - frame))
        person = next(iter(poses[frame]))
        window = [poses[f][person][:, :2] for f in range(frame - 60, frame + 1) if person in poses.get(f, {})]
        for kind in kinds:
            sequence = 0 if kind == "begin" else 1
            began = time.time() - ago if began is None else began
            utc = began + (seconds if sequence else 0)
            content = {
                "schema": 1, "id": id_, "sequence": sequence, "event": kind, "camera": camera, "utc": iso(utc),
                "began_utc": iso(began), "time": 20.0, "began": 16.0, "frame": frame, "seconds": seconds * sequence,
                "person": person, "score": 6.1, "p_value": 0.0005, "threshold": THRESHOLD, "people": [],
                "peak": {
                    "utc": iso(utc), "time": 16.2, "person": person, "score": 7.25, "p_value": 0.0004973,
                    "why": "a posture as in 1 in 900 normal windows",
                    "frame_size": list(SIZE), "skeletons": np.round(window[-24:], 1).tolist(),
                },
                "model": {"bundle": "8f14e45fceea167a", "scorer": "onnxruntime fp32", "daflow": "0.5.0"},
            }  # fmt: skip
            self.store.append(EventMessage(id_, sequence, kind, camera, utc, json.loads(json.dumps(content))))
        return id_

    def record(
        self, id_: str, camera: str, frame: int = 400, people: int = 99, outline: bytes | None = None
    ) -> None:
        """Store the skeletons around an alarm that began at a frame and lasted for 3 s, with its peak after 1 s."""
        poses = self._clips[camera]
        frame = min((f for f in poses if f >= 150), key=lambda each: abs(each - frame))
        raiser = next(iter(poses[frame]))
        scale = np.array([1 / SIZE[0], 1 / SIZE[1], 1], dtype=np.float32)

        def person(number: int, keypoints: Any, time: float) -> RecordedPerson:
            high = number == raiser and 0 <= time < 3
            return RecordedPerson(number, 7.25 if high else 2.0, (keypoints * scale).astype(np.float32))

        frames = tuple(
            RecordedFrame(
                (f - frame) / 25,
                tuple(person(n, p, (f - frame) / 25) for n, p in list(poses.get(f, {}).items())[:people]),
            )
            for f in range(frame - 125, frame + 200, 5)
        )
        skeletons = AlarmSkeletons(
            id=id_, camera=camera, began_utc=time.time(), frame_size=SIZE, threshold=THRESHOLD, unit="bits",
            peak=1.0, seconds=3.0, complete=True, raised=frozenset({raiser}), frames=frames, outline=outline,
        )  # fmt: skip
        self.store.put_replay(id_, "skeletons", encode(skeletons))

    def health(self) -> dict[str, Any]:
        """The snapshot."""
        self.hang()
        figures = {
            "capture": 3.1,
            "pose": 16.4,
            "track": 0.4,
            "window": 0.2,
            "score": 0.9,
            "alarm": 0.1,
            "delay": 24.0,
        }
        mqtt = {
            "state": "waiting",
            "pending": 14,
            "delivered": 90,
            "failures": 3,
            "last_error": "connection refused",
        }
        return {
            "ready": self.ready, "problems": self.problems, "started_utc": iso(time.time() - 93_600),
            "uptime_s": 93_600.0, "version": "0.5.0", "scorer": "onnxruntime fp32",
            "bundle": {"path": "bundle", "hash": "8f14e45fceea167a5a36dedd4bea2543", "fps": 25.0},
            "temperature_c": 51.5, "memory_mb": 412.0, "cameras": self.cameras,
            "stages": {
                name: {"p50_ms": ms, "p90_ms": ms * 1.3, "p99_ms": ms * 2.1, "count": 1000,
                       "sum_s": ms, "buckets": [[0.005, 400], [0.025, 900], [0.1, 1000]]}
                for name, ms in figures.items()
            },
            "queue": {"length": 1, "capacity": 64},
            "events": {
                "stored": 104, "waiting": 0, "lost": 0,
                "deliveries": {
                    "mqtt": mqtt,
                    "file": {"state": "idle", "pending": 0, "delivered": 104, "failures": 0, "last_error": None},
                },
            },
        }  # fmt: skip

    def save_zones(self, camera: str, zones: dict[str, Zone]) -> None:
        """Keep zones, and show them in the health, as the service does."""
        facts = self.cameras[camera]
        (self.drawn or DrawnZones(None)).save(camera, zones)
        facts["zones"] = {name: zone.model_dump(mode="json") for name, zone in zones.items()}

    def serve(self, privacy: Any = "skeletons", guarded_by: str | None = None, **options: Any) -> Any:
        """Serve it on a free port of this machine."""
        options = {"address": "127.0.0.1:0", "token_env": guarded_by, **options}
        said = self.arming, AlarmLabels(self.store), self.save_zones
        return serve(ServeOptions(**options), self.live, self.store, self.health, privacy, *said)


@pytest.fixture(scope="module")
def new_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], World]]:
    """Return a function that makes a world without cameras."""
    with ExitStack() as stack:

        def make() -> World:
            folder = tmp_path_factory.mktemp("world")
            return World(LiveState(), stack.enter_context(EventStore(folder / "events.sqlite")))

        yield make


@pytest.fixture
def world(new_world: Callable[[], World]) -> World:
    """A world with one camera."""
    made = new_world()
    made.add("entrance", seed=1)
    return made


@pytest.fixture
def served(world: World) -> Iterator[RunningServer]:
    """The server of that world."""
    with world.serve() as running:
        yield running


@pytest.fixture(scope="session")
def new_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a headless Chromium of a given width and height."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if not all(programs):
        pytest.skip("chromium and chromedriver are not here")
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    opened = []

    def open_browser(width: int = 1440, height: int = 1000) -> Any:
        options = Options()
        options.binary_location = str(programs[0])
        folder = tmp_path_factory.mktemp("browser")
        for flag in (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={folder}", f"--window-size={width},{height}",
        ):  # fmt: skip
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        opened.append(webdriver.Chrome(options, Service(str(programs[1]))))
        return opened[-1]

    yield open_browser
    for browser in opened:
        browser.quit()


@pytest.fixture(scope="session")
def page(new_browser: Callable[..., Any]) -> Any:
    """A browser for the tests of a worker: to start one takes seconds."""
    from .browser import Page

    return Page(new_browser())


@pytest.fixture(autouse=True)
def _as_new(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let each test begin with the page as it is opened, and leave nothing that asks the server again and again."""
    if "page" not in request.fixturenames:
        yield
        return
    page = request.getfixturevalue("page")
    page.wide(1440)
    page.media()
    page.browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    page.errors()
    yield
    page.open("about:blank")


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    """The token in the environment variable PAGE_TOKEN; guesses of it wait only shortly."""
    monkeypatch.setattr("runtime.web.token_throttle._PAUSE", 0.1)
    monkeypatch.setenv("PAGE_TOKEN", "correct horse battery")
    return "correct horse battery"


@pytest.fixture
def viewer_token(token: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The viewers' token in the environment variable VIEWER_TOKEN, beside the operator's."""
    monkeypatch.setenv("VIEWER_TOKEN", "only looking around")
    return "only looking around"


def arm_all(world: World, **cameras: dict[str, Any]) -> Arming:
    """Let the cameras of a world be armed and disarmed; those with options have a schedule."""
    options = {name: {"source": "0", **cameras.get(name, {})} for name in world.cameras}
    world.arming = Arming(world.store, Config.model_validate({"bundle": "b", "cameras": options}))
    return world.arming


def fetch(url: str, path: str = "", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """Get an address; return the status, the body and the headers in lower case. Redirects are not followed."""
    from urllib3 import PoolManager

    with PoolManager() as pool:
        answer = pool.request(
            "GET",
            url.rstrip("/") + "/" + path.lstrip("/"),
            headers=headers,
            redirect=False,
            retries=False,
            timeout=10,
        )
        return answer.status, answer.data, {k.lower(): v for k, v in answer.headers.items()}


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until something is true, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"did not come true within {seconds} s")


def log_in(url: str, token: str, **headers: str) -> http.client.HTTPResponse:
    """Send the form of the login; return the answer, its body read."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    connection.request("POST", address.path + "login", "token=" + token.replace(" ", "+"), headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer

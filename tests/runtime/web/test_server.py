from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from daflow.core.errors import InputError
from runtime.config.serve_options import ServeOptions
from runtime.web.server import RunningServer, serve

from .conftest import World, fetch, log_in, wait_for

EVERYTHING = (
    "", "login", "static/app.js", "static/replay.js", "static/style.css", "static/icon.svg", "api/health",
    "api/history?camera=entrance", "api/alarms", "api/alarms/00000000000000000000000000000001",
    "api/alarms/00000000000000000000000000000001/skeletons", "api/alarms/00000000000000000000000000000001.gif",
    "api/alarms/00000000000000000000000000000001.mp4", "metrics", "health", "ready", "picture/entrance.jpg", "nothing",
)  # fmt: skip


class Listener:
    """Reads `/api/live` as a browser does."""

    def __init__(self, url: str, **headers: str) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
        self._connection.request("GET", "/api/live", headers=headers)
        self.answer = self._connection.getresponse()

    def events(self) -> Iterator[tuple[str, Any]]:
        name = ""
        while line := self.answer.readline().decode():
            line = line.strip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                yield name, json.loads(line[6:])

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._connection.close()


def test_the_page_and_its_files_are_served_with_their_guards(served: RunningServer) -> None:
    for path, kind in (
        ("", "text/html"),
        ("static/app.js", "text/javascript"),
        ("static/replay.js", "text/javascript"),
        ("static/style.css", "text/css"),
    ):
        status, body, headers = fetch(served.url, path)
        assert status == 200
        assert headers["content-type"].startswith(kind)
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert len(body) > 500
    page = fetch(served.url)[1].decode()
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=|https?://", page), (
        "the page runs nothing inline"
    )


@pytest.mark.parametrize(
    "path", ["static/login.html", "static/..%2fserver.py", "static/server.py", "picture/x.jpg"]
)
def test_nothing_else_is_served(served: RunningServer, path: str) -> None:
    assert fetch(served.url, path)[0] == 404


def test_the_stream_tells_what_the_cameras_see(world: World, served: RunningServer) -> None:
    shown = world.show("entrance", 300)
    with Listener(served.url) as listener:
        assert listener.answer.headers["content-type"] == "text/event-stream"
        events = listener.events()
        assert next(events) == ("hello", {"privacy": "skeletons", "login": False, "role": None})
        name, first = next(events)
        assert name == "live"
        camera = first["cameras"]["entrance"]
        assert (camera["score"], camera["threshold"], camera["alarm"], camera["size"]) == (
            2.0,
            5.0,
            False,
            [1280, 720],
        )
        assert [person[0] for person in camera["people"]] == [person.person for person in shown.people]
        joints = np.array(camera["people"][0][3]).reshape(18, 3)
        assert np.abs(joints[:, :2] - shown.people[0].keypoints[:, :2]).max() <= 0.5
        world.show("entrance", 301, score=7.0, p_value=0.0001)
        _, second = next(events)
        assert second["cameras"]["entrance"]["alarm"] is True
        assert second["cameras"]["entrance"]["people"][0][1:3] == [7.0, 0.0001]


def test_the_stream_merges_results_and_has_a_heartbeat(
    world: World, served: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.web.stream._HEARTBEAT", 0.5)
    done = threading.Event()

    def feed() -> None:
        index = 100
        while not done.wait(0.01):
            world.show("entrance", (index := index + 1))

    feeder = threading.Thread(target=feed)
    with Listener(served.url) as listener:
        events = listener.events()
        next(events)
        feeder.start()
        next(events)
        numbers = [next(events)[1]["cameras"]["entrance"]["n"] for _ in range(8)]
        done.set()
        feeder.join()
        assert numbers == sorted(set(numbers))
        assert numbers[-1] - numbers[0] > 2 * len(numbers), "a message for several results"
        heartbeat = next(event for _, event in events if not event["cameras"])
        assert heartbeat["now"] > 0


def test_a_client_that_does_not_read_delays_no_other(world: World, served: RunningServer) -> None:
    address = urlsplit(served.url)
    with socket.create_connection((address.hostname, address.port)) as sleeper:
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        sleeper.sendall(f"GET /api/live HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        with Listener(served.url) as listener:
            events = listener.events()
            next(events)
            for index in range(5):
                world.show("entrance", 100 + index)
                _, event = next(
                    event for event in events if event[1]["cameras"].get("entrance", {}).get("n") == index + 1
                )
                assert event["cameras"]["entrance"]["people"]


def test_the_clients_are_limited_and_one_that_leaves_makes_place(world: World) -> None:
    with world.serve() as served:
        listeners = [Listener(served.url) for _ in range(32)]
        with Listener(served.url) as refused:
            assert refused.answer.status == 503
        for listener in listeners:
            listener.__exit__()

        def free() -> bool:
            world.show("entrance", 100)
            with Listener(served.url) as again:
                return again.answer.status == 200

        wait_for(free)


def test_it_stops_although_clients_are_connected(world: World) -> None:
    with world.serve() as served:
        listeners = [Listener(served.url) for _ in range(3)]
        for listener in listeners:
            next(listener.events())
    assert not served.alive
    for listener in listeners:
        listener.__exit__()
    with world.serve(address=urlsplit(served.url).netloc) as again:
        assert fetch(again.url, "health")[0] == 200


def test_alarms_come_from_the_store(world: World, served: RunningServer) -> None:
    world.add("yard", seed=3)
    ids = [world.alarm("entrance" if index % 2 else "yard") for index in range(5)]

    def listed(query: str) -> list[str]:
        return [alarm["id"] for alarm in json.loads(fetch(served.url, f"api/alarms{query}")[1])["alarms"]]

    assert listed("") == ids[::-1]
    assert listed("?limit=2") == [ids[4], ids[3]]
    assert listed(f"?limit=2&before={ids[3]}") == [ids[2], ids[1]]
    assert listed("?camera=yard") == [ids[4], ids[2], ids[0]]
    status, body, _ = fetch(served.url, f"api/alarms/{ids[0]}")
    alarm = json.loads(body)
    assert (status, alarm["camera"], alarm["event"]) == (200, "yard", "end")
    assert np.array(alarm["peak"]["skeletons"]).shape == (24, 18, 2)
    assert fetch(served.url, "api/alarms/unknown")[0] == 404


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1e9", "٣"])
def test_a_limit_that_is_none_is_refused(served: RunningServer, limit: str) -> None:
    assert fetch(served.url, f"api/alarms?limit={limit}".encode().decode("latin-1"))[0] == 400


def test_a_store_that_cannot_be_read_is_said(world: World, served: RunningServer) -> None:
    world.store.close()
    for path in ("api/alarms", "api/alarms/1", "api/alarms/1/skeletons", "api/alarms/1.gif"):
        status, body, _ = fetch(served.url, path)
        assert status == 503
        assert "event store" in json.loads(body)["error"]


def test_history_is_served(world: World, served: RunningServer) -> None:
    for index in range(10):
        world.show("entrance", 100 + index, utc=5000.0 + index)
    scores = json.loads(fetch(served.url, "api/history?camera=entrance")[1])["scores"]
    assert scores == [[5000.0 + index, 2.0, 0] for index in range(10)]
    assert json.loads(fetch(served.url, "api/history?camera=none")[1])["scores"] == []


def test_health_and_readiness(world: World, served: RunningServer) -> None:
    assert fetch(served.url, "health")[0] == 200
    assert fetch(served.url, "ready")[0] == 200
    world.cameras["entrance"]["threshold"] = float("inf")
    world.ready, world.problems = False, ["the camera entrance is lost"]
    _, body, _ = wait_for(lambda: (answer := fetch(served.url, "ready"))[0] == 503 and answer)
    assert json.loads(body) == {"ready": False, "problems": ["the camera entrance is lost"]}
    assert json.loads(fetch(served.url, "api/health")[1])["cameras"]["entrance"]["threshold"] is None


def test_which_camera_is_lost_is_told_only_to_those_with_the_token(world: World, token: str) -> None:
    world.ready, world.problems = False, ["camera entrance is lost"]
    with world.serve(guarded_by="PAGE_TOKEN") as served:
        status, body, _ = fetch(served.url, "ready")
        assert status == 503
        assert json.loads(body)["ready"] is False
        assert b"entrance" not in body
        cookie = log_in(served.url, token).headers["set-cookie"].partition(";")[0]
        assert b"camera entrance is lost" in fetch(served.url, "ready", Cookie=cookie)[1]
        assert b"entrance" in fetch(served.url, "api/health", Authorization=f"Bearer {token}")[1]


@pytest.mark.parametrize("how", ["hangs", "raises"])
def test_a_service_that_hangs_or_fails_is_reported(world: World, how: str) -> None:
    release = threading.Event()

    def ill() -> None:
        if how == "raises":
            raise RuntimeError
        release.wait(30)

    world.hang = ill
    with world.serve() as served:
        paths = ("health", "ready", "metrics", "api/health")
        with ThreadPoolExecutor(len(paths)) as pool:
            answers = list(pool.map(lambda path: fetch(served.url, path), paths))
        for status, body, _ in answers:
            assert status == 503
            assert b"does not respond" in body
        release.set()
        world.hang = lambda: None
        wait_for(lambda: fetch(served.url, "health")[0] == 200)


def test_metrics_are_those_that_are_documented(world: World, served: RunningServer) -> None:
    status, body, headers = fetch(served.url, "metrics")
    text = body.decode()
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    for line in (
        'daflow_frames_total{camera="entrance"} 120000.0', 'daflow_camera_up{camera="entrance"} 1.0',
        'daflow_stage_seconds_bucket{le="0.025",stage="pose"} 900.0', "daflow_queue_length 1.0",
        'daflow_stage_seconds_bucket{le="+Inf",stage="pose"} 1000.0', 'daflow_stage_runs_total{stage="pose"} 1000.0',
        'daflow_events_pending{delivery="mqtt"} 14.0', "daflow_temperature_celsius 51.5",
        'daflow_events_failures_total{delivery="mqtt"} 3.0', 'daflow_alarms_total{camera="entrance"} 2.0',
    ):  # fmt: skip
        assert line in text
    told = {m[1]: m[2] for m in re.finditer(r"^# HELP (\S+) (.*)$", text, re.MULTILINE)}
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert {m[1]: m[2] for m in re.finditer(r"^\| `(\w+)` \|.*\| (.*) \|$", page, re.MULTILINE)} == told


def test_what_is_not_known_is_no_metric(world: World, served: RunningServer) -> None:
    world.cameras["entrance"].update(score=None, p_value=None, state="lost")
    text = fetch(served.url, "metrics")[1].decode()
    assert "daflow_score{" not in text
    assert 'daflow_camera_up{camera="entrance"} 0.0' in text


def test_the_host_header_does_not_change_the_path_that_is_judged(world: World, token: str) -> None:
    """Old versions of starlette put the URL together from the Host header."""
    world.show("entrance", 100)
    hosts = (
        "x/health?",
        "127.0.0.1/health?",
        "127.0.0.1/health#",
        "a@127.0.0.1/health?",
        "127.0.0.1\\health?",
    )
    with (
        world.serve(guarded_by="PAGE_TOKEN") as served,
        world.serve(address="0.0.0.0:0", guarded_by="PAGE_TOKEN") as open_to_all,
    ):
        for url in (served.url, open_to_all.url.replace("0.0.0.0", "127.0.0.1")):  # noqa: S104
            for host in hosts:
                for path in ("api/health", "api/alarms", "api/live", "metrics", "health"):
                    assert fetch(url, path, Host=host)[0] == 400, (host, path)
            assert fetch(url, "health", Host="127.0.0.1")[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "10.1.2.3:80", "127.0.0.1.evil.example"])
def test_a_foreign_name_is_refused_on_loopback(served: RunningServer, host: str) -> None:
    for path in ("", "api/alarms", "health"):
        assert fetch(served.url, path, Host=host)[0] == 400


def test_with_a_token_only_health_is_open(world: World, token: str) -> None:
    world.show("entrance", 100)
    with world.serve(guarded_by="PAGE_TOKEN") as served:
        assert served.needs_token
        status, _, headers = fetch(served.url)
        assert (status, headers["location"]) == (303, "login")
        for path in (
            "api/health",
            "api/live",
            "api/alarms",
            "api/history",
            "metrics",
            "picture/entrance.jpg",
            "static/app.js",
        ):
            assert fetch(served.url, path)[0] == 401, path
            if path != "api/live":
                assert fetch(served.url, path, Authorization=f"Bearer {token}")[0] != 401, path
        for path in ("health", "ready", "login", "static/style.css"):
            assert fetch(served.url, path)[0] == 200
        with Listener(served.url, Authorization=f"Bearer {token}") as listener:
            assert next(listener.events())[0] == "hello"


def test_the_login_gives_a_cookie_that_is_not_the_token(world: World, token: str) -> None:
    with world.serve(guarded_by="PAGE_TOKEN") as served:
        refused = log_in(served.url, "wrong")
        assert refused.status == 401
        assert "set-cookie" not in refused.headers
        answer = log_in(served.url, token)
        assert (answer.status, answer.headers["location"]) == (303, "./")
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
        assert "correct" not in cookie
        assert fetch(served.url, "api/alarms", Cookie=cookie.split(";")[0])[0] == 200
        assert fetch(served.url, "api/alarms", Cookie=cookie.split(";")[0][:-1])[0] == 401
        assert log_in(served.url, "x" * 10_000).status == 413


def test_who_guesses_is_slowed_and_the_right_token_is_never_refused(world: World, token: str) -> None:
    with world.serve(guarded_by="PAGE_TOKEN") as served:
        cookie = log_in(served.url, token).headers["set-cookie"].split(";")[0]
        guesses = [fetch(served.url, "metrics", Authorization=f"Bearer {guess}") for guess in range(5)]
        assert [status for status, _, _ in guesses] == [401] * 5
        status, _, headers = fetch(served.url, "metrics", Authorization="Bearer guess")
        assert (status, headers["retry-after"]) == (429, "60")
        assert [log_in(served.url, "wrong").status for _ in range(5)] == [429] * 5
        assert fetch(served.url, "metrics", Authorization=f"Bearer {token}")[0] == 200
        assert log_in(served.url, token).status == 303
        assert fetch(served.url, "api/alarms", Cookie=cookie)[0] == 200


def test_of_a_hundred_logins_at_once_few_are_judged(world: World, token: str) -> None:
    """All of them wait with their last byte, so that none is judged before the others are there."""
    with world.serve(guarded_by="PAGE_TOKEN") as served, ExitStack() as stack:
        address = urlsplit(served.url)
        form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 11"
        head = f"POST /login HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n{form}\r\n\r\n"
        opened = []
        for number in range(30):
            for source in ("127.0.0.2", "127.0.0.3"):
                one = socket.create_connection((address.hostname, address.port), 10, (source, 0))
                stack.callback(one.close)
                one.sendall(f"{head}token=gue{number:02d}"[:-1].encode())
                opened.append(one)
        for one in opened:
            one.sendall(b"x")
        judged = [one.makefile().readline().split()[1] for one in opened]
    assert (judged.count("401"), judged.count("429")) == (10, 50), "five of each visitor are free"


def test_further_host_names_are_allowed_by_a_setting(world: World, token: str) -> None:
    with world.serve(hosts=("Watch.Example.org", "198.51.100.4")) as served:
        for host in ("watch.example.org", "watch.example.org:8443", "198.51.100.4", "localhost", "127.0.0.1"):
            assert fetch(served.url, "health", Host=host)[0] == 200
        status, body, _ = fetch(served.url, "health", Host="evil.example")
        assert status == 400
        assert "serve.hosts" in json.loads(body)["error"]
    with world.serve(address="0.0.0.0:0", guarded_by="PAGE_TOKEN", hosts=("watch.example.org",)) as served:
        local = served.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        assert fetch(local, "health", Host="watch.example.org")[0] == 200
        assert fetch(local, "health", Host="127.0.0.1")[0] == 200
        assert fetch(local, "health", Host="evil.example")[0] == 400


def test_behind_a_trusted_proxy_each_visitor_counts_for_itself(
    world: World, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.web.token_throttle._PAUSE", 60)  # whoever waits has failed
    with world.serve(guarded_by="PAGE_TOKEN", trusted_proxies=("127.0.0.0/8",)) as served:

        def guess(visitor: str) -> int:
            return log_in(
                served.url, "wrong guess", **{"X-Forwarded-For": f"198.51.100.77, {visitor}"}
            ).status

        assert [guess("203.0.113.7") for _ in range(5)] == [401] * 5
        assert guess("203.0.113.8") == 401
        from_there = {"X-Forwarded-For": "203.0.113.8"}
        assert log_in(served.url, token, **from_there).status == 303
        assert fetch(served.url, "metrics", Authorization=f"Bearer {token}", **from_there)[0] == 200


@pytest.mark.parametrize(("trusted", "secure"), [(("127.0.0.1",), True), ((), False)])
def test_the_cookie_is_secure_behind_tls(
    world: World, token: str, trusted: tuple[str, ...], secure: bool
) -> None:
    with world.serve(guarded_by="PAGE_TOKEN", trusted_proxies=trusted) as served:
        by_tls = log_in(served.url, token, **{"X-Forwarded-Proto": "https"}).headers["set-cookie"]
        assert ("Secure" in by_tls.split("; ")) is secure
        plain = log_in(served.url, token, **{"X-Forwarded-Proto": "http"}).headers["set-cookie"]
        assert "Secure" not in plain.split("; ")
        assert "path" not in by_tls.lower(), "the browser takes the prefix that it knows"


def test_logging_out_ends_the_session_and_its_streams(
    world: World, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.web.stream._HEARTBEAT", 0.2)
    with world.serve(guarded_by="PAGE_TOKEN") as served:
        ours, others = (log_in(served.url, token).headers["set-cookie"].split(";")[0] for _ in range(2))
        with Listener(served.url, Cookie=ours) as ended, Listener(served.url, Cookie=others) as goes_on:
            events, others_events = ended.events(), goes_on.events()
            next(events)
            next(others_events)
            address = urlsplit(served.url)
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
            connection.request("POST", "/logout", headers={"Cookie": f"{ours}; other=1"})
            answer = connection.getresponse()
            assert (answer.status, answer.headers["location"]) == (303, "login")
            assert "Max-Age=0" in answer.headers["set-cookie"]
            connection.close()
            assert fetch(served.url, "api/alarms", Cookie=ours)[0] == 401, (
                "a copy of the cookie is worth nothing"
            )
            assert len(list(events)) < 100, "the stream ends"
            for _ in range(3):
                next(others_events)
            assert fetch(served.url, "api/alarms", Cookie=others)[0] == 200


def test_one_of_two_cookies_of_the_name_is_enough(world: World, token: str) -> None:
    """Another page below the same host name may have set its own."""
    with world.serve(guarded_by="PAGE_TOKEN") as served:
        cookie = log_in(served.url, token).headers["set-cookie"].split(";")[0]
        for both in (f"{cookie}; daflow_session=x", f"daflow_session=x; {cookie}"):
            assert fetch(served.url, "api/alarms", Cookie=both)[0] == 200


def test_no_answer_is_a_redirect_to_an_absolute_address(world: World, token: str) -> None:
    with world.serve(guarded_by="PAGE_TOKEN") as served:
        for path in ("", "login/", "logout", "metrics/", "api/alarms/", "//evil.example/", "static/"):
            for headers in ({}, {"Authorization": f"Bearer {token}"}):
                location = fetch(served.url, path, **headers)[2].get("location", "")
                assert not location.startswith(("/", "http")), path


def test_other_addresses_than_loopback_need_a_token(world: World, token: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"0\.0\.0\.0:0 .* needs a token"), world.serve(address="0.0.0.0:0"):
        pass
    (tmp_path / "token").write_text(token + "\n", encoding="utf-8")
    with world.serve(address="0.0.0.0:0", token_file=tmp_path / "token") as served:
        local = served.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        assert fetch(local, "api/alarms", Host="edge.example")[0] == 401
        assert fetch(local, "api/alarms", Host="edge.example", Authorization=f"Bearer {token}")[0] == 200


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:70000", "70000 is above 65535"),
        ("no.such.host.invalid:80", r"Cannot serve the live page at no\.such\.host\.invalid:80"),
    ],
)
def test_an_address_that_cannot_be_is_named(world: World, address: str, message: str) -> None:
    with pytest.raises(InputError, match=message), world.serve(address=address):
        pass


def test_a_port_in_use_is_named(world: World, served: RunningServer) -> None:
    address = urlsplit(served.url).netloc
    with (
        pytest.raises(InputError, match=f"at {address}: another program uses this port"),
        world.serve(address=address),
    ):
        pass


def test_a_short_token_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_TOKEN", "1234")
    with pytest.raises(InputError, match="shorter than 8 characters"), world.serve(guarded_by="PAGE_TOKEN"):
        pass


def test_an_ipv6_address_is_served(world: World) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with serve(ServeOptions(address="[::1]:0"), world.live, world.store, world.health, "skeletons") as served:
        assert fetch(served.url, "health")[0] == 200


def magenta(rng: np.random.Generator) -> Any:
    picture = np.zeros((720, 1280, 3), dtype=np.uint8)
    picture[..., 0] = picture[..., 2] = rng.integers(120, 255, (720, 1280), dtype=np.uint8)
    return picture


def test_with_skeletons_no_answer_holds_a_picture(
    world: World, served: RunningServer, rng: np.random.Generator
) -> None:
    world.alarm("entrance")
    world.show("entrance", 300)
    world.show("entrance", 300, image=magenta(rng))
    assert fetch(served.url, "picture/entrance.jpg")[0] == 404
    with Listener(served.url) as listener:
        events = listener.events()
        bodies = [json.dumps(next(events)).encode() for _ in range(2)]
    for path in EVERYTHING:
        _, body, headers = fetch(served.url, path)
        assert not headers.get("content-type", "").startswith("image") or path == "static/icon.svg"
        bodies.append(body)
    for body in bodies:
        assert b"JFIF" not in body
        assert b"\x89PNG" not in body
        assert len(body) < 60_000, "the smallest picture of noise is larger"


def test_with_pictures_the_picture_is_served(world: World, rng: np.random.Generator) -> None:
    import cv2

    with world.serve("pictures") as served:
        assert fetch(served.url, "picture/entrance.jpg")[0] == 404
        world.show("entrance", 300, image=magenta(rng))
        status, body, headers = fetch(served.url, "picture/entrance.jpg")
        assert (status, headers["content-type"], headers["x-number"]) == (200, "image/jpeg", "1")
        assert headers["cache-control"] == "no-store"
        picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (540, 960, 3)
        blue, green, red = picture.reshape(-1, 3).mean(axis=0)
        assert min(red, blue) > 150
        assert green < 40
        assert fetch(served.url, "picture/yard.jpg")[0] == 404


def test_importing_the_page_brings_no_web_server() -> None:
    folder = Path(__file__).parents[3] / "runtime" / "web"
    modules = [f"runtime.web.{path.stem}" for path in folder.glob("*.py")]
    code = (
        f"import sys, importlib\nfor m in {modules}: importlib.import_module(m)\n"
        "sys.exit(str({'starlette', 'uvicorn', 'prometheus_client', 'anyio', 'cv2'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""

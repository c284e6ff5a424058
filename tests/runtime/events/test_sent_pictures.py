"""Pictures of alarms that are sent: to a real web server and a real broker, from a real store."""

from __future__ import annotations

import base64
import http.server
import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import av
import numpy as np
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from runtime.config.schema import Config
from runtime.events.message import EventMessage, alarm_evidence
from runtime.events.senders import Senders
from runtime.events.store import EventStore
from runtime.replays.skeletons import AlarmSkeletons, RecordedFrame, RecordedPerson, encode

MakeMessage = Callable[..., EventMessage]
Eventually = Callable[..., None]


def skeletons(alarm: str) -> bytes:
    keypoints = np.ones((18, 3), dtype=np.float32)
    keypoints[:, 0], keypoints[:, 1] = np.linspace(0.3, 0.4, 18), np.linspace(0.2, 0.8, 18)
    frames = tuple(
        RecordedFrame(time / 5, (RecordedPerson(7, 9.0, keypoints + np.float32((time / 50, 0, 0))),))
        for time in range(-5, 10)
    )
    return encode(
        AlarmSkeletons(
            alarm, "door", 1_700_000_000.0, (320, 240), 5.0, "bits", 0.2, 1.0, True, frozenset({7}), frames
        )
    )


def tell(
    store: EventStore, make_message: MakeMessage, data: bytes | None = None, alarm: str = "a" * 32
) -> None:
    """Let an alarm begin and end, and finish its replay."""
    end = make_message(alarm, sequence=1, kind="end")
    store.append(make_message(alarm), end)
    store.put_replay(alarm, "skeletons", skeletons(alarm) if data is None else data)
    store.finish_replay(alarm_evidence(end))


def config(**sections: object) -> Config:
    return Config.model_validate({"cameras": {"door": {"source": "synthetic:"}}, **sections})


def frames(gif: bytes) -> int:
    with av.open(io.BytesIO(gif)) as container:
        assert container.format.name == "gif"
        return sum(1 for _ in container.decode(video=0))


@pytest.fixture
def posts() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a web server, and what was posted to it."""
    posted: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", posted
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_webhook_gets_the_picture_after_the_end_if_it_asks_for_it(
    store: EventStore,
    make_message: MakeMessage,
    posts: tuple[str, list[dict[str, Any]]],
    eventually: Eventually,
) -> None:
    url, posted = posts
    with Senders(store, config(webhook={"url": url, "pictures": True})):
        tell(store, make_message)
        eventually(lambda: len(posted) == 3, 60)
    assert [post["event"] for post in posted] == ["begin", "end", "alarm_evidence"]
    evidence = posted[-1]
    assert (evidence["id"], evidence["sequence"], evidence["camera"]) == ("a" * 32, 2, "door")
    assert evidence["picture"]["media_type"] == "image/gif"
    assert frames(base64.b64decode(evidence["picture"]["base64"])) == 16


def test_a_webhook_that_does_not_ask_gets_none(
    store: EventStore,
    make_message: MakeMessage,
    posts: tuple[str, list[dict[str, Any]]],
    eventually: Eventually,
) -> None:
    url, posted = posts
    with Senders(store, config(webhook={"url": url})) as senders:
        tell(store, make_message)
        eventually(lambda: senders.statistics()["webhook"]["pending"] == 0)
    assert [post["event"] for post in posted] == ["begin", "end"]


@pytest.mark.parametrize("wrong", ["broken", "large"])
def test_a_picture_that_cannot_be_sent_holds_nothing_up(
    store: EventStore,
    make_message: MakeMessage,
    posts: tuple[str, list[dict[str, Any]]],
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    wrong: str,
) -> None:
    url, posted = posts
    if wrong == "large":
        monkeypatch.setattr("runtime.events.alarm_pictures.MAX_SENT_BYTES", 100)
    with Senders(store, config(webhook={"url": url, "pictures": True})):
        tell(store, make_message, b"no skeletons" if wrong == "broken" else None)
        store.append(make_message("b" * 32))
        eventually(lambda: len(posted) == 4, 60)
    assert posted[2]["picture"] is None
    assert ("no picture of the alarm" if wrong == "broken" else "is not sent") in caplog.text


class Heard:
    """Another client of the broker: the last payload of each topic."""

    def __init__(self, port: int) -> None:
        self.last: dict[str, bytes] = {}
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1) and None
        self._client.on_message = lambda client, data, message: self.last.update(
            {message.topic: bytes(message.payload)}
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_the_picture_is_retained_by_the_broker_and_announced_to_home_assistant(
    store: EventStore, make_message: MakeMessage, broker: Any, eventually: Eventually
) -> None:
    topic = "daflow/door/alarm/picture"
    mqtt = {"host": "127.0.0.1", "port": broker.port, "pictures": True}
    with Senders(store, config(mqtt=mqtt)) as senders:
        tell(store, make_message)
        eventually(lambda: senders.statistics()["mqtt"]["pending"] == 0, 60)
    late = Heard(broker.port)
    eventually(lambda: topic in late.last)
    assert frames(late.last[topic]) == 16
    assert "daflow/door/events" not in late.last
    (found,) = [text for name, text in late.last.items() if name.startswith("homeassistant/image/")]
    image = json.loads(found)
    assert image["image_topic"] == topic
    assert image["content_type"] == "image/gif"
    assert image["availability"] == [{"topic": "daflow/available"}]
    assert image["device"]["identifiers"] == ["daflow_daflow_door"]
    late.close()
    with Senders(store, config(mqtt={**mqtt, "pictures": False})) as senders:
        tell(store, make_message, alarm="b" * 32)
        eventually(lambda: senders.statistics()["mqtt"]["pending"] == 0, 60)
    after = Heard(broker.port)
    eventually(lambda: "daflow/available" in after.last)
    assert topic not in after.last, "what is not published any more is emptied"
    assert not [name for name in after.last if name.startswith("homeassistant/image/")]
    after.close()

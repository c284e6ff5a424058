"""People are told by a real apprise, at a real HTTP server."""

from __future__ import annotations

import base64
import http.server
import io
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from daflow.core.errors import InputError
from runtime.config.notify import NotifyOptions, notify_addresses
from runtime.config.schema import Config
from runtime.doctor import receivers
from runtime.events.message import EventMessage
from runtime.events.notification import title_and_text
from runtime.events.notify import Notify
from runtime.events.sender import Sender
from runtime.events.senders import Senders
from runtime.events.store import EventStore

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # in apprise
MakeMessage = Callable[..., EventMessage]
Eventually = Callable[..., None]
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=timezone.utc).timestamp()  # a Monday


class Service:
    """A server that takes what apprise's json:// sends, and answers as it is told."""

    def __init__(self, port: int = 0, *answers: int) -> None:
        self.answers = list(answers)
        self.posts: list[dict[str, Any]] = []
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = service.answers.pop(0) if service.answers else 200
                if answer == 200:
                    service.posts.append(body)
                self.send_response(answer)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"json://127.0.0.1:{self.port}/hunter2"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


def notify(url: str, now: Callable[[], float] = lambda: NOON, **options: object) -> Notify:
    return Notify(
        "notify-1", url, NotifyOptions.model_validate(options), "https://watch.example.org/", now=now
    )


def state(name: str, utc: float = NOON, camera: str = "door", detail: str | None = None) -> EventMessage:
    type_: Any = "camera_state" if camera else "device_state"
    content = {"schema": 1, "type": type_, "state": name, "detail": detail}
    return EventMessage("5" * 32, 0, type_, camera, utc, content)


def test_an_alarm_is_told_with_what_happened_and_where_to_look(
    service: Service, make_message: MakeMessage
) -> None:
    why = {
        "score": 24.0,
        "rarity": "1 in 2\u202f400",
        "why": "a movement as in 1 in 1\u202f200 normal windows",
    }
    begin = make_message(utc=NOON, **why)
    notify(service.url, time_zone="Europe/Berlin").deliver([begin, state("lost", detail="no route to host")])
    alarm, lost = service.posts
    assert (alarm["title"], alarm["type"]) == ("door: alarm", "warning")
    assert alarm["message"].splitlines() == [
        "a movement as in 1 in 1 200 normal windows",
        "2026-03-02 13:00:00",
        "https://watch.example.org/",
    ]
    assert (lost["title"], lost["message"].splitlines()[0]) == ("door: no pictures", "no route to host")


def test_the_picture_of_an_alarm_is_attached(service: Service, make_message: MakeMessage) -> None:
    stream = io.BytesIO()
    images = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    images[0].save(stream, "gif", save_all=True, append_images=images[1:])
    pictures = {"a" * 32: stream.getvalue()}
    delivery = Notify(
        "notify-1", service.url, NotifyOptions(), picture=lambda message: pictures.get(message.id)
    )
    delivery.deliver([make_message(), make_message("b" * 32), state("lost")])
    (attached,), *others = (post["attachments"] for post in service.posts)
    assert others == [[], []]
    assert (attached["filename"], attached["mimetype"]) == ("alarm.gif", "image/gif")
    assert base64.b64decode(attached["base64"]) == stream.getvalue()


def test_a_text_has_what_its_template_names(make_message: MakeMessage) -> None:
    options = NotifyOptions(
        title="{what} at {camera}", text="{{{score}}} after {seconds} s\n{state}\n{reason} {url}{id}"
    )
    end = make_message(sequence=1, kind="end", utc=NOON, reason="score_fell")
    assert title_and_text(end, options, None) == (
        "the alarm has ended at door",
        "{5.50} after 2 s\nscore fell " + "a" * 32,
    )
    full = state("disk_full", camera="", detail="120 MB are free at /var")
    title, text = title_and_text(full, NotifyOptions(), None)
    assert title == f"{socket.gethostname()}: the disk is nearly full"
    assert text.startswith("120 MB are free at /var\n")
    other = title_and_text(
        make_message(score=None, peak=None, provisional=True), NotifyOptions(text="{details}"), None
    )
    assert other[1] == "provisional threshold"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, {"begin", "lost"}),
        ({"messages": ["alarm_end"]}, {"end"}),
        ({"messages": ["camera_state"]}, {"lost"}),
        ({"messages": []}, set()),
        ({"quiet": ["mon 11:00-13:00"]}, set()),
        ({"quiet": ["mon 13:00-14:00"], "time_zone": "Europe/Berlin"}, set()),
        ({"quiet": ["mon 13:00-14:00"]}, {"begin", "lost"}),
        ({"quiet": ["tue 11:00-13:00"]}, {"begin", "lost"}),
    ],
)
def test_people_are_told_what_they_want_and_nothing_in_quiet_hours(
    make_message: MakeMessage, options: dict[str, object], told: set[str]
) -> None:
    messages = {
        "begin": make_message(utc=NOON),
        "update": make_message(sequence=1, kind="update", utc=NOON),
        "end": make_message(sequence=2, kind="end", utc=NOON),
        "disarmed": make_message(utc=NOON, armed=False),
        "lost": state("lost"),
        "label": EventMessage("6" * 32, 0, "alarm_label", "door", NOON, {"type": "alarm_label"}),
    }
    delivery = notify("json://127.0.0.1:9", **options)
    assert {name for name, message in messages.items() if delivery.takes(message)} == told


def test_what_came_in_quiet_hours_or_long_ago_is_not_told_later(make_message: MakeMessage) -> None:
    clock = [NOON]
    delivery = notify("json://127.0.0.1:9", lambda: clock[0], quiet=["mon 11:00-12:30"], max_age_minutes=90)
    before, in_them = make_message(utc=NOON - 3700), make_message(utc=NOON)
    assert not delivery.takes(before), "nothing is sent in quiet hours"
    clock[0] = NOON + 1860
    assert not delivery.takes(in_them)
    assert not delivery.takes(before), "more than ninety minutes old"
    assert delivery.takes(make_message(utc=NOON + 1801))


def test_a_lost_receiver_is_tried_again_until_it_is_back(
    store: EventStore, make_message: MakeMessage, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    gone = Service()
    port, url = gone.port, gone.url
    gone.close()
    delivery = notify(url)
    store.register([delivery.name])
    with Sender(store, delivery, first_wait=0.05, max_wait=0.1, takes=delivery.takes) as sender:
        first = make_message(utc=NOON)
        store.append(first, make_message(sequence=1, kind="update", utc=NOON), state("frozen"))
        eventually(lambda: sender.statistics()["failures"] >= 2, 30)
        assert sender.statistics()["pending"] == 3
        assert sender.statistics()["last_error"].startswith("the service json cannot be reached")
        back = Service(port, 503, 200, 413)
        try:
            eventually(lambda: sender.statistics()["pending"] == 0, 30)
        finally:
            back.close()
        assert [post["title"] for post in back.posts] == ["door: alarm"], "what is refused is skipped"
        facts = sender.statistics()
        assert (facts["delivered"], facts["refused"]) == (1, 1)
        assert facts["last_error"].endswith("(error 413)")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("runtime")]
    assert "hunter2" not in str(ours)
    assert sum("cannot be delivered and wait" in line for line in ours) == 1


def test_each_service_has_a_queue_of_its_own(
    store: EventStore, make_message: MakeMessage, eventually: Eventually, service: Service, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("SERVICE", service.url)
    (tmp_path / "urls").write_text("# the night shift\n\njson://127.0.0.1:9/nobody\n")
    config: dict[str, Any] = {
        "cameras": {"door": {"source": "0"}},
        "notify": {"urls": ["${SERVICE}"], "urls_file": tmp_path / "urls"},
    }
    with Senders(store, Config.model_validate(config)) as senders:
        store.append(make_message())
        eventually(lambda: service.posts)
        eventually(lambda: senders.statistics()["notify-2"]["failures"] >= 1, 30)
        eventually(lambda: senders.statistics()["notify-1"]["delivered"] == 1)
        (tmp_path / "urls").write_text("")
        senders.change(Config.model_validate(config))  # whose file has changed
        assert list(senders.statistics()) == ["notify-1"]
        bad = Config.model_validate({**config, "notify": {"urls": ["${NOBODY}"]}})
        with pytest.raises(InputError, match="An address of notify needs the environment variable 'NOBODY'"):
            senders.change(bad)
        store.append(make_message("b" * 32))
        eventually(lambda: len(service.posts) == 2)


@pytest.mark.parametrize(
    ("field", "text", "why"),
    [
        ("title", "{camera}: {score:.2f}", "'{score}' takes neither : nor !"),
        ("title", "{camera!r}", "takes neither"),
        ("text", "{wat}", "'{wat}' is no field; there are camera, what"),
        ("text", "{camera.__class__}", "is no field"),
        ("text", "{url[0]}", "is no field"),
        ("text", "{}", "is no field"),
        ("text", "{camera", "is no template"),
        ("text", "50 } %", "is no template"),
        ("quiet", ["mon 25:00-26:00"], "a time that no clock shows"),
        ("messages", ["everything"], "Input should be 'alarm'"),
    ],
)
def test_what_is_wrong_is_said_when_the_configuration_is_read(field: str, text: object, why: str) -> None:
    with pytest.raises(ValidationError) as caught:
        NotifyOptions.model_validate({field: text})
    assert why in str(caught.value)


def test_addresses_that_cannot_be_used_are_told_without_what_is_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in ("bogus://hunter2/token", "hunter2", "tgram://hunter2"):
        with pytest.raises(InputError) as caught:
            notify(address)
        assert "apprise does not know the address of notify-1" in caught.value.message
        assert "hunter2" not in caught.value.message
    with pytest.raises(InputError, match="Cannot read the addresses of notify from"):
        notify_addresses(NotifyOptions(urls_file=tmp_path / "none"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(InputError, match="is not text in UTF-8"):
        notify_addresses(NotifyOptions(urls_file=tmp_path / "binary"))
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(InputError, match=r"pip install 'daflow\[notify\]'"):
        notify("json://127.0.0.1:9")


def test_the_doctor_knows_whether_an_address_can_be_used() -> None:
    def found(*urls: str) -> tuple[str, str]:
        config = {"cameras": {"door": {"source": "0"}}, "notify": {"urls": urls}}
        finding = receivers.notify(Config.model_validate(config))
        return finding.state, finding.found

    assert found("json://10.0.0.5/hunter2", "ntfy://hunter2") == ("ok", "json, ntfy")
    state, text = found("json://10.0.0.5", "bogus://hunter2")
    assert state == "problem"
    assert "the address of notify-2, bogus://..." in text
    assert "hunter2" not in text

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from daflow.core.errors import InputError
from runtime.config.schema import WebhookOptions
from runtime.events.delivery import DeliveryFailed
from runtime.events.message import EventMessage
from runtime.events.sender import Sender
from runtime.events.store import EventStore
from runtime.events.webhook import Webhook, web_address

MakeMessage = Callable[..., EventMessage]
Eventually = Callable[..., None]
CRLF = b"\r\n"


class Server:
    """A real HTTP server that answers as it is told and remembers what it was sent."""

    def __init__(self, port: int = 0) -> None:
        self.answers: list[int | tuple[int, str]] = []
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        self.hang = threading.Event()
        self.release = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if server.hang.is_set():
                    server.release.wait(10)
                    return
                answer = server.answers.pop(0) if server.answers else 204
                status, header = answer if isinstance(answer, tuple) else (answer, "")
                server.posts.append((self.path, dict(self.headers), body))
                self.send_response(status)
                if header:
                    self.send_header(*header.split(": ", 1))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook?token=hunter2"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def webhook(url: str, **options: object) -> Webhook:
    return Webhook(WebhookOptions.model_validate({"url": url, **options}))


def failure(hook: Webhook, *messages: EventMessage) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        hook.deliver(messages)
    hook.close()
    assert "hunter2" not in caught.value.reason
    return caught.value


def test_each_message_is_a_signed_post(server: Server, make_message: MakeMessage, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("swordfish\n")
    messages = [make_message(), make_message(sequence=1, kind="end")]
    hook = webhook(server.url, secret_file=tmp_path / "secret")
    hook.deliver(messages)
    hook.close()
    for message, (path, headers, body) in zip(messages, server.posts, strict=True):
        assert path == "/hook?token=hunter2"
        assert json.loads(body) == message.content
        assert headers["Content-Type"] == "application/json"
        assert headers["X-DAFlow-Delivery"] == message.key
        assert abs(int(headers["X-DAFlow-Timestamp"]) - time.time()) < 60
        text = headers["X-DAFlow-Timestamp"].encode() + b"." + body
        expected = "sha256=" + hmac.new(b"swordfish", text, hashlib.sha256).hexdigest()
        assert headers["X-DAFlow-Signature"] == expected
        assert "swordfish" not in str(headers)


def test_without_a_secret_there_is_no_signature(server: Server, make_message: MakeMessage) -> None:
    hook = webhook(server.url)
    hook.deliver([make_message()])
    hook.close()
    assert "X-DAFlow-Signature" not in server.posts[0][1]


@pytest.mark.parametrize("status", [500, 502, 503, 429, 401, 403, 404, 408])
def test_a_server_in_trouble_is_tried_again(server: Server, make_message: MakeMessage, status: int) -> None:
    server.answers = [200, status]
    messages = [make_message(sequence=sequence) for sequence in range(3)]
    failed = failure(webhook(server.url), *messages)
    assert (failed.delivered, failed.refused, failed.retry_after) == (1, False, None)
    assert failed.reason == f"127.0.0.1:{server.port} answered {status}"
    assert len(server.posts) == 2


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_message_that_the_server_never_takes_is_refused(
    server: Server, make_message: MakeMessage, status: int
) -> None:
    server.answers = [status]
    failed = failure(webhook(server.url), make_message())
    assert (failed.delivered, failed.refused) == (0, True)


def test_the_server_says_how_long_to_wait(server: Server, make_message: MakeMessage) -> None:
    later = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=90), usegmt=True)
    for header, least, most in (("17", 17, 17), (later, 80, 90), ("soon", None, None)):
        server.answers = [(429, f"Retry-After: {header}")]
        wait = failure(webhook(server.url), make_message()).retry_after
        assert wait == least or (wait is not None and least is not None and least <= wait <= most)


def test_a_redirect_is_not_followed(server: Server, make_message: MakeMessage) -> None:
    server.answers = [(307, f"Location: {server.url}/elsewhere")]
    failed = failure(webhook(server.url), make_message())
    assert (failed.refused, len(server.posts)) == (False, 1)
    assert "answered 307" in failed.reason


def test_a_proxy_of_the_environment_is_not_used(
    server: Server, make_message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    hook = webhook(server.url)
    hook.deliver([make_message()])
    hook.close()
    assert len(server.posts) == 1


def test_a_server_that_is_down_is_said(make_message: MakeMessage) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        failed = failure(webhook(f"http://127.0.0.1:{port}/?token=hunter2"), make_message())
    assert failed.reason == f"127.0.0.1:{port} cannot be reached: Connection refused"
    assert not failed.refused


def test_a_server_that_hangs_is_given_up(server: Server, make_message: MakeMessage) -> None:
    server.hang.set()
    failed = failure(webhook(server.url, timeout_seconds=0.3), make_message())
    assert failed.reason.endswith("cannot be reached: timed out")


@pytest.mark.parametrize("at_once", [b"", b"HTTP/1.1 200 OK\r\nX-Padding: "])
def test_a_server_that_drips_is_a_failed_delivery_and_is_tried_again(
    dripping_server: Callable[..., Any],
    store: EventStore,
    make_message: MakeMessage,
    eventually: Eventually,
    at_once: bytes,
) -> None:
    server = dripping_server(at_once)
    store.register(["webhook"])
    hook = webhook(f"http://127.0.0.1:{server.port}/", timeout_seconds=0.3)
    with Sender(store, hook, first_wait=0.05, max_wait=0.1) as sender:
        store.append(make_message())
        eventually(lambda: sender.statistics()["failures"] >= 2)
        statistics = sender.statistics()
    assert statistics["last_error"] == f"127.0.0.1:{server.port} cannot be reached: timed out"
    assert (statistics["pending"], statistics["delivered"]) == (1, 0)
    assert server.connections >= 2


def test_a_body_without_end_is_a_success(
    dripping_server: Callable[..., Any], make_message: MakeMessage
) -> None:
    hook = webhook(f"http://127.0.0.1:{dripping_server(b'HTTP/1.1 200 OK%s' % (2 * CRLF)).port}/")
    hook.deliver([make_message()])
    hook.close()


def test_closing_ends_a_post_that_waits(
    dripping_server: Callable[..., Any], make_message: MakeMessage, eventually: Eventually
) -> None:
    server = dripping_server(b"HTTP/1.1 200 OK")
    hook = webhook(f"http://127.0.0.1:{server.port}/", timeout_seconds=600)
    failures: list[DeliveryFailed] = []

    def post() -> None:
        try:
            hook.deliver([make_message()])
        except DeliveryFailed as error:
            failures.append(error)

    thread = threading.Thread(target=post)
    thread.start()
    eventually(lambda: server.connections)
    hook.close()
    thread.join(30)
    assert failures


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_the_certificate_is_checked_against_its_own_authority(
    mosquitto: Callable[..., Any], make_message: MakeMessage, scheme: str
) -> None:
    """The broker of the tests has a certificate, and an authority that no system knows."""
    broker, other = mosquitto(tls=True), mosquitto(tls=True)
    posts: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(broker.ca.parent / "server.pem", broker.ca.parent / "server.key")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as secured:
        secured.socket = context.wrap_socket(secured.socket, server_side=True)
        thread = threading.Thread(target=secured.serve_forever, args=(0.02,))
        thread.start()
        url = f"{scheme}://127.0.0.1:{secured.server_port}/"
        if scheme == "https":
            webhook(url, ca_file=broker.ca).deliver([make_message()])
            for options in ({}, {"ca_file": other.ca}):
                reason = failure(webhook(url, **options), make_message()).reason
                assert "its certificate is not valid" in reason
        else:  # without TLS the server understands nothing
            failure(webhook(url), make_message())
        secured.shutdown()
        thread.join()
    assert len(posts) == (scheme == "https")
    with pytest.raises(InputError, match=r"Cannot use .* as the certificate authority of the webhook"):
        webhook("https://127.0.0.1/", ca_file=broker.ca.parent / "missing.pem")


def test_other_letters_in_the_address_are_sent_as_percent_signs(
    server: Server, make_message: MakeMessage
) -> None:
    hook = webhook(f"http://127.0.0.1:{server.port}/客厅 1?room=Küche%20x#part")
    hook.deliver([make_message()])
    hook.close()
    assert server.posts[0][0] == "/%E5%AE%A2%E5%8E%85%201?room=K%C3%BCche%20x"


def test_a_server_that_speaks_something_else_is_said(make_message: MakeMessage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100_000)
                connection.sendall(b"220 smtp ready\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        failed = failure(webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/"), make_message())
        thread.join()
    assert "cannot be reached" in failed.reason


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://user:hunter2@127.0.0.1/", "must not hold a user name or a password"),
        ("http://:80/", "names no server"),
        ("http://127.0.0.1:99999/", "names no server"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_not_shown(url: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        webhook(url)
    assert "hunter2" not in error.value.message


def test_over_an_outage_every_event_comes_in_order(
    store: EventStore, make_message: MakeMessage, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store.register(["webhook"])
    server = Server()
    port, url = server.port, server.url
    sent = [make_message(f"{number:032x}", kind="end") for number in range(40)]
    with Sender(store, webhook(url), first_wait=0.05, max_wait=0.1) as sender:
        server.answers = [200] * 5 + [500, 503, 422]
        store.append(*sent[:20])
        eventually(lambda: sender.statistics()["pending"] == 0)
        first = server.posts
        server.close()
        store.append(*sent[20:])
        eventually(lambda: sender.statistics()["failures"] > 4)
        server = Server(port)
        eventually(lambda: sender.statistics()["pending"] == 0)
        server.close()
        statistics: dict[str, Any] = sender.statistics()
    posts = [headers["X-DAFlow-Delivery"] for _, headers, _ in first + server.posts]
    assert list(dict.fromkeys(posts)) == [message.key for message in sent]
    assert len(posts) == 42  # two were tried again: what failed is not what was taken
    assert (statistics["delivered"], statistics["refused"]) == (39, 1)
    assert "hunter2" not in caplog.text.replace("urllib3", "") or all(
        record.name.startswith("urllib3") for record in caplog.records if "hunter2" in record.getMessage()
    )


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="The URL of the webhook needs the environment variable 'HOOK_URL'"):
        webhook("${HOOK_URL}")
    monkeypatch.setenv("HOOK_URL", "ftp://example.com/hunter2")
    with pytest.raises(InputError, match="should look like https") as caught:
        webhook("${HOOK_URL}")
    assert "hunter2" not in caught.value.message
    monkeypatch.setenv("HOOK_URL", "https://example.com")
    monkeypatch.setenv("HOOK", "hunter2")
    assert web_address("${HOOK_URL}/${HOOK}").target == "/hunter2"

"""An MQTT broker that sends what it likes: the client survives it, and a later message is delivered."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hypothesis import strategies as st

from runtime.config.schema import MqttOptions
from runtime.events.delivery import DeliveryFailed
from runtime.events.message import EventMessage
from runtime.events.mqtt import Mqtt

from ..fuzzer import Check, Fuzzer
from ..inputs import Input, mutated

CONNACK, SUBACK = b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x01"
_SECONDS = 20.0
_TRY_SECONDS = 0.5  # for a message; the next try begins when it is over


def packet(kind: int, body: bytes, size: int | None = None) -> bytes:
    """Return an MQTT packet, of which the size may be a lie."""
    size, digits = len(body) if size is None else size, []
    while not digits or size:
        digits.append(size % 128 | (128 if size >= 128 else 0))
        size //= 128
    return bytes((kind, *digits)) + body


def _publish(topic: bytes, payload: bytes, flags: int = 0, number: int = 1, size: int | None = None) -> bytes:
    quality = flags >> 1 & 3
    head = struct.pack("!H", len(topic) % 65_536) + topic + (struct.pack("!H", number) if quality else b"")
    return packet(0x30 | flags, head + payload, size)


_STATUS = b"homeassistant/status"
_VALID = CONNACK + SUBACK + _publish(_STATUS, b"online")


def _seeds() -> list[Input]:
    return [
        Input("valid.mqtt", _VALID),
        Input("topic.mqtt", CONNACK + packet(0x30, struct.pack("!H", 65_535) + b"a" * 70_000)),
        Input("ask-again.mqtt", CONNACK + SUBACK + _publish(_STATUS, b"online") * 2_000),
    ]


def _packets() -> st.SearchStrategy[bytes]:
    topics = st.sampled_from(
        (_STATUS, b"", b"a" * 65_535, b"\xff\xfe", b"\x00", b"\xed\xa0\x80", b"#", b"homeassistant/+")
    )
    payloads = st.sampled_from((b"online", b"offline", b"", b"\xff", b"x" * 100_000)) | st.binary(max_size=8)
    sizes = st.none() | st.sampled_from((0, 1, 2, 127, 128, 268_435_455, 2**28, 2**35))
    publish = st.builds(_publish, topics, payloads, st.integers(0, 15), st.integers(0, 65_535), sizes)
    other = st.builds(packet, st.integers(0, 255), st.binary(max_size=12), sizes)
    return st.lists(publish | other, min_size=1, max_size=4).map(b"".join)


def _mutated(inputs: Sequence[Input]) -> st.SearchStrategy[Input]:
    welcomed = st.builds(
        lambda start, rest: start + rest, st.sampled_from((CONNACK, CONNACK + SUBACK, b"")), _packets()
    )
    return mutated([each for each in inputs if len(each.content) < 80_000], lambda kind, _: welcomed)


class HostileBroker:
    """Answers each connection with some bytes and closes it; once they are empty it is an honest broker."""

    def __init__(self) -> None:
        self.says = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection, self.says), daemon=True).start()
                self.says = b""

    def _serve(self, connection: socket.socket, says: bytes) -> None:
        with connection, suppress(OSError):
            connection.settimeout(_SECONDS)
            if says:
                connection.recv(1_000)
                connection.sendall(says)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(100_000):
                    pass
                return
            received = b""
            while new := connection.recv(100_000):
                received = self._answer(connection, received + new)

    def _answer(self, connection: socket.socket, received: bytes) -> bytes:
        """Answer all whole packets; return the rest."""
        while True:
            size, at, shift = 0, 1, 0
            while at < len(received):
                size |= (received[at] & 127) << shift
                shift, at = shift + 7, at + 1
                if received[at - 1] < 128:
                    break
            else:
                return received
            if len(received) < at + size:
                return received
            kind, body, received = received[0], received[at : at + size], received[at + size :]
            if kind >> 4 == 1:
                connection.sendall(CONNACK)
            elif kind >> 4 == 8:
                connection.sendall(b"\x90\x03" + body[:2] + b"\x01")
            elif kind >> 4 == 3 and kind & 6:
                end = 2 + struct.unpack("!H", body[:2])[0]
                connection.sendall(b"\x40\x02" + body[end : end + 2])
            elif kind >> 4 == 12:
                connection.sendall(b"\xd0\x00")

    def close(self) -> None:
        """Accept nobody any more."""
        self._listener.close()


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    broker = HostileBroker()
    failed: list[BaseException] = []
    former = threading.excepthook
    threading.excepthook = lambda args: failed.append(args.exc_value or RuntimeError())
    options = MqttOptions.model_validate({"host": "127.0.0.1", "port": broker.port})
    message = EventMessage("a" * 32, 0, "begin", "door", 0.0, {"score": 4.5})

    def check(given: Input) -> None:
        broker.says = given.content
        mqtt = Mqtt(options, ["door"], timeout=_TRY_SECONDS)
        mqtt._client.reconnect_delay_set(0.01, 0.02)  # type: ignore[arg-type]
        try:
            _deliver(mqtt, message)
        finally:
            mqtt.close()
        if failed:
            raise failed.pop()

    try:
        yield check
    finally:
        threading.excepthook = former
        broker.close()


def _deliver(mqtt: Mqtt, message: EventMessage) -> None:
    """Deliver a message; some tries may fail because of what the broker said."""
    end = time.monotonic() + _SECONDS
    while True:
        try:
            mqtt.deliver([message])
            return
        except DeliveryFailed:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


FUZZER = Fuzzer(_seeds, _mutated, _opened)

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from runtime.web import stream as module
from runtime.web.stream import LiveStream, Subscriber

from .conftest import World


def cameras(body: bytes) -> dict[str, Any]:
    return dict(json.loads(body.split(b"data: ")[1])["cameras"])


def join(stream: LiveStream, visitor: str = "") -> Subscriber:
    subscriber = stream.join(visitor)
    assert subscriber is not None
    return subscriber


def test_nobody_keeps_everybody_else_out(world: World) -> None:
    async def run() -> None:
        stream = LiveStream(world.live, max_clients=4)
        greedy = [join(stream, "a") for _ in range(4)]
        assert stream.join("a") is None
        others = [join(stream, "b"), join(stream, "c")]
        assert stream.join("b") is None, "each has one or two"
        assert [each in stream._subscribers for each in greedy] == [False, False, True, True]
        assert all(each in stream._subscribers for each in others)

        async def take(_: bytes) -> None: ...

        await asyncio.wait_for(stream.serve({}, take, greedy[0]), 5)

    asyncio.run(run())


def test_a_client_that_reads_nothing_is_disconnected(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SEND_TIMEOUT", 0.1)

    async def run() -> None:
        stream = LiveStream(world.live, max_clients=1)

        async def never(_: bytes) -> None:
            assert stream.join() is None
            await asyncio.sleep(60)

        await asyncio.wait_for(stream.serve({}, never, join(stream)), 5)
        assert stream.join() is not None

    asyncio.run(run())


def test_a_slow_client_gets_the_newest_of_every_camera(world: World) -> None:
    world.add("yard", seed=3)
    sent: list[dict[str, Any]] = []

    async def run() -> None:
        stream = LiveStream(world.live)

        async def slow(body: bytes) -> None:
            if b"event: hello" in body:
                return
            sent.append(cameras(body))
            if len(sent) == 1:
                world.show("yard", 100)
                for frame in range(100, 110):
                    world.show("entrance", frame)
                    await asyncio.sleep(0.05)
            else:
                stream.close()

        await asyncio.wait_for(stream.serve({}, slow, join(stream)), 10)

    asyncio.run(run())
    assert sent[0] == {}
    assert (sent[1]["entrance"]["n"] >= 7, sent[1]["yard"]["n"]) == (True, 1)


def test_nothing_is_encoded_without_clients(world: World) -> None:
    async def run() -> None:
        stream = LiveStream(world.live)
        world.show("entrance", 100)
        await asyncio.sleep(0.3)
        assert stream._encoded == {}

    asyncio.run(run())


def test_a_new_client_takes_no_messages_from_another(world: World) -> None:
    sent: dict[str, list[int]] = {"first": [], "second": []}

    async def run() -> None:
        stream = LiveStream(world.live)

        def client(name: str) -> Any:
            async def take(body: bytes) -> None:
                if b"event: live" in body and (seen := cameras(body)):
                    sent[name].append(seen["entrance"]["n"])

            return asyncio.create_task(stream.serve({}, take, join(stream)))

        first = client("first")
        await asyncio.sleep(0.05)
        world.show("entrance", 100)
        second = client("second")
        while not (sent["first"] and sent["second"]):
            await asyncio.sleep(0.01)
        stream.close()
        await asyncio.gather(first, second)

    asyncio.run(asyncio.wait_for(run(), 10))
    assert sent == {"first": [1], "second": [1]}


def test_a_removed_camera_is_sent_to_no_client(world: World) -> None:
    world.add("yard", seed=3)
    sent: list[set[str]] = []

    async def run() -> None:
        stream = LiveStream(world.live)

        async def take(body: bytes) -> None:
            if b"event: live" in body:
                sent.append(set(cameras(body)))
                stream.close()

        for camera in ("entrance", "yard"):
            world.show(camera, 100)
        await asyncio.wait_for(stream.serve({}, take, join(stream)), 10)
        stream.closed = False
        world.live.remove_camera("yard")
        await asyncio.wait_for(stream.serve({}, take, join(stream)), 10)

    asyncio.run(run())
    assert sent == [{"entrance", "yard"}, {"entrance"}]

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from runtime.web import stream as module
from runtime.web.stream import Stream

from .conftest import World


def cameras(body: bytes) -> dict[str, Any]:
    return dict(json.loads(body.split(b"data: ")[1])["cameras"])


def test_a_visitor_who_takes_nothing_is_let_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)

    async def run() -> None:
        stream = Stream(world.live, longest=1)

        async def never(_: bytes) -> None:
            assert stream.full
            await asyncio.sleep(60)

        await asyncio.wait_for(stream.serve({}, never), 5)
        assert not stream.full

    asyncio.run(run())


def test_a_slow_visitor_gets_the_newest_of_every_camera(world: World) -> None:
    world.add("yard", seed=3)
    told: list[dict[str, Any]] = []

    async def run() -> None:
        stream = Stream(world.live)

        async def slow(body: bytes) -> None:
            if b"event: hello" in body:
                return
            told.append(cameras(body))
            if len(told) == 1:
                world.show("yard", 100)
                for frame in range(100, 110):
                    world.show("entrance", frame)
                    await asyncio.sleep(0.05)
            else:
                stream.close()

        await asyncio.wait_for(stream.serve({}, slow), 10)

    asyncio.run(run())
    assert told[0] == {}
    assert (told[1]["entrance"]["n"] >= 7, told[1]["yard"]["n"]) == (True, 1)


def test_nothing_is_encoded_while_nobody_looks(world: World) -> None:
    async def run() -> None:
        stream = Stream(world.live)
        world.show("entrance", 100)
        await asyncio.sleep(0.3)
        assert stream._encoded == {}

    asyncio.run(run())


def test_a_newcomer_takes_nothing_from_who_is_there(world: World) -> None:
    told: dict[str, list[int]] = {"first": [], "second": []}

    async def run() -> None:
        stream = Stream(world.live)

        def visitor(name: str) -> Any:
            async def take(body: bytes) -> None:
                if b"event: live" in body and (seen := cameras(body)):
                    told[name].append(seen["entrance"]["n"])

            return asyncio.create_task(stream.serve({}, take))

        first = visitor("first")
        await asyncio.sleep(0.05)
        world.show("entrance", 100)
        second = visitor("second")
        while not (told["first"] and told["second"]):
            await asyncio.sleep(0.01)
        stream.close()
        await asyncio.gather(first, second)

    asyncio.run(asyncio.wait_for(run(), 10))
    assert told == {"first": [1], "second": [1]}


def test_a_camera_that_is_forgotten_is_told_to_nobody(world: World) -> None:
    world.add("yard", seed=3)
    told: list[set[str]] = []

    async def run() -> None:
        stream = Stream(world.live)

        async def take(body: bytes) -> None:
            if b"event: live" in body:
                told.append(set(cameras(body)))
                stream.close()

        for camera in ("entrance", "yard"):
            world.show(camera, 100)
        await asyncio.wait_for(stream.serve({}, take), 10)
        stream.closed = False
        world.live.forget("yard")
        await asyncio.wait_for(stream.serve({}, take), 10)

    asyncio.run(run())
    assert told == [{"entrance", "yard"}, {"entrance"}]

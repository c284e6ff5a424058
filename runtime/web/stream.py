"""Server-Sent Events: what the cameras see, about eight times a second, to all visitors at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from runtime.web.json_messages import camera_message
from runtime.web.live_state import LiveState

_INTERVAL = 0.125  # seconds
_HEARTBEAT = 2.0  # seconds after which a message is sent though nothing is new
_PATIENCE = 20.0  # seconds that a visitor may take nothing, before it is let go


class Visitor:
    """What one visitor has not been told yet: at most one message per camera, the newest."""

    def __init__(self) -> None:
        self.waiting: dict[str, str] = {}
        self.wake = asyncio.Event()


class Stream:
    """Tells every visitor what is new; nothing is encoded while nobody looks.

    Use it from one event loop only.

    Args:
        live: what the cameras see.
        longest: how many visitors may look at once.
    """

    def __init__(self, live: LiveState, longest: int = 32) -> None:
        self._live = live
        self._longest = longest
        self._visitors: set[Visitor] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._numbers: dict[str, int] = {}
        self._encoded: dict[str, str] = {}
        self.closed = False

    @property
    def full(self) -> bool:
        """Whether nobody more may look."""
        return self.closed or len(self._visitors) >= self._longest

    def close(self) -> None:
        """Send everybody home; may be called from any thread."""
        self.closed = True
        if self._ticking:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._ticking.get_loop().call_soon_threadsafe(self._end)

    def _end(self) -> None:
        for visitor in self._visitors:
            visitor.wake.set()
        if self._ticking:
            self._ticking.cancel()

    async def serve(self, hello: dict[str, Any], send: Callable[[bytes], Awaitable[None]]) -> None:
        """Send to one visitor until it is too slow or the server stops; cancel it when the visitor is gone."""
        visitor = Visitor()
        self._spread()
        visitor.waiting.update(self._encoded)
        visitor.wake.set()
        self._visitors.add(visitor)
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.get_running_loop().create_task(self._tick())
        try:
            await _sent(send, f"retry: 2000\nevent: hello\ndata: {json.dumps(hello)}\n\n")
            while not self.closed:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(visitor.wake.wait(), _HEARTBEAT)
                visitor.wake.clear()
                cameras = ",".join(visitor.waiting.values())
                visitor.waiting.clear()
                await _sent(
                    send, f'event: live\ndata: {{"now":{time.time():.3f},"cameras":{{{cameras}}}}}\n\n'
                )
        except (asyncio.TimeoutError, OSError):
            pass  # too slow, or gone
        finally:
            self._visitors.discard(visitor)

    async def _tick(self) -> None:
        while self._visitors:
            await asyncio.sleep(_INTERVAL)
            self._spread()

    def _spread(self) -> None:
        """Encode the cameras that have something new, once for all visitors."""
        new = {}
        cameras = self._live.cameras()
        for name in self._numbers.keys() - cameras.keys():
            del self._numbers[name], self._encoded[name]
        for name, seen in cameras.items():
            if self._numbers.get(name) != seen.number:
                self._numbers[name] = seen.number
                content = json.dumps(camera_message(seen), separators=(",", ":"), allow_nan=False)
                new[name] = f"{json.dumps(name)}:{content}"
        self._encoded.update(new)
        for visitor in self._visitors if new else ():
            visitor.waiting.update(new)
            visitor.wake.set()


async def _sent(send: Callable[[bytes], Awaitable[None]], text: str) -> None:
    await asyncio.wait_for(send(text.encode()), _PATIENCE)

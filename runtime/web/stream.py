"""Server-Sent Events: the state of the cameras, about eight times per second, to all clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from runtime.web.json_messages import camera_message
from runtime.web.live_state import LiveState

_INTERVAL = 0.125  # seconds
_NOTICE_INTERVAL = 1.0  # seconds
_HEARTBEAT = 2.0  # seconds after which a message is sent although nothing is new
_SEND_TIMEOUT = 20.0  # seconds after which a client that reads nothing is disconnected


class Subscriber:
    """What is not yet sent to one client: at most one message per camera and one notice of each name, the newest.

    Args:
        visitor: whose client it is.
    """

    def __init__(self, visitor: str = "") -> None:
        self.visitor = visitor
        self.waiting: dict[str, str] = {}
        self.notices: dict[str, str] = {}
        self.wake = asyncio.Event()


class LiveStream:
    """Sends changes to every client; nothing is encoded without clients.

    When there are too many clients, a visitor with fewer clients than another takes the place of the other's oldest:
    nobody keeps everybody else out. Use it from one event loop only.

    Args:
        live: the state of the cameras.
        max_clients: how many clients may be connected at the same time.
        notices: returns what else is sent when it changes, by the name of its event; asked once a second.
    """

    def __init__(
        self, live: LiveState, max_clients: int = 32, notices: Callable[[], dict[str, Any]] = dict
    ) -> None:
        self._live = live
        self._notices = notices
        self._noticed: dict[str, str] = {}
        self._asked = -math.inf
        self._max_clients = max_clients
        self._subscribers: dict[Subscriber, None] = {}  # the oldest first
        self._ticker: asyncio.Task[None] | None = None
        self._numbers: dict[str, int] = {}
        self._encoded: dict[str, str] = {}
        self.closed = False

    def join(self, visitor: str = "") -> Subscriber | None:
        """Return a place for a client of a visitor, None when it gets none; `leave` gives it back."""
        if self.closed:
            return None
        if len(self._subscribers) >= self._max_clients:
            clients = Counter(subscriber.visitor for subscriber in self._subscribers)
            greedy, most = clients.most_common(1)[0]
            if most <= clients[visitor] + 1:
                return None
            self.leave(next(each for each in self._subscribers if each.visitor == greedy))
        subscriber = Subscriber(visitor)
        self._subscribers[subscriber] = None
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Disconnect a client."""
        self._subscribers.pop(subscriber, None)
        subscriber.wake.set()

    def close(self) -> None:
        """Disconnect all clients; may be called from any thread."""
        self.closed = True
        if self._ticker:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._ticker.get_loop().call_soon_threadsafe(self._end)

    def _end(self) -> None:
        for subscriber in self._subscribers:
            subscriber.wake.set()
        if self._ticker:
            self._ticker.cancel()

    async def serve(
        self, hello: dict[str, Any], send: Callable[[bytes], Awaitable[None]], subscriber: Subscriber
    ) -> None:
        """Send to one client until it is too slow or the server stops; cancel it when the client disconnects."""
        self._publish()
        subscriber.waiting.update(self._encoded)
        subscriber.notices.update(self._noticed)
        subscriber.wake.set()
        if self._ticker is None or self._ticker.done():
            self._ticker = asyncio.get_running_loop().create_task(self._tick())
        try:
            await _send_text(send, f"retry: 2000\nevent: hello\ndata: {json.dumps(hello)}\n\n")
            while not self.closed and subscriber in self._subscribers:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(subscriber.wake.wait(), _HEARTBEAT)
                subscriber.wake.clear()
                cameras = ",".join(subscriber.waiting.values())
                notices = "".join(
                    f"event: {name}\ndata: {text}\n\n" for name, text in subscriber.notices.items()
                )
                subscriber.waiting.clear()
                subscriber.notices.clear()
                live = f'event: live\ndata: {{"now":{time.time():.3f},"cameras":{{{cameras}}}}}\n\n'
                await _send_text(send, notices + live)
        except (asyncio.TimeoutError, OSError):
            pass  # too slow, or disconnected
        finally:
            self.leave(subscriber)

    async def _tick(self) -> None:
        while self._subscribers:
            await asyncio.sleep(_INTERVAL)
            self._publish()

    def _publish(self) -> None:
        """Encode the cameras and notices that have changed, once for all clients."""
        self._publish_notices()
        new = {}
        cameras = self._live.cameras()
        for name in self._numbers.keys() - cameras.keys():
            del self._numbers[name], self._encoded[name]
        for name, state in cameras.items():
            if self._numbers.get(name) != state.number:
                self._numbers[name] = state.number
                content = json.dumps(camera_message(state), separators=(",", ":"), allow_nan=False)
                new[name] = f"{json.dumps(name)}:{content}"
        self._encoded.update(new)
        for subscriber in self._subscribers if new else ():
            subscriber.waiting.update(new)
            subscriber.wake.set()

    def _publish_notices(self) -> None:
        if time.monotonic() - self._asked < _NOTICE_INTERVAL:
            return
        self._asked = time.monotonic()
        encoded = {name: json.dumps(content, allow_nan=False) for name, content in self._notices().items()}
        new = {name: text for name, text in encoded.items() if self._noticed.get(name) != text}
        self._noticed = encoded
        for subscriber in self._subscribers if new else ():
            subscriber.notices.update(new)
            subscriber.wake.set()


async def _send_text(send: Callable[[bytes], Awaitable[None]], text: str) -> None:
    await asyncio.wait_for(send(text.encode()), _SEND_TIMEOUT)

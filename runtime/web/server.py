"""The web server, in a thread of its own."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from daflow.core.errors import InputError, unusable_package
from runtime.config.secrets import read_secret
from runtime.config.serve_options import ServeOptions
from runtime.events.arming import Arming
from runtime.events.labels import AlarmLabels
from runtime.web.access import MIN_TOKEN, Access
from runtime.web.app import STREAM_PATH, AlarmHistory, Privacy, WebApp
from runtime.web.connections import ConnectionLimits, http_protocol
from runtime.web.health_reader import Snapshot
from runtime.web.live_state import LiveState
from runtime.web.visitors import Visitors
from runtime.web.zones_endpoint import SaveZones

logger = logging.getLogger(__name__)

_SHUTDOWN_SECONDS = 1  # that responses may take when the server stops
_TCP_TIMEOUT_SECONDS = 60  # after which the connection of a client that acknowledges nothing is closed


@dataclass(frozen=True)
class RunningServer:
    """A server that is running.

    Attributes:
        url: the address of the page.
        needs_token: whether visitors must give a token.
    """

    url: str
    needs_token: bool
    _thread: threading.Thread

    @property
    def alive(self) -> bool:
        """Whether it is still running."""
        return self._thread.is_alive()


@contextmanager
def serve(
    options: ServeOptions,
    live: LiveState,
    store: AlarmHistory,
    health: Callable[[], Snapshot],
    privacy: Privacy,
    arming: Arming | None = None,
    labels: AlarmLabels | None = None,
    save_zones: SaveZones | None = None,
) -> Iterator[RunningServer]:
    """Serve the live page, its data, /metrics, /health and /ready until the block is left.

    Args:
        options: the address and the token; port 0 is any free one.
        live: the state of the cameras; it must be a sink of the service.
        store: the alarms.
        health: returns the health snapshot of the service; called in a thread of its own.
        privacy: with `skeletons` no picture is served.
        arming: of the cameras; None for a page on which nobody arms them.
        labels: what is said of alarms, by the operator; None for a page on which nothing is said.
        save_zones: keeps the zones of a camera and applies them; None for a page on which nobody draws any.

    Raises:
        InputError: the address cannot be used, it is not loopback and there is no token, or a package is missing.
    """
    try:
        import prometheus_client  # noqa: F401  # fail now rather than at the first request of Prometheus
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise unusable_package(error, error.name or "uvicorn", "edge") from None
    host, tokens = check_serving(options)
    listening = _listen(options.address or "")
    try:
        loopback = ipaddress.ip_address(listening.getsockname()[0]).is_loopback
        hosts = frozenset({host.lower(), *options.hosts}) if loopback or options.hosts else None
        visitors = Visitors(options.trusted_proxies)
        access = Access(tokens.operator, hosts, store, visitors, tokens.viewer)
        app = WebApp(live, store, health, privacy, access, arming, labels, save_zones)
        config = uvicorn.Config(
            app.asgi(),
            http=http_protocol(ConnectionLimits(visitors.is_proxy), frozenset({STREAM_PATH})),
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="error",  # anybody can cause its warnings
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), name="web", daemon=True)
        thread.start()
    except BaseException:
        listening.close()
        raise
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listening.getsockname()[1]}/"
    logger.info("the live page is at %s", url)
    if tokens.operator is None and (options.hosts or options.trusted_proxies):
        logger.warning("the live page needs no token: whoever reaches the proxy before it sees all of it")
    try:
        yield RunningServer(url, tokens.operator is not None, thread)
    finally:
        server.should_exit = True
        app.stream.close()
        thread.join(_SHUTDOWN_SECONDS + 4)
        listening.close()


class Tokens(NamedTuple):
    """The tokens of the live page.

    Attributes:
        operator: of who may see and change; None lets everybody see.
        viewer: of who may see, beside the other; None when there is no such token.
    """

    operator: str | None
    viewer: str | None


def check_serving(options: ServeOptions) -> tuple[str, Tokens]:
    """Return the host of the address and the tokens.

    Raises:
        InputError: the address is invalid, a token cannot be read, is too short or stands alone, or one is missing.
    """
    operator = _token("the token of the live page", options.token_file, options.token_env)
    viewer = _token(
        "the viewers' token of the live page", options.viewer_token_file, options.viewer_token_env
    )
    if viewer is not None and operator is None:
        raise InputError(
            "The live page has a token for viewers and none for the operator. Set serve.token_file or serve.token_env."
        )
    if viewer is not None and viewer == operator:
        raise InputError(
            "The token of the live page and that for viewers are the same. Choose another for viewers."
        )
    address = options.address or ""
    if operator is None and not ipaddress.ip_address(_resolve(address)[4][0]).is_loopback:
        raise InputError(
            f"The live page at {address} can be reached from other machines and needs a token. Set serve.token_file to "
            "a file or serve.token_env to an environment variable, or serve at 127.0.0.1."
        )
    return _split(address)[0], Tokens(operator, viewer)


def _token(what: str, file: Path | None, variable: str | None) -> str | None:
    secret = read_secret(what, file, variable)
    if secret is None:
        return None
    if len(token := secret.reveal()) < MIN_TOKEN:
        raise InputError(
            f"{what[0].upper()}{what[1:]} is shorter than {MIN_TOKEN} characters. Choose a longer one."
        )
    return token


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if int(port) > 65535:
        raise InputError(f"The port of the address {address} is above 65535.")
    return host.strip("[]"), int(port)


def _resolve(address: str) -> Any:
    host, port = _split(address)
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise InputError(f"Cannot serve the live page at {address}: {error.strerror}.") from None


def _listen(address: str) -> socket.socket:
    family, kind, protocol, _, place = _resolve(address)
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Closes connections of clients that vanish or read nothing; accepted sockets inherit it.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_TIMEOUT_SECONDS * 1000)
        listening.bind(place)
        listening.listen(64)
    except OSError as error:
        listening.close()
        reason = "another program uses this port" if error.errno == errno.EADDRINUSE else error.strerror
        raise InputError(f"Cannot serve the live page at {address}: {reason}.") from None
    return listening

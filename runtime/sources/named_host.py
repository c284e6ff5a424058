"""Nothing but the host and port in a camera's address is connected to, wherever its answers lead.

A camera can answer with a redirect, or with a playlist whose segments lie elsewhere, and so let this device ask hosts
that only it can reach. FFmpeg has no option against that which holds for HTTP, HLS and RTSP. But it says in its log
where it is about to connect to by TCP, and waits until the log is written. There the process is ended. With
`#transport=udp` RTSP is asked by TCP, but its media goes by UDP to the host that the camera's answer names.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import socket
from urllib.parse import urlsplit

from runtime.sources.child_program import fail

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}  # FFmpeg's
_CONNECTS = re.compile(r"Starting connection attempt to (\S+) port (\d+)")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")  # which would connect in FFmpeg's place


class NamedHost(logging.Handler):
    """Ends this process with a message on standard error before FFmpeg connects to another host or port.

    From http:// to https:// of the same host is allowed. It holds for the whole process, from `install` on.

    Args:
        address: rtsp, rtsps, http or https.
    """

    def __init__(self, address: str) -> None:
        super().__init__()
        parts = urlsplit(address)
        self._host = parts.hostname or ""
        self._ports = {parts.port or _PORTS[parts.scheme]} | ({443} if parts.scheme == "http" else set())
        self._addresses: set[_Address] = set()
        self._asked = False

    def install(self) -> None:
        """Listen to FFmpeg's log from now on."""
        import av

        for name in _PROXIES:
            os.environ.pop(name, None)
        messages = logging.getLogger("libav")
        messages.setLevel(logging.DEBUG)
        messages.propagate = False
        messages.addHandler(self)
        av.logging.set_skip_repeated(False)
        av.logging.set_level(av.logging.VERBOSE)

    def require_asked(self) -> None:
        """End the process if FFmpeg has connected without saying so, as another version of it might.

        Call it once the address is open.
        """
        if not self._asked:
            fail(
                "this version of FFmpeg does not say where it connects to; install the av of constraints.txt"
            )

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a message of FFmpeg."""
        if (found := _CONNECTS.search(record.getMessage())) is None:
            return
        self._asked = True
        host, port = found[1], int(found[2])
        if port not in self._ports or not self._is_named(host):
            fail(
                f"it leads to {host} port {port}, another host or port than the named one, which is not asked"
            )

    def _is_named(self, address: str) -> bool:
        """Whether an address is one that the name has had: the answers for it may change while a stream lasts."""
        try:
            wanted = _without_zone(address)
            if wanted not in self._addresses:
                found = socket.getaddrinfo(self._host, None, type=socket.SOCK_STREAM)
                self._addresses |= {_without_zone(str(entry[4][0])) for entry in found}
            return wanted in self._addresses
        except (OSError, ValueError):
            return False


def _without_zone(address: str) -> _Address:
    """Return an address without the interface of a link-local one, which FFmpeg tells and Python does not."""
    return ipaddress.ip_address(address.partition("%")[0])

"""Notifies systemd: ready, alive, reloading, stopping (sd_notify(3)); does nothing where systemd did not ask."""

from __future__ import annotations

import os
import socket
import time


def notify(*lines: str) -> None:
    """Send assignments such as `READY=1` to the socket in NOTIFY_SOCKET."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    name = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(1.0)  # a full queue of systemd must not stop the service
            sender.sendto("\n".join(lines).encode(), name)
    except OSError:
        pass  # systemd does not listen, and a service must not fail for that


def notify_reloading() -> None:
    """Say that the configuration is being reloaded; `READY=1` ends it."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

"""Cameras and recordings: whether a picture comes, read as daflow-edge reads it."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from daflow.core.data.tracks import FrameSize
from daflow.core.errors import InputError
from runtime.doctor.findings import Finding
from runtime.machine.board import Machine
from runtime.sources.child_process import SourceLostError
from runtime.sources.redaction import Redactor, redacted, with_environment
from runtime.sources.uri import connector, is_live, open_source

Look = Callable[[str], FrameSize]

_CONNECT_TIMEOUT_S = 3.0
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_ADVICE = (
    (r"\b40[13]\b|[Uu]nauthorized|[Ff]orbidden", "User name or password are wrong or missing in its address"),
    (r"\b404\b|[Nn]ot [Ff]ound", "The camera is there, and its path is another: look it up in the camera's manual"),
    (r"[Bb]usy", "Another program reads it, daflow-edge itself perhaps"),
)  # fmt: skip


def first_picture(uri: str) -> FrameSize:
    """Return width and height of the first picture of a source; (0, 0) when a recording holds none.

    Raises:
        InputError: the source is named wrongly, or a recording cannot be read.
        SourceLostError: the camera gives no picture.
    """
    if is_live(uri):
        connection = connector(uri)()
        try:
            picture = next(iter(connection)).picture
            return picture.width, picture.height
        finally:
            connection.stop()
            connection.close()
    with open_source(uri) as source:
        return next((frame.size for frame in source), (0, 0))


def source(machine: Machine, name: str, uri: str, look: Look = first_picture) -> Finding:
    """Say whether the first picture of a source comes.

    Args:
        machine: where its device is.
        name: what the finding is called.
        uri: as daflow-edge takes it.
        look: returns the size of the first picture.
    """
    redactor = Redactor(uri)
    shown = redactor(redacted(uri))
    try:
        finding = _refused(machine, name, with_environment(uri))
        if finding is None:
            width, height = look(uri)
            if not width:
                return Finding(name, "problem", f"{shown}: it holds no picture", "Name another recording")
            return Finding(name, "ok", f"{shown}, {width}x{height}")
        return replace(finding, found=f"{shown}: {redactor(finding.found)}")
    except InputError as error:  # its message holds no secret, and examples of addresses
        message = error.message if shown and shown in error.message else f"{shown}: {error.message}"
        return Finding(name, "problem", message)
    except (SourceLostError, OSError) as error:
        found = redactor(str(error))
        usual = "See that the camera is on, and that its address is right"
        advice = next((text for pattern, text in _ADVICE if re.search(pattern, found)), usual)
        return Finding(name, "problem", f"{shown}: {found}", advice)


def _refused(machine: Machine, name: str, uri: str) -> Finding | None:
    """What can be said before a picture is asked for: nobody listens, or the device is missing or locked."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() in _PORTS:
        return _nobody_listens(name, uri)
    if uri.isdigit() or scheme == "v4l2":
        path = f"dev/video{uri}" if uri.isdigit() else rest.partition("?")[0].lstrip("/")
        return _no_device(machine, name, path)
    if scheme == "csi" and machine.run(["gst-inspect-1.0", "--exists", "nvarguscamerasrc"]).returncode != 0:
        advice = "JetPack brings it: apt-get install nvidia-l4t-gstreamer gstreamer1.0-tools"
        return Finding(name, "problem", "no nvarguscamerasrc", advice)
    return None


def _nobody_listens(name: str, uri: str) -> Finding | None:
    connector(uri)  # says so when it is no address
    address = urlsplit(uri)
    return unreachable(name, address.hostname or "", address.port or _PORTS[address.scheme])


def unreachable(name: str, host: str, port: int) -> Finding | None:
    """Return what is wrong when nobody listens at a port, else None."""
    try:
        socket.create_connection((host, port), timeout=_CONNECT_TIMEOUT_S).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no answer"
        return Finding(name, "problem", f"port {port}: {reason}", "See that it is on, and its address right")
    return None


def _no_device(machine: Machine, name: str, path: str) -> Finding | None:
    device = machine.root / path
    if not device.exists():
        advice = "Plug the camera in; v4l2-ctl --list-devices shows which there are"
        return Finding(name, "problem", f"no /{path}", advice)
    if not os.access(device, os.R_OK | os.W_OK):
        advice = "Add the user to the group video and log in again: sudo usermod -aG video $USER"
        return Finding(name, "problem", f"/{path} may not be used", advice)
    return None

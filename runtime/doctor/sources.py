"""Findings about cameras and recordings: whether their name is right, and whether a picture comes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.resampling import reason_against_rate
from daflow.core.errors import InputError
from runtime.deadline import Deadline, connect
from runtime.doctor.findings import Finding
from runtime.machine.board import Machine
from runtime.sources.camera import DENIED
from runtime.sources.child_process import SourceLostError
from runtime.sources.orientation import upright
from runtime.sources.redaction import Redactor, redacted, with_environment
from runtime.sources.uri import connector, decoder_of, is_live, open_source


@dataclass(frozen=True)
class FirstPicture:
    """Width and height of the first picture of a source, (0, 0) without one, and its nominal frame rate if known."""

    size: FrameSize
    fps: float | None = None


Look = Callable[[str], FirstPicture]

_CONNECT_TIMEOUT_S = 3.0  # a port on a local network answers within milliseconds
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_ADVICE = (
    (DENIED.pattern, "The user name or the password in its address is wrong or missing"),
    (r"\b404\b|[Nn]ot [Ff]ound", "The camera answers, but not at this path: look the path up in the camera's manual"),
    (r"[Bb]usy", "Another program uses it, perhaps daflow-edge itself"),
)  # fmt: skip


def first_picture(uri: str) -> FirstPicture:
    """Return the first picture of a source.

    Raises:
        InputError: the name of the source is wrong, or a recording cannot be read.
        SourceLostError: the camera sends no picture.
    """
    if is_live(uri):
        connection = connector(uri)()
        try:
            picture = next(iter(connection))
            image = upright(picture.picture, picture.matrix)
            return FirstPicture((image.shape[1], image.shape[0]), connection.fps)
        finally:
            connection.stop()
            connection.close()
    with open_source(uri) as source:
        return FirstPicture(next((frame.size for frame in source), (0, 0)), source.fps)


def source(
    machine: Machine,
    name: str,
    uri: str,
    look: Look | None = first_picture,
    model_fps: float | None = None,
) -> Finding:
    """Check a source: its name, and with `look` also whether its first picture comes.

    Args:
        machine: where its device is.
        name: what the finding is called.
        uri: as daflow-edge takes it.
        look: returns the first picture; with None recordings are opened and cameras are not connected to.
        model_fps: frames per second of the model, which the source's are compared with.
    """
    redactor = Redactor(uri)
    shown = redactor(redacted(uri))
    try:
        if look is None:
            open_source(uri).__exit__()  # not entered, so that no camera is connected to
            return Finding(name, "ok", shown)
        finding = _unavailable(machine, name, with_environment(uri))
        if finding is None:
            return _with_decoder(_picture(name, shown, look(uri), model_fps), uri)
        return replace(finding, found=f"{shown}: {redactor(finding.found)}")
    except InputError as error:  # its message holds no secret, and examples of addresses
        message = error.message if shown and shown in error.message else f"{shown}: {error.message}"
        return Finding(name, "problem", message)
    except (SourceLostError, OSError) as error:
        found = redactor(str(error))
        usual = "Check that the camera is on, and that its address is right"
        advice = next((text for pattern, text in _ADVICE if re.search(pattern, found)), usual)
        return Finding(name, "problem", f"{shown}: {found}", advice)


def _with_decoder(finding: Finding, uri: str) -> Finding:
    """Say of a network camera that works what decodes it."""
    if finding.state != "ok" or (decoder := decoder_of(uri)) is None:
        return finding
    return replace(finding, found=f"{finding.found}, {decoder}")


def _picture(name: str, shown: str, picture: FirstPicture, model_fps: float | None) -> Finding:
    width, height = picture.size
    if not width:
        return Finding(name, "problem", f"{shown}: it has no picture", "Name another recording")
    found = f"{shown}, {width}x{height}"
    if picture.fps is None:
        return Finding(name, "ok", found)
    if model_fps and (reason := reason_against_rate(picture.fps, model_fps)):
        advice = "Set another rate at the camera, or train on recordings of this camera"
        return Finding(name, "problem", f"{found}: {reason}", advice)
    return Finding(name, "ok", f"{found}, {picture.fps:.3g} frames per second")


def _unavailable(machine: Machine, name: str, uri: str) -> Finding | None:
    """What is wrong before a picture is asked for: nothing listens at the port, or the device is missing or locked."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() in _PORTS:
        return _closed_port(name, uri)
    if uri.isdigit() or scheme == "v4l2":
        path = f"dev/video{uri}" if uri.isdigit() else rest.partition("?")[0].lstrip("/")
        return _unusable_device(machine, name, path)
    if scheme == "csi" and machine.run(["gst-inspect-1.0", "--exists", "nvarguscamerasrc"]).returncode != 0:
        advice = "JetPack has it: apt-get install nvidia-l4t-gstreamer gstreamer1.0-tools"
        return Finding(name, "problem", "no nvarguscamerasrc", advice)
    return None


def _closed_port(name: str, uri: str) -> Finding | None:
    connector(uri)  # raises when the address is invalid
    address = urlsplit(uri)
    return unreachable(name, address.hostname or "", address.port or _PORTS[address.scheme])


def unreachable(name: str, host: str, port: int) -> Finding | None:
    """Return the finding when a port does not answer, else None."""
    try:
        connect(host, port, Deadline(_CONNECT_TIMEOUT_S)).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no answer"
        return Finding(
            name, "problem", f"port {port}: {reason}", "Check that it is on, and that its address is right"
        )
    return None


def _unusable_device(machine: Machine, name: str, path: str) -> Finding | None:
    device = machine.root / path
    if not device.exists():
        advice = "Plug the camera in; v4l2-ctl --list-devices shows which there are"
        return Finding(name, "problem", f"no /{path}", advice)
    if not os.access(device, os.R_OK | os.W_OK):
        advice = "Add the user to the group video and log in again: sudo usermod -aG video $USER"
        return Finding(name, "problem", f"/{path} may not be used by this user", advice)
    return None

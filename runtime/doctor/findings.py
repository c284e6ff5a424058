"""What a check of the machine found, and what the machine must have for what it is to do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from runtime.config.schema import Config
from runtime.sources.uri import is_live, needs_poses

State = Literal["ok", "warning", "problem", "absent"]

_NETWORK = ("rtsp:", "rtsps:", "http:", "https:")


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        name: what was looked at.
        state: `problem` stops daflow-edge, `warning` is worth a look, `absent` is not there and need not be.
        found: what is there, in a few words.
        advice: what helps, None when nothing needs to be done.
    """

    name: str
    state: State
    found: str
    advice: str | None = None


@dataclass(frozen=True)
class Needs:
    """What is needed; None where nobody said.

    Attributes:
        pictures: people are found in pictures, by MediaPipe or a plug-in.
        pose_model: MediaPipe's model is looked for in the usual folder.
        gstreamer: a camera is read by GStreamer.
        tensorrt: the model runs on TensorRT.
        mqtt: events go to a broker.
        webhook: events go to a web server.
        page: there is a live page.
    """

    pictures: bool | None = None
    pose_model: bool | None = None
    gstreamer: bool | None = None
    tensorrt: bool | None = None
    mqtt: bool | None = None
    webhook: bool | None = None
    page: bool | None = None


def needs_of(config: Config | None, sources: Collection[str]) -> Needs:
    """Return what a configuration, or sources alone, need.

    >>> needs_of(None, ["synthetic:"]).pictures, needs_of(None, ["0"]).gstreamer, needs_of(None, []).pictures
    (False, True, None)
    """
    pictures = any(map(needs_poses, sources)) if sources else None
    gstreamer = any(map(_by_gstreamer, sources)) if sources else None
    if config is None:
        return Needs(pictures, pictures, gstreamer)
    cameras = [config.camera(name) for name in config.cameras]
    return Needs(
        pictures=pictures,
        pose_model=any(
            needs_poses(camera.source) and camera.estimator == "mediapipe" and camera.pose_model is None
            for camera in cameras
        ),
        gstreamer=gstreamer,
        tensorrt=config.scorer == "tensorrt",
        mqtt=config.mqtt.host is not None,
        webhook=config.webhook.url is not None,
        page=config.serve.address is not None,
    )


def _by_gstreamer(uri: str) -> bool:
    return is_live(uri) and not uri.lower().startswith(_NETWORK)


def lacking(needed: bool | None, unknown: State = "warning") -> State:
    """Return how bad it is that something is missing.

    >>> lacking(True), lacking(None), lacking(False)
    ('problem', 'warning', 'absent')
    """
    return unknown if needed is None else "problem" if needed else "absent"

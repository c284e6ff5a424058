"""What a check returns, how checks are run, and what daflow-edge requires of the machine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from runtime.config.schema import Config
from runtime.sources.uri import is_live, needs_poses

State = Literal["ok", "warning", "problem", "absent"]

_CHECKS_AT_ONCE = 8  # most checks wait for a process or a network
_NETWORK = ("rtsp:", "rtsps:", "http:", "https:")


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        name: what was looked at.
        state: `problem` stops daflow-edge, `warning` should be looked at, `absent` is missing and not required.
        found: what is there, or what is wrong, in a few words.
        advice: what to do, None when nothing needs to be done.
    """

    name: str
    state: State
    found: str
    advice: str | None = None


Check = tuple[str, Callable[[], Finding]]
"""The name of what is checked, and the function that checks it."""


def run_checks(checks: Sequence[Check]) -> list[Finding]:
    """Run checks, several at a time, and return their findings in the order of the checks.

    A check that raises gives a warning and does not end the others.
    """
    with ThreadPoolExecutor(_CHECKS_AT_ONCE) as pool:
        return list(pool.map(_run, checks))


def _run(check: Check) -> Finding:
    name, function = check
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - one broken check must not hide the findings of the others
        return Finding(name, "warning", f"could not be checked ({type(error).__name__})")


@dataclass(frozen=True)
class Requirements:
    """What daflow-edge requires here; None where that is unknown, since no configuration or source was given.

    Attributes:
        pictures: people are found in pictures, by MediaPipe or a plug-in.
        gstreamer: a camera is read by GStreamer.
        tensorrt: the model runs on TensorRT.
        mqtt: events go to a broker.
        page: there is a live page.
        parquet: skeletons are recorded as Parquet.
    """

    pictures: bool | None = None
    gstreamer: bool | None = None
    tensorrt: bool | None = None
    mqtt: bool | None = None
    page: bool | None = None
    parquet: bool | None = None


def requirements(config: Config | None, sources: Collection[str]) -> Requirements:
    """Return what a configuration, or sources alone, require.

    >>> required = requirements(None, ["synthetic:"])
    >>> required.pictures, requirements(None, ["0"]).gstreamer, requirements(None, []).pictures
    (False, True, None)
    """
    pictures = any(map(needs_poses, sources)) if sources else None
    gstreamer = any(map(_is_read_by_gstreamer, sources)) if sources else None
    if config is None:
        return Requirements(pictures, gstreamer)
    return Requirements(
        pictures=pictures,
        gstreamer=gstreamer,
        tensorrt=config.scorer == "tensorrt",
        mqtt=config.mqtt.host is not None,
        page=config.serve.address is not None,
        parquet=config.record is not None and config.record_format == "parquet",
    )


def _is_read_by_gstreamer(uri: str) -> bool:
    return is_live(uri) and not uri.lower().startswith(_NETWORK)


def state_if_missing(required: bool | None, unknown: State = "warning") -> State:
    """Return how serious it is that something is missing.

    Args:
        required: whether it is required, None when that is unknown.
        unknown: the state in that case.

    >>> state_if_missing(True), state_if_missing(None), state_if_missing(False)
    ('problem', 'warning', 'absent')
    """
    return unknown if required is None else "problem" if required else "absent"

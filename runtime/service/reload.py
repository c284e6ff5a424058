"""What a reload changes: the differences between the running configuration and a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from daflow.core.bundle import Bundle
from runtime.config.schema import Camera, Config

_NEEDS_RESTART = (
    "store", "replay", "serve", "privacy", "video", "scores", "record", "record_format", "max_frames", "stall_seconds",
    "zones_file", "commissioning",
)  # fmt: skip

_WINDOWS = ("window", "max_missing", "fps")
"""What the cameras need to know of a model."""


@dataclass(frozen=True)
class ReloadPlan:
    """What has to be changed.

    Attributes:
        config: the new configuration, with the old values of what needs a restart.
        bundle: the new bundle.
        needs_restart: the names of changed settings that only a restart changes.
        new_model: whether the scorer must be opened again; cameras are read on unless its windows are others.
        removed: cameras that are removed.
        deciders: cameras whose alarm rule, calibration or zones changed, and new ones.
        workers: cameras that must be read in another way, and new ones.
        zones: other cameras whose zones changed.
    """

    config: Config
    bundle: Bundle
    needs_restart: tuple[str, ...]
    new_model: bool
    removed: tuple[str, ...]
    deciders: tuple[str, ...]
    workers: tuple[str, ...]
    zones: tuple[str, ...]


def plan_reload(old: Config, old_bundle: Bundle, new: Config, bundle: Bundle) -> ReloadPlan:
    """Compare the running configuration and bundle with new ones."""
    needs_restart = tuple(name for name in _NEEDS_RESTART if getattr(new, name) != getattr(old, name))
    config = new.model_copy(update={name: getattr(old, name) for name in _NEEDS_RESTART})
    new_model = (
        bundle.manifest.files != old_bundle.manifest.files
        or bundle.manifest.fps != old_bundle.manifest.fps
        or new.scorer != old.scorer
        or new.precision != old.precision
    )
    new_windows = any(
        getattr(bundle.manifest, name) != getattr(old_bundle.manifest, name) for name in _WINDOWS
    )
    deciders, workers, zones = [], [], []
    for name in config.cameras:
        before, options = (old.camera(name) if name in old.cameras else None), config.camera(name)
        recalibrated = old_bundle.alarm_for(name) != bundle.alarm_for(name)
        rezoned = before is not None and before.zones != options.zones
        if before is None or new_model or recalibrated or rezoned or before.alarm != options.alarm:
            deciders.append(name)
        if before is None or new_windows or _how_it_is_read(before) != _how_it_is_read(options):
            workers.append(name)
        elif rezoned:
            zones.append(name)
    return ReloadPlan(
        config,
        bundle,
        needs_restart,
        new_model,
        tuple(name for name in old.cameras if name not in config.cameras),
        tuple(deciders),
        tuple(workers),
        tuple(zones),
    )


def _how_it_is_read(options: Camera) -> dict[str, Any]:
    return dict(options.model_dump(exclude={"alarm", "zones", "schedule", "commission"}))

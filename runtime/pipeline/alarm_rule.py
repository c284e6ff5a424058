"""The alarm rule of a camera: its options, and its calibration for what they leave unset."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping

from daflow.core.alarms.rule import AlarmRule
from daflow.core.alarms.zones import NO_ZONES, Zone
from daflow.core.bundle import Bundle, require_evidence
from daflow.core.errors import InputError
from daflow.core.evidence import unit_of
from runtime.config.schema import AlarmOptions, Camera, Config
from runtime.pipeline.alarm_decider import AlarmDecider

logger = logging.getLogger(__name__)

_SMOOTHING = ("smoothing_seconds", "lasting_seconds")
_TIMES = ("begin_seconds", "end_seconds", "cool_down_seconds", "hold_seconds", *_SMOOTHING)


def alarm_rule(
    bundle: Bundle, camera: str, options: AlarmOptions, zones: Mapping[str, Zone] = NO_ZONES
) -> AlarmRule:
    """Combine the options with the bundle's calibration for a camera.

    A threshold that was calibrated with other zones than these is provisional.

    Raises:
        InputError: there is no threshold, the release is above it, or lasting seconds are given for a flow alone.
    """
    calibration = bundle.alarm_for(camera)
    threshold = options.threshold
    if threshold is None:
        if calibration is None:
            raise InputError(
                f"{bundle.folder} has no alarm threshold. Run 'daflow-calibrate alarm --bundle {bundle.folder} "
                "--poses DIR', or set a threshold (--threshold)."
            )
        threshold = calibration.threshold
    calibrated = calibration.rule() if calibration else AlarmRule(threshold, threshold)
    unfit = calibration is not None and calibration.misfit(zones) is not None
    provisional = (calibrated.provisional or unfit) and options.threshold is None
    release = threshold if options.release is None else options.release
    if not release <= threshold:
        raise InputError(f"--release {release:g} must not be above the threshold {threshold:g}.")
    chosen = {
        name: getattr(calibrated if getattr(options, name) is None else options, name) for name in _TIMES
    }
    rule = AlarmRule(threshold, release, **chosen, provisional=provisional)
    require_evidence(bundle, rule)
    return rule


def make_decider(bundle: Bundle, camera: str, camera_options: Camera) -> AlarmDecider:
    """Return what decides about a camera's alarm, and tell what its calibration cannot promise.

    Raises:
        InputError: as `alarm_rule`.
    """
    options, zones = camera_options.alarm, camera_options.zones
    rule, calibration = alarm_rule(bundle, camera, options, zones), bundle.alarm_for(camera)
    misfit = calibration.misfit(zones) if calibration else None
    if misfit:
        logger.warning(
            "camera %s: %s, so %sthere are no p-values and no drift detection. Calibrate it with its zones: "
            "'daflow-calibrate alarm --camera %s --zones FILE'",
            camera, misfit, "its threshold is provisional, and " if rule.provisional else "", shlex.quote(camera),
        )  # fmt: skip
        calibration = None
    if rule.provisional and calibration:
        logger.warning(
            "camera %s: %s %s, %s. It promises no rate of false alarms; set it with 'daflow-calibrate alarm'",
            camera, rule.threshold_text, unit_of(bundle.manifest.channels), calibration.why_provisional,
        )  # fmt: skip
    differing = [
        name for name in _SMOOTHING if calibration and getattr(calibration, name) != getattr(rule, name)
    ]
    if calibration and calibration.normal and differing:
        logger.warning(
            "camera %s: %s differs from the calibration, so there are no p-values and no drift detection",
            camera, differing[0],
        )  # fmt: skip
        calibration = None
    return AlarmDecider(camera, rule, calibration, bundle.manifest.evidence, misfit)


def check_rules(config: Config, bundle: Bundle) -> None:
    """Check that every camera has a valid threshold.

    Raises:
        InputError: a camera has no threshold, or its release is above it.
    """
    for name in config.cameras:
        options = config.camera(name)
        alarm_rule(bundle, name, options.alarm, options.zones)


def warn_about_rate(bundle: Bundle) -> None:
    """Log that a bundle does not say at which frame rate its model was trained."""
    if bundle.manifest.fps is None:
        logger.warning(
            "%s does not say at which frame rate its model was trained: every rate is taken for its own",
            bundle.folder,
        )

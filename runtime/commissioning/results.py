"""What came of cameras that were commissioned, in words and as values for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.commissioning.bundle_maker import CameraResult, Commissioned

_ONLY = "camera"
"""The name of the only camera of a folder."""


def results_as_values(bundle: Path, per_day: float, made: Commissioned) -> dict[str, Any]:
    """Return it as values for JSON, the cameras by name."""
    return {
        "bundle": str(bundle),
        "per_day": per_day,
        "replaced": made.replaced,
        "trained": made.why_not_trained is None,
        "why_not_trained": made.why_not_trained,
        "labels": made.labels,
        "cameras": {camera or _ONLY: vars(result) for camera, result in made.cameras.items()},
    }


def result_lines(bundle: Path, per_day: float, made: Commissioned) -> Iterator[str]:
    """Yield it in lines."""
    how = (
        f"calibrated ({made.why_not_trained}, so the model stayed as it was)"
        if made.why_not_trained
        else "trained and calibrated"
    )
    yield f"{bundle}: {how} for {per_day:g} false alarms per day"
    for camera, result in made.cameras.items():
        for line in _camera_lines(result):
            yield line if camera is None else f"{camera}: {line}"
    if made.labels:
        yield made.labels


def _camera_lines(result: CameraResult) -> Iterator[str]:
    yield f"{result.false_alarms} false alarms in {result.hours:.3g} hours that were kept to check it"
    if result.silent:
        yield f"alarms that are labelled real and that the bundle does not raise: {'; '.join(result.silent)}"
    if result.lost:
        yield f"alarms that are labelled real and that only the bundle before raises: {'; '.join(result.lost)}"
    if result.kept:
        yield "the new bundle is worse for a camera that was commissioned, so the calibration from before stays"
    elif not result.promised:
        supported = result.supported_per_day
        rate = "no rate of false alarms" if supported is None else f"--false-alarms-per-day {supported:g}"
        yield f"PROVISIONAL: the recordings do not support this rate; they support {rate}"

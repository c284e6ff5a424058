"""Slower cameras and devices in the test: poses as they are, or sampled at the rate of the training."""

from dataclasses import replace

from daflow.studies.distortion import Distortion
from daflow.studies.runner import Settings, Study, Test, Trial

_EVERY = (2, 3, 4, 6)


def _trials(settings: Settings) -> list[Trial]:
    tests: list[Test] = [replace(settings.test, name="the rate of the training")]
    for every in _EVERY:
        slower = replace(settings.test, distortion=Distortion(every=every))
        tests += [
            replace(slower, name=f"1/{every} of the rate, poses as they are", resampled=False),
            replace(slower, name=f"1/{every} of the rate, sampled at the rate of the training"),
        ]
    return [Trial("", seed, settings, tuple(tests)) for seed in range(settings.seeds)]


STUDY = Study(
    "Frame rate",
    "What does a detector lose when the test has fewer frames per second than the training? As they are, 24 poses last "
    "longer than in training; sampled, a window lasts as long, and poses between two frames are interpolated.",
    _trials,
)

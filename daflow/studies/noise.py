"""Worse tracks in the test: joint jitter, missing joints, dropped frames."""

from dataclasses import replace

from daflow.studies.distortion import CLEAN, Distortion
from daflow.studies.runner import Settings, Study, Trial

_DISTORTIONS = {
    "clean": CLEAN,
    **{f"jitter of {share:.0%} of the height": Distortion(jitter=share) for share in (0.01, 0.02, 0.05, 0.1)},
    **{f"{share:.0%} of the joints missing": Distortion(missing_joints=share) for share in (0.01, 0.05, 0.1)},
    **{f"{share:.0%} of the frames dropped": Distortion(dropped_frames=share) for share in (0.02, 0.05, 0.1)},
}


def _trials(settings: Settings) -> list[Trial]:
    tests = tuple(replace(settings.test, name=name, distortion=how) for name, how in _DISTORTIONS.items())
    return [Trial("", seed, settings, tests) for seed in range(settings.seeds)]


STUDY = Study(
    "Noise",
    "How much does a detector trained on clean tracks lose on bad ones? Jitter is a share of the person's height, "
    "missing joints are written as 0, 0 and are filled in, and windows that miss more than two frames are not scored.",
    _trials,
)

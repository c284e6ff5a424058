"""Abnormal windows in the training data."""

from dataclasses import replace

from daflow.studies.runner import Settings, Study, Trial

_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3)


def _trials(settings: Settings) -> list[Trial]:
    test = replace(settings.test, every_other=1)
    return [
        Trial(f"{share:.0%} abnormal", seed, settings, (test,), contamination=share)
        for share in _SHARES
        for seed in range(settings.seeds)
    ]


STUDY = Study(
    "Contamination",
    "Normal recordings are rarely all normal. What if some of the training windows are abnormal? They come from the "
    "even test clips (by name); the figures are of the odd ones.",
    _trials,
)

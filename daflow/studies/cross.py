"""Train on one place, test on another."""

from dataclasses import replace

from daflow.core.errors import InputError
from daflow.studies.runner import Settings, Study, Trial


def _trials(settings: Settings) -> list[Trial]:
    if settings.other_train is None or settings.other_test is None:
        raise InputError(
            "The study cross needs a second data set: --other-poses, --other-test and --other-masks."
        )
    tests = (replace(settings.test, name="tested on A"), replace(settings.other_test, name="tested on B"))
    trained = {"trained on A": settings, "trained on B": replace(settings, train=settings.other_train)}
    return [
        Trial(row, seed, place, tests) for row, place in trained.items() for seed in range(settings.seeds)
    ]


STUDY = Study("Another place", "Does a detector trained on A work on B, and the other way round?", _trials)

"""How much the seed matters."""

from dataclasses import replace

from daflow.studies.runner import Settings, Study, Trial, flows

_SEEDS = 5


def _trials(settings: Settings) -> list[Trial]:
    return flows("flow", replace(settings, seeds=max(_SEEDS, settings.seeds)))


STUDY = Study(
    "Seeds", "Mean and spread over seeds: what difference between two models means anything?", _trials
)

"""Random flows against trained ones."""

from daflow.studies.runner import Settings, Study, Trial, flows

_RANDOM = 10


def _trials(settings: Settings) -> list[Trial]:
    random = [
        Trial("untrained", seed, settings, (settings.test,), detector="untrained")
        for seed in range(max(_RANDOM, settings.seeds))
    ]
    return random + flows("trained", settings)


STUDY = Study(
    "Untrained flows",
    "The paper reports that a flow with random weights, whose activation norms alone have seen normal windows, detects "
    "anomalies already. How much does training add, and how far do random flows spread?",
    _trials,
)

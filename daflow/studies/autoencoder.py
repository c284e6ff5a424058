"""The flow against an autoencoder of the same budget."""

from daflow.studies.runner import Settings, Study, Trial, flows


def _trials(settings: Settings) -> list[Trial]:
    autoencoders = [
        Trial("autoencoder", seed, settings, (settings.test,), detector="autoencoder")
        for seed in range(settings.seeds)
    ]
    return flows("flow", settings) + autoencoders


STUDY = Study(
    "Flow against autoencoder",
    "Is a likelihood a better score than the error of rebuilding a pose, with no more parameters?",
    _trials,
)

"""The dual attention without one or both of its branches, and STG-NF's temporal convolution in its place."""

from daflow.model.flow import ModelConfig
from daflow.studies.runner import Settings, Study, Trial, flows

_VARIANTS = {
    "dual attention": ModelConfig(),
    "no skeleton attention": ModelConfig(skeleton_attention=False),
    "no frame attention": ModelConfig(frame_attention=False),
    "no attention": ModelConfig(skeleton_attention=False, frame_attention=False),
    "temporal convolution (STG-NF)": ModelConfig(block="tcn"),
}


def _trials(settings: Settings) -> list[Trial]:
    return [trial for row, config in _VARIANTS.items() for trial in flows(row, settings, config)]


STUDY = Study(
    "Ablation",
    "What does each branch of the dual attention bring, in AUC, parameters and time?",
    _trials,
)

"""Frame attention against fixed temporal windows of several lengths."""

from dataclasses import replace

from daflow.model.flow import ModelConfig
from daflow.studies.runner import Settings, Study, Trial, flows

_LENGTHS = (8, 16, 24, 32)
_VARIANTS = {
    "frame attention": ModelConfig(),
    "no frame attention": ModelConfig(frame_attention=False),
    "fixed convolution": ModelConfig(block="tcn"),
}


def _trials(settings: Settings) -> list[Trial]:
    few = replace(settings, seeds=max(1, settings.seeds // 2))
    return [
        trial
        for length in _LENGTHS
        for row, config in _VARIANTS.items()
        for trial in flows(f"{length} poses, {row}", few, replace(config, window=length))
    ]


STUDY = Study(
    "Frame attention against fixed windows",
    "The paper weighs the frames of a window by attention, where STG-NF has a convolution over half of the window. "
    "Does that make the length of the window matter less?",
    _trials,
)

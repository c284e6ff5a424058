"""Opening whatever scores clips, by its name: a checkpoint, a bundle, a model of the Hub, or an untrained flow.

A bundle needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daflow.core.bundle import read_bundle
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import LENGTH
from daflow.core.files import StrPath
from daflow.core.scoring.comparison import Precision
from daflow.model.frame_scores import Scores
from daflow.model.hub import fetch, is_hub_name
from daflow.model.scoring_model import BundleModel, ScoringModel


def load(
    model: StrPath, precision: Precision = "fp32", *, seed: int = 0, window: int = LENGTH
) -> ScoringModel:
    """Open a model.

    Args:
        model: a checkpoint file, a bundle folder, or `untrained` for a flow with random weights; or
            `hf://owner/name/folder@revision`, the last two where they are needed, for a bundle or `model.safetensors`
            in a repository of the Hugging Face Hub, which is fetched.
        precision: the graph of a bundle, `fp32`, `fp16` or `int8`.
        seed: of the weights of `untrained`.
        window: poses in a window of `untrained`; the other models know theirs.

    Raises:
        InputError: there is no such model, it cannot be fetched, it is damaged, or the bundle has no graph of that
            precision.
    """
    path = local_path(model)
    if model != "untrained" and path.is_dir():
        return BundleModel(read_bundle(path), precision)
    from daflow.model.checkpoint import load_checkpoint
    from daflow.model.flow_model import FlowModel, UntrainedModel

    if model == "untrained":
        return UntrainedModel(seed, window)
    return FlowModel(load_checkpoint(path), str(path))


def local_path(model: StrPath) -> Path:
    """Return where the model of a name is on this machine; one of the Hub is fetched.

    Raises:
        InputError: it cannot be fetched.
    """
    return fetch(str(model)) if is_hub_name(model) else Path(model)


def score(model: ScoringModel | StrPath, clips: Sequence[Clip]) -> dict[str, Scores]:
    """Return the scores of the frames of each clip; see `ScoringModel.score`.

    Args:
        model: a model, or the name of one as for `load`.
        clips: pose tracks.

    Raises:
        InputError: as `load` and `ScoringModel.score`.
    """
    return (model if isinstance(model, ScoringModel) else load(model)).score(clips)

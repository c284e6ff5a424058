from daflow.core.data.tracks import Clip, Track, read_tracks
from daflow.core.errors import CheckFailed, DaflowError, InputError
from daflow.core.version import __version__
from daflow.evaluation.auc import Evaluation, Figures
from daflow.evaluation.evaluate import evaluate
from daflow.model.load import load, score
from daflow.model.scoring_model import ScoringModel
from daflow.training.train import TrainedModel, train
from export.bundle import export_model as export
from runtime.pipeline.results import FrameResult
from runtime.pipeline.watch import watch

__all__ = [
    "CheckFailed",
    "Clip",
    "DaflowError",
    "Evaluation",
    "Figures",
    "FrameResult",
    "InputError",
    "ScoringModel",
    "Track",
    "TrainedModel",
    "__version__",
    "evaluate",
    "export",
    "load",
    "read_tracks",
    "score",
    "train",
    "watch",
]

"""DA-Flow: skeleton-based video anomaly detection.

The library: `read_tracks`, `train`, `evaluate`, `score`, `load`, `export`, `watch`, and the types that they take and
return. Each name is imported when it is first used, so that `import daflow` needs no torch. How to use them:
docs/library.md.
"""

from __future__ import annotations

import importlib

from daflow.core.version import __version__

_PLACES = {
    "read_tracks": "daflow.core.data.tracks:read_tracks",
    "train": "daflow.training.train:train",
    "evaluate": "daflow.evaluation.evaluate:evaluate",
    "score": "daflow.model.load:score",
    "load": "daflow.model.load:load",
    "export": "export.bundle:export_model",
    "watch": "runtime.pipeline.watch:watch",
    "Clip": "daflow.core.data.tracks:Clip",
    "Track": "daflow.core.data.tracks:Track",
    "ScoringModel": "daflow.model.scoring_model:ScoringModel",
    "TrainedModel": "daflow.training.train:TrainedModel",
    "Evaluation": "daflow.evaluation.auc:Evaluation",
    "Figures": "daflow.evaluation.auc:Figures",
    "FrameResult": "runtime.pipeline.results:FrameResult",
    "DaflowError": "daflow.core.errors:DaflowError",
    "InputError": "daflow.core.errors:InputError",
    "CheckFailed": "daflow.core.errors:CheckFailed",
}
"""Where each name of the library is; `__init__.pyi` says the same to type checkers."""

__all__ = ["__version__", *_PLACES]  # noqa: PLE0604  all of them are strings


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    try:
        value: object = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        from daflow.core.errors import explain_import

        raise explain_import(error) or error from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})

"""Studies: claims of the paper, each as one command that can be rerun on anybody's data.

A study is a short module with a `STUDY`: its question, and the trials that answer it. `runner` runs the trials of any
study, `report` writes them down.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daflow.studies.runner import Study

NAMES = (
    "untrained",
    "ablation",
    "attention-vs-window",
    "noise",
    "frame-rate",
    "contamination",
    "cross",
    "autoencoder",
    "seeds",
)


def load_study(name: str) -> Study:
    """Import the study of this name."""
    study: Study = importlib.import_module(f"daflow.studies.{name.replace('-', '_')}").STUDY
    return study

"""What an ONNX graph of the scorer says about itself, as keys and values of text.

Nothing in it depends on the machine or the time: two exports of one model are the same file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from daflow.core.bundle import Manifest
from daflow.core.evidence import unit_of
from daflow.core.log import one_line, shortened
from daflow.core.scoring.comparison import Precision
from daflow.core.version import __version__

if TYPE_CHECKING:
    from daflow.model.checkpoint import Checkpoint  # which needs torch; INT8 graphs of pose networks do not

KIND = "daflow-scorer"
PRECISION = "precision"
"""The key of the precision, which changes when a graph is quantised."""

_LETTERS = 120  # of the name of the training data


def graph_metadata(checkpoint: Checkpoint, precision: Precision) -> dict[str, str]:
    """Return the metadata of the graph of a checkpoint: how windows are made, and what comes out.

    Args:
        checkpoint: the trained model.
        precision: of the graph.
    """
    fields = Manifest.model_fields
    return {
        "daflow": __version__,
        "kind": KIND,
        PRECISION: precision,
        "window": str(checkpoint.model.config.window),
        "joints": str(fields["joints"].default),
        "normalising": str(fields["normalising"].default),
        "channels": ",".join(checkpoint.channels),
        "unit": unit_of(checkpoint.channels),
        "fps": "unknown" if checkpoint.fps is None else f"{checkpoint.fps:g}",
        "created_from": data_name(checkpoint.training),
    }


def data_name(training: Mapping[str, Any]) -> str:
    r"""Return the name of the training data in the summary of a training, without the folders of a path.

    >>> data_name({"data": "/home/me/hall, yard"}), data_name({}), data_name({"data": "a\nb"})
    ('hall, yard', 'unknown', 'a\\nb')
    """
    name = training.get("data")
    if not isinstance(name, str):
        return "unknown"
    parts = (re.split(r"[/\\]", part.strip().rstrip("/\\"))[-1] for part in name.split(","))
    return shortened(one_line(", ".join(part for part in parts if part)), _LETTERS) or "unknown"

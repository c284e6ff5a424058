"""The folder of fetched models, and which of them are there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from daflow.core.errors import InputError
from daflow.core.files import user_data
from runtime.models.catalogue import DETECTOR, MODELS, PEOPLE, POSE_MODELS


class PeopleModels(NamedTuple):
    """What a pose bundle is made from.

    Attributes:
        task: MediaPipe's pose landmarker.
        detector: the graph of the network that finds people; its weights lie beside it.
    """

    task: Path
    detector: Path


def models_directory() -> Path:
    """The folder of fetched models: `$DAFLOW_MODELS`, or `daflow/models` among the user's data."""
    if chosen := os.environ.get("DAFLOW_MODELS"):
        return Path(chosen)
    return user_data() / "models"


def default_pose_bundle() -> Path:
    """The pose bundle that is used where none is given: `pose.bundle` in `models_directory()`."""
    return models_directory() / "pose.bundle"


def find_model(name: str) -> Path | None:
    """Return the first file of a model in `models_directory()`, or None when one of its files is missing.

    Args:
        name: a key of `MODELS`.
    """
    paths = [models_directory() / file.name for file in MODELS[name].files]
    return paths[0] if all(path.is_file() for path in paths) else None


def find_pose_model() -> Path | None:
    """Return a pose model in `models_directory()`, or None when there is none.

    The lite one comes first: pose estimation takes most of the time on a device.
    """
    return next(filter(None, map(find_model, POSE_MODELS)), None)


def find_people_models() -> PeopleModels:
    """Return the models of `daflow models fetch people` in `models_directory()`.

    Raises:
        InputError: one is missing; the message says which, its size, its licence and the command that fetches it.
    """
    task, detector = find_pose_model(), find_model(DETECTOR)
    if task is None or detector is None:
        absent = [*([] if task else [POSE_MODELS[0]]), *([] if detector else [DETECTOR])]
        raise _missing(absent, PEOPLE)
    return PeopleModels(task, detector)


def missing_pose_model(otherwise: str) -> InputError:
    """Return the error where there is no pose model.

    Args:
        otherwise: what helps besides fetching one; begins with a comma.
    """
    return _missing([POSE_MODELS[0]], POSE_MODELS[0], otherwise)


def _missing(absent: list[str], name: str, otherwise: str = "") -> InputError:
    return InputError(
        f"{models_directory()} does not have {' and '.join(str(MODELS[model]) for model in absent)}. "
        f"Fetch with 'daflow models fetch {name}'{otherwise}."
    )

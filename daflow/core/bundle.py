"""Bundles: the folder that export writes and the edge reads. Its `manifest.json` describes and protects it.

A bundle holds `scorer.fp32.onnx` and optionally `scorer.fp16.onnx` and `scorer.int8.onnx` (their outputs are in
`daflow.core.scoring.scorer`), `verification.html`, and the manifest with the SHA-256 of each of them. The alarm
threshold is in the manifest and not in the graph, so that a new calibration changes no model. `engines/` is a cache:
each device builds its own engines, and their headers say what they depend on (`daflow.core.engines.file`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from daflow.core import manifest_file
from daflow.core.alarms.calibration import AlarmCalibration, CameraName, ManifestPart
from daflow.core.alarms.rule import AlarmRule
from daflow.core.data.frame_rate import Fps
from daflow.core.engines.file import BuildOptions, EngineKey, engine_key
from daflow.core.errors import InputError
from daflow.core.evidence import FLOW, Channel, EvidenceFacts
from daflow.core.manifest_file import Files, ManifestFile
from daflow.core.schema import Count, FileName, PlainValues
from daflow.core.scoring.comparison import Precision
from daflow.core.scoring.limits import Verdict

FORMAT = "daflow-bundle"
SCHEMA = 3
MANIFEST = manifest_file.MANIFEST


class Int8(ManifestPart):
    """What in the INT8 graph is INT8, and what stays in FP32 because the ranking is sensitive to it.

    Attributes:
        ranges: the calibration cache in the bundle.
        method: how the ranges were chosen.
        windows: the number of windows that they were chosen on.
        quantised: operations in INT8.
        kept: operations in FP32.
        margin: the operations were chosen with limits this many times tighter (`export.sensitivity.MARGINS`).
    """

    ranges: FileName
    method: str
    windows: Count
    quantised: tuple[str, ...]
    kept: tuple[str, ...]
    margin: Count = 40


class Manifest(ManifestPart):
    """Everything that is known about a bundle.

    Attributes:
        daflow: the version of the toolkit that wrote it.
        created: UTC time, ISO 8601.
        model: the architecture, the fields of `daflow.model.flow.ModelConfig`.
        parameters: the number of trained values.
        joints: the layout of the 18 joints in the input of the graph.
        window: poses in a window.
        max_missing: how many frames may be missing inside a window.
        fps: frames per second that the model was trained at: the poses of a window are `1 / fps` seconds apart. None
            when that is not known; then a window is so many frames of any rate.
        normalising: how windows are normalised; `window-std-y` divides by the standard deviation of y.
        precisions: the ONNX file of each precision.
        files: the SHA-256 of every file of the bundle but the manifest. Their names are plain: a bundle has no folders
            but that of the engines.
        training: the summary of the training data and options.
        nodes: the number of operators in the graph of each precision.
        verification: how each form of the model compares with the PyTorch module, `folded` and the precisions.
        int8: what in the INT8 graph is INT8; None without one.
        evidence: what the scores are made of; None for the nll of the flow.
        engine_options: how the engines of this bundle are built.
        alarm: the calibration of every camera without its own; None before `daflow-calibrate alarm`.
        cameras: the calibrations of single cameras, by `daflow-calibrate alarm --camera`.
    """

    format: Literal["daflow-bundle"] = "daflow-bundle"
    schema_version: int = Field(default=SCHEMA, alias="schema")
    daflow: str
    created: str
    model: PlainValues
    parameters: Count
    joints: Literal["openpose18"] = "openpose18"
    window: Annotated[int, Field(ge=2, le=1024)]
    max_missing: Annotated[int, Field(ge=0, le=1024)]
    fps: Fps | None = None
    normalising: Literal["window-std-y"] = "window-std-y"
    precisions: dict[Precision, FileName]
    files: Files
    training: PlainValues = Field(default_factory=dict)
    nodes: dict[Precision, Count] = Field(default_factory=dict)
    verification: dict[Literal["folded"] | Precision, Verdict] = Field(default_factory=dict)
    int8: Int8 | None = None
    evidence: EvidenceFacts | None = None
    engine_options: BuildOptions = BuildOptions()
    alarm: AlarmCalibration | None = None
    cameras: dict[CameraName, AlarmCalibration] = Field(default_factory=dict)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels of evidence that the scores are made of."""
        return self.evidence.channels if self.evidence else FLOW

    @property
    def graphs(self) -> tuple[str, ...]:
        """The names of the ONNX files."""
        return tuple(self.precisions.values())


_FILE = ManifestFile(
    Manifest, FORMAT, SCHEMA, "bundle", "daflow-export",
    hint="To change the threshold use 'daflow-calibrate alarm'.",
)  # fmt: skip


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk whose manifest and files were checked."""

    folder: Path
    manifest: Manifest

    def graph(self, precision: Precision) -> Path:
        """Return the path of the ONNX file of a precision.

        Raises:
            InputError: the bundle has no graph of that precision.
        """
        name = self.manifest.precisions.get(precision)
        if name is None:
            found = ", ".join(self.manifest.precisions)
            raise InputError(f"The bundle {self.folder} has no {precision} graph; it has {found}.")
        return self.folder / name

    def alarm_for(self, camera: str) -> AlarmCalibration | None:
        """Return the calibration of a camera, else that of all cameras, else None."""
        return self.manifest.cameras.get(camera, self.manifest.alarm)

    def missed_limits(self, precision: Precision) -> tuple[str, ...]:
        """Return the verification limits that the graph of a precision misses; `--keep-failing` keeps such a graph."""
        verdict = self.manifest.verification.get(precision)
        return verdict.missed if verdict else ()

    def engine_key(
        self, precision: Precision, flavour: str, version: str, target: str, device: str | None
    ) -> EngineKey:
        """Return the key of an engine of this bundle.

        Args:
            precision: of the graph.
            flavour: the TensorRT module, `tensorrt` or `tensorrt_rtx`.
            version: of that module.
            target: compute capability, such as `sm87`.
            device: name of the GPU; None for every GPU of the target.

        Raises:
            InputError: the bundle has no graph of that precision.
        """
        graph = self.manifest.files[self.graph(precision).name]  # names are plain
        return engine_key(graph, self.manifest.engine_options, precision, flavour, version, target, device)


def read_bundle(folder: Path) -> Bundle:
    """Open a bundle and check that none of its files was changed.

    Raises:
        InputError: there is no bundle, it has another schema, its manifest is damaged, or a file is missing or changed;
            the message names the file.
    """
    return Bundle(folder, _FILE.read(folder))


def require_evidence(bundle: Bundle, rule: AlarmRule) -> None:
    """Check that an alarm rule fits the unit of the scores.

    Raises:
        InputError: it counts what lasts, and the scores are the nll of the flow alone, which are not 0 where nothing is
            unusual.
    """
    if rule.lasting_seconds > 0 and bundle.manifest.evidence is None:
        raise InputError(
            f"Lasting seconds need evidence beside the flow, and {bundle.folder} has none. Set them to 0, or train "
            "with --evidence flow,shape,motion."
        )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json` with a checksum of itself, whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    _FILE.write(folder, manifest)


def update_manifest(bundle: Bundle, change: Callable[[Manifest], dict[str, Any]]) -> Bundle:
    """Change some fields of a manifest as it is now; what other processes changed meanwhile stays.

    Args:
        bundle: as it was read; only its manifest is rewritten.
        change: returns the fields to replace, given the present manifest.

    Returns:
        The bundle with its new manifest.

    Raises:
        InputError: the bundle was replaced by another one meanwhile, or it is damaged. Nothing is changed.
        OSError: the folder cannot be written.
    """
    return Bundle(bundle.folder, _FILE.update(bundle.folder, bundle.manifest, change))

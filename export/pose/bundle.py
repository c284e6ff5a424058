"""Export pose networks to a pose bundle: graphs, verification, manifest and engines, written whole or not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import numpy as np
import onnx

from calibration.int8_ranges import Method
from daflow.core.engines.file import BuildOptions
from daflow.core.errors import CheckFailed, InputError, require_packages
from daflow.core.files import StrPath, sha256, write_text
from daflow.core.pose_bundle import (
    Network,
    NetworkName,
    Origin,
    PoseBundle,
    PoseInt8,
    PoseLimits,
    PoseManifest,
    PoseVerdict,
    is_pose_bundle,
    read_pose_bundle,
    write_pose_manifest,
)
from daflow.core.replacement import replace_when_done
from daflow.core.scoring.comparison import Precision
from daflow.core.version import __version__
from export.engines import Batch, build_options, find_engine_builder
from export.pose.assembly import Normalisation, assemble, takes_any_size
from export.pose.engines import PoseEngineBuilder
from export.pose.int8 import Int8Writer
from export.pose.layouts import LAYOUTS, Layout
from export.pose.originals import Original, open_original
from export.pose.people_pictures import Detect, fit, people_crops, read_frames
from export.pose.precision import half
from export.pose.report import PoseForm, pose_report
from export.pose.verification import (
    GraphRunner,
    Images,
    VerificationPictures,
    check_pose_limits,
    parse_pose_limits,
    verification_pictures,
)
from runtime.sources.frames import Image

logger = logging.getLogger(__name__)

Report = Callable[[str], None]
REPORT = "verification.html"
FRAMES = 32  # to verify on, and as many to calibrate on
WORKSPACE = 1024  # MiB; TensorRT for RTX needs 268 MiB to build BlazePose in INT8


@dataclass(frozen=True)
class NetworkSource:
    """A network to export.

    Attributes:
        path: a MediaPipe task, a TFLite network, a TensorFlow.js graph model or an ONNX file.
        layout: a name in `export.pose.layouts.LAYOUTS`.
        channels: the order of colours that it takes; None is that of the layout.
        mean: that it subtracts from a colour 0..255, in that order; None likewise.
        std: that it divides by; None likewise.
        licence: of the network, for people.
    """

    path: Path
    layout: str
    channels: Literal["rgb", "bgr"] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    licence: str | None = None


def export_pose(
    detector: NetworkSource,
    landmarks: NetworkSource | None,
    folder: StrPath,
    *,
    verify_on: Sequence[Path] = (),
    calibrate_on: Sequence[Path] = (),
    fp16: bool = True,
    int8: bool = False,
    calibration: Method = "percentile",
    limits: Mapping[str, float] | None = None,
    keep_failing: bool = False,
    engine: bool = True,
    targets: Sequence[str] = (),
    batch: Batch | None = None,
    workspace: int | None = None,
    layers: bool = False,
    report: Report = logger.info,
) -> PoseBundle:
    """Export a detector of people and a network of landmarks to a pose bundle.

    Every graph is verified against the network as it was published, on pictures of people. The folder is written only
    when every step has succeeded.

    Args:
        detector: finds people.
        landmarks: finds the joints of one person; None where the detector does, with the layout `yolo-pose`.
        folder: the bundle; an older one there is replaced at the very end.
        verify_on: folders of pictures and videos of people to verify on; empty takes `calibrate_on`, of which every
            other frame is then left out of the calibration.
        calibrate_on: the same to calibrate INT8 ranges on; empty takes `verify_on` likewise.
        fp16: also write FP16 graphs.
        int8: also write INT8 graphs; the operations that disturb the result stay in FP32.
        calibration: how INT8 ranges are chosen, see `calibration.int8_ranges.calibrate`.
        limits: other verification limits, such as `{"landmarks.fp16.median_error": 0.3}`.
        keep_failing: also write graphs that miss a limit, and mark them as failing.
        engine: build TensorRT engines where TensorRT is installed.
        targets: compute capabilities to build engines for, such as `sm86`; empty means the GPU of this machine, else
            sm86 ahead of time.
        batch: minimum, optimum and maximum of the pictures in a call of an engine; None means 1, 4, 32.
        workspace: maximum scratch memory of TensorRT's builder in MiB; None means 1024.
        layers: write what is known about the layers beside each engine, as JSON.
        report: takes one line for each step.

    Raises:
        InputError: a network or a picture cannot be read, an operator is not supported, an option is wrong, nobody is
            seen in the pictures, `folder` is there and is no pose bundle, or TensorRT cannot build an engine.
        CheckFailed: a graph misses a limit. Nothing is written.
        OSError: the folder cannot be written.
    """
    if not verify_on and not calibrate_on:
        raise InputError(
            "Pictures or videos of people are needed to verify the networks on: give --verify-on with a folder of "
            "pictures or a video."
        )
    parsed = parse_pose_limits(limits or {})
    options = build_options(batch, workspace or WORKSPACE)
    builder = find_engine_builder(PoseEngineBuilder, targets, layers, report) if engine else None
    folder = Path(folder)
    sources: dict[NetworkName, NetworkSource] = {"detector": detector}
    if landmarks is not None:
        sources["landmarks"] = landmarks
    plans = {name: _plan(name, source) for name, source in sources.items()}
    require_packages({"export": [package for plan in plans.values() for package in plan.original.needs]})
    if landmarks is None and not plans["detector"].layout.joints:
        raise InputError(
            f"A detector of the layout {detector.layout} finds no joints. Give a network of landmarks too."
        )
    with replace_when_done(folder, "pose bundle", is_pose_bundle) as work:
        frames, calibrating = _frames(verify_on, calibrate_on)
        exporter = _Exporter(work, fp16, int8, calibration, keep_failing, report)
        networks: dict[NetworkName, Network] = {}
        for name, plan in plans.items():
            images = plan.images(frames, exporter.detect)
            further = plan.images(calibrating, exporter.detect) if int8 else images
            networks[name] = exporter.export(name, plan, images, further, parsed[name])
        on = ", ".join(path.name for path in (verify_on or calibrate_on))
        write_text(work / REPORT, pose_report(exporter.forms, folder.name, on))
        _write_manifest(work, networks, on, options)
        if builder is not None:
            builder.build(read_pose_bundle(work), fp32=not fp16)
    return read_pose_bundle(folder)


@dataclass(frozen=True)
class _Plan:
    """A network with its layout, and the FP32 graph."""

    original: Original
    layout: Layout
    normalisation: Normalisation
    model: onnx.ModelProto
    source: NetworkSource

    def images(self, frames: Sequence[Image], detect: Detect) -> Images:
        """What the network is shown: whole pictures, or the people in them."""
        width, height = self.original.network.width, self.original.network.height
        if self.layout.role == "detector":
            return np.stack([fit(frame, width, height)[0] for frame in frames])
        return people_crops(frames, detect, width, height)


def _plan(name: NetworkName, source: NetworkSource) -> _Plan:
    layout = LAYOUTS.get(source.layout)
    if layout is None or layout.role != name:
        known = ", ".join(key for key, value in LAYOUTS.items() if value.role == name)
        raise InputError(f"{source.layout!r} is not a layout of {name}. Use one of {known}.")
    normalisation = Normalisation(
        source.channels or layout.channels, source.mean or layout.mean, source.std or layout.std
    )
    if not np.isfinite([*normalisation.mean, *normalisation.std]).all() or min(normalisation.std) <= 0:
        raise InputError(
            f"The normalisation of {source.path} divides by {normalisation.std}. Give numbers above 0."
        )
    original = open_original(source.path)
    width, height = original.network.width, original.network.height
    if name == "detector" and width != height:
        raise InputError(
            f"{source.path} takes pictures of {width} x {height}, and daflow-edge searches for people in squares. "
            "Give a detector of a square input."
        )
    try:
        model = assemble(original.network, layout, normalisation)
    except InputError as error:
        raise InputError(f"{source.path} is not of the layout {source.layout}. {error.message}") from None
    return _Plan(original, layout, normalisation, model, source)


def _frames(verify_on: Sequence[Path], calibrate_on: Sequence[Path]) -> tuple[list[Image], list[Image]]:
    """The frames to verify on, and others to calibrate on."""
    if verify_on and calibrate_on:
        return read_frames(verify_on, FRAMES), read_frames(calibrate_on, FRAMES)
    frames = read_frames(verify_on or calibrate_on, 2 * FRAMES)
    return frames[::2], frames[1::2] or frames


class _Exporter:
    """Writes and verifies the graphs of networks, the detector first."""

    def __init__(
        self, work: Path, fp16: bool, int8: bool, method: Method, keep_failing: bool, report: Report
    ) -> None:  # fmt: skip
        self.forms: list[PoseForm] = []
        self._work, self._method, self._keep_failing, self._report = work, method, keep_failing, report
        self._fp16, self._int8 = fp16, int8
        self._detector: tuple[GraphRunner, int, int] | None = None

    def detect(self, image: Image) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and boxes of a picture in its pixels, by the FP32 graph of the detector."""
        assert self._detector is not None
        runner, width, height = self._detector
        fitted, scale = fit(image, width, height)
        found = runner.run(fitted[None])
        return found["scores"][0], found["boxes"][0] / scale

    def export(
        self, name: NetworkName, plan: _Plan, images: Images, calibrating: Images,
        limits: Mapping[Precision, PoseLimits],
    ) -> Network:  # fmt: skip
        """Write and verify the graphs of a network."""
        network = plan.original.network
        pictures = verification_pictures(plan.original, plan.layout, plan.normalisation, images)
        files: dict[Precision, str] = {"fp32": self._save(name, "fp32", plan.model)}
        nodes: dict[Precision, int] = {"fp32": len(plan.model.graph.node)}
        any_size = takes_any_size(plan.model)
        verdicts = {"fp32": self._verify(name, "fp32", plan, pictures, limits["fp32"])}
        if name == "detector":
            self._detector = GraphRunner(plan.model), network.width, network.height
        if self._fp16:
            reduced = assemble(half(network), plan.layout, plan.normalisation)
            files["fp16"], nodes["fp16"] = self._save(name, "fp16", reduced), len(reduced.graph.node)
            any_size &= takes_any_size(reduced)
            verdicts["fp16"] = self._verify(name, "fp16", plan, pictures, limits["fp16"])
        described: PoseInt8 | None = None
        if self._int8:
            files["int8"] = f"{name}.int8.onnx"
            writer = Int8Writer(
                self._work / files["fp32"], self._work / files["int8"], self._work / f"{name}.int8.ranges.json",
                calibrating, f"{len(calibrating)} pictures", plan.layout, limits["int8"], self._method, self._report,
            )  # fmt: skip
            for described, last in writer.attempts():  # noqa: B007
                verdict = self._verify(name, "int8", plan, pictures, limits["int8"], last)
                if verdict is not None:
                    verdicts["int8"] = verdict
                    break
            nodes["int8"] = len(onnx.load(self._work / files["int8"]).graph.node)
        return Network.model_validate({
            "layout": plan.source.layout, "width": network.width, "height": network.height,
            "stride": plan.layout.stride if any_size else None, "joints": plan.layout.joints, "precisions": files,
            "nodes": nodes, "verification": verdicts,
            "source": Origin(file=plan.source.path.name, sha256=plan.original.sha256),
            "licence": plan.source.licence, "int8": described,
        })  # fmt: skip

    def _save(self, name: NetworkName, precision: Precision, model: onnx.ModelProto) -> str:
        file = f"{name}.{precision}.onnx"
        onnx.save(model, self._work / file)
        return file

    def _verify(
        self, name: NetworkName, precision: Precision, plan: _Plan, pictures: VerificationPictures, limits: PoseLimits,
        last: bool = True,
    ) -> PoseVerdict | None:  # fmt: skip
        """Return the verdict on a graph; None when it misses a limit and there is a further attempt."""
        found = GraphRunner((self._work / f"{name}.{precision}.onnx").read_bytes()).run(pictures.images)
        verdict = check_pose_limits(pictures.compare(found), limits)
        missed = "; ".join(verdict.missed)
        if missed and not last:
            self._report(
                f"{name} {precision}: misses its limits: {missed}; next with more operations in FP32"
            )
            return None
        if missed and not self._keep_failing:
            raise CheckFailed(
                f"The {precision} graph of {name} does not compute what {plan.source.path.name} does, so no pose "
                f"bundle is written: {missed}. --keep-failing writes it and marks it as failing."
            )
        self.forms.append(
            PoseForm(name, precision, verdict, pictures, found, plan.layout.joints, plan.original.by)
        )
        result = f"MISSES ITS LIMITS: {missed}" if missed else "verified"
        self._report(f"{name} {precision}: {result}, {verdict.comparison.summary}")
        return verdict


def _write_manifest(
    work: Path, networks: dict[NetworkName, Network], verified_on: str, options: BuildOptions
) -> None:  # fmt: skip
    files = [file for network in networks.values() for file in network.precisions.values()]
    files += [network.int8.ranges for network in networks.values() if network.int8]
    manifest = PoseManifest(
        daflow=__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        networks=networks,
        verified_on=verified_on,
        files={file: sha256(work / file) for file in [*files, REPORT]},
        engine_options=options,
    )
    write_pose_manifest(work, manifest)

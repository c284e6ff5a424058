"""Export a model to a bundle: graphs, verification, manifest and engines, in a folder that is written whole or not."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

import torch

from calibration.int8_ranges import Method, open_ranges
from daflow.core.alarms.provisional import provisional_alarm
from daflow.core.bundle import MANIFEST, Bundle, Int8, Manifest, read_bundle, write_manifest
from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_masks import Labels
from daflow.core.data.track_files import Paths
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import MAX_MISSING, Poses
from daflow.core.engines.file import BuildOptions
from daflow.core.errors import InputError
from daflow.core.evidence import EvidenceFacts
from daflow.core.files import StrPath, sha256, write_text
from daflow.core.pose_bundle import is_pose_bundle
from daflow.core.replacement import replace_when_done
from daflow.core.scoring.comparison import Precision
from daflow.core.scoring.limits import Limits, parse_limits
from daflow.core.scoring.scorer import output_names
from daflow.core.version import __version__
from daflow.model.checkpoint import Checkpoint, load_checkpoint
from daflow.model.flow import parameter_count
from export.engines import Batch, ScorerEngineBuilder, build_options, find_engine_builder
from export.folded_flow import FoldedScorer
from export.graph_metadata import graph_metadata
from export.mixed_precision import RANGES, write_int8_graphs
from export.model_card import CARD, model_card
from export.onnx_graph import export_onnx
from export.verification import VerificationSet, Verifier, generated_set, recorded_set
from export.verification_report import report_page

logger = logging.getLogger(__name__)

Report = Callable[[str], None]
REPORT = "verification.html"


class HasCheckpoint(Protocol):
    """A trained model that holds its checkpoint."""

    checkpoint: Checkpoint


def export_model(
    model: Checkpoint | HasCheckpoint | StrPath,
    folder: StrPath,
    *,
    fp16: bool = True,
    int8: bool = False,
    calibrate_on: Paths | Sequence[Clip] | None = None,
    verify_on: Paths | Sequence[Clip] | None = None,
    masks: StrPath | Mapping[str, Labels] | None = None,
    frame_size: FrameSize | None = None,
    calibration: Method = "percentile",
    ranges: StrPath | None = None,
    limits: Mapping[str, float] | None = None,
    keep_failing: bool = False,
    engine: bool = True,
    targets: Sequence[str] = (),
    batch: Batch | None = None,
    workspace: int | None = None,
    layers: bool = False,
    report: Report = logger.info,
) -> Bundle:
    """Export a model to a bundle: ONNX graphs, each verified against the model, and TensorRT engines.

    The folder is written only when every step has succeeded.

    Args:
        model: a trained model, a checkpoint, or the path of one.
        folder: the bundle; an older bundle there is replaced at the very end.
        fp16: also write the FP16 graph.
        int8: also write the INT8 graph; the operations that disturb the ranking stay in FP32.
        calibrate_on: recordings of normal behaviour, folders of pose tracks or clips, to calibrate INT8 ranges on and
            to verify on; None takes generated walkers, falls, runs and fights.
        verify_on: recordings to verify on, in place of `calibrate_on`.
        masks: frame masks of the recordings to verify on, a folder or labels by clip name; with them the change of the
            AUC is verified too.
        frame_size: width and height of the video frames in pixels, for folders of pose tracks; None takes
            `frame_sizes.json` in the folder, else 1920x1080.
        calibration: how INT8 ranges are chosen, see `calibration.int8_ranges.calibrate`.
        ranges: a calibration cache to take the INT8 ranges from, `int8.ranges.json` of a bundle.
        limits: other verification limits, such as `{"fp16.spearman": 0.9999}`.
        keep_failing: also write forms that miss a limit, and mark them as failing.
        engine: build TensorRT engines where TensorRT is installed.
        targets: compute capabilities to build engines for, such as `sm86`; empty means the GPU of this machine, else
            sm86 ahead of time.
        batch: minimum, optimum and maximum of the windows in a call of an engine; None means 1, 4, 32.
        workspace: maximum scratch memory of TensorRT's builder in MiB; None means 256.
        layers: write what is known about the layers beside each engine, as JSON.
        report: takes one line for each step.

    Raises:
        InputError: the model or a recording cannot be read, an option is wrong or does not fit the others, `folder` is
            there and is not a bundle, or TensorRT cannot build an engine.
        CheckFailed: a form of the model misses a limit. Nothing is written.
        OSError: the folder cannot be written.
    """
    if masks is not None and calibrate_on is None and verify_on is None:
        raise InputError("Frame masks (--masks) need the recordings: --calibrate-on or --verify-on.")
    if ranges is not None and not int8:
        raise InputError("INT8 ranges (--ranges) need --int8.")
    if ranges is not None:
        open_ranges(Path(ranges))  # whether they are of this graph shows only when there is one
    options = _Options(
        fp16=fp16,
        int8=int8,
        calibration=calibration,
        ranges=None if ranges is None else Path(ranges),
        limits=parse_limits(dict(limits or {})),
        keep_failing=keep_failing,
        engine=build_options(batch, workspace),
    )
    checkpoint = _checkpoint_of(model)
    builder = find_engine_builder(ScorerEngineBuilder, targets, layers, report) if engine else None
    length, fps = checkpoint.model.config.window, checkpoint.fps
    recordings = calibrate_on if verify_on is None else verify_on
    folder = Path(folder)
    with replace_when_done(folder, "bundle", _is_bundle) as work:
        data = (
            generated_set(length, fps)
            if recordings is None
            else recorded_set(recordings, masks, length, frame_size, fps)
        )
        normal = data.windows.poses
        if int8 and calibrate_on is not None and verify_on is not None:
            normal = recorded_set(calibrate_on, None, length, frame_size, fps).windows.poses
        manifest = _write_files(checkpoint, work, folder.name, data, normal, options, report)
        if builder is not None:
            builder.build(read_bundle(work), fp32=not fp16)
    return Bundle(folder, manifest)


@dataclass(frozen=True)
class _Options:
    """What the files of a bundle are to be; see `export_model`."""

    fp16: bool
    int8: bool
    calibration: Method
    ranges: Path | None
    limits: dict[Precision, Limits]
    keep_failing: bool
    engine: BuildOptions


def _checkpoint_of(model: Checkpoint | HasCheckpoint | StrPath) -> Checkpoint:
    if isinstance(model, (str, os.PathLike)):
        return load_checkpoint(Path(model))
    checkpoint = model if isinstance(model, Checkpoint) else getattr(model, "checkpoint", None)
    if not isinstance(checkpoint, Checkpoint):
        raise InputError(
            f"{model!r} cannot be exported. Give a trained model, a checkpoint, or the path of one."
        )
    return checkpoint


def _write_files(
    checkpoint: Checkpoint,
    work: Path,
    title: str,
    data: VerificationSet,
    normal: Poses,
    options: _Options,
    report: Report,
) -> Manifest:
    """Write and verify everything but the engines.

    Args:
        checkpoint: the trained model.
        work: an empty folder.
        title: the name of the bundle.
        data: what to verify on.
        normal: `(N, 2, T, V)` windows of normal behaviour, to calibrate INT8 ranges on.
        options: what to write.
        report: takes one line for each step.
    """
    model = checkpoint.model
    outputs = output_names(checkpoint.channels)
    verifier = Verifier(checkpoint, data, options.limits, options.keep_failing, report)
    verifier.verify("folded", FoldedScorer(checkpoint).eval().judge)
    nodes: dict[Precision, int] = {}
    graphs: dict[Precision, str] = {}
    for precision in ("fp32", "fp16") if options.fp16 else ("fp32",):
        graphs[precision] = f"scorer.{precision}.onnx"
        path = work / graphs[precision]
        dtype = torch.float32 if precision == "fp32" else torch.float16
        nodes[precision] = export_onnx(
            FoldedScorer(checkpoint, dtype), model.config.window, path, outputs,
            graph_metadata(checkpoint, precision),
        )  # fmt: skip
        verifier.verify_graph(precision, path, nodes[precision])
    int8: Int8 | None = None
    if options.int8:
        graphs["int8"] = "scorer.int8.onnx"
        attempts = write_int8_graphs(
            work / graphs["fp32"], work / graphs["int8"], normal, data.origin, options.limits["int8"],
            options.calibration, options.ranges, report,
        )  # fmt: skip
        for description, count, last in attempts:
            int8, nodes["int8"] = description, count
            if verifier.verify_graph("int8", work / graphs["int8"], count, last):
                break
    write_text(work / REPORT, report_page(verifier.forms, verifier.reference.scores, data, title))
    files = [*graphs.values(), REPORT, CARD, *([RANGES] if int8 else [])]
    manifest = Manifest(
        daflow=__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        model=model.config.as_dict(),
        parameters=parameter_count(model),
        window=model.config.window,
        max_missing=MAX_MISSING,
        fps=checkpoint.fps,
        precisions=graphs,
        files={},
        training=checkpoint.training,
        nodes=nodes,
        verification={form.name: form.verdict for form in verifier.forms},
        int8=int8,
        evidence=_evidence_of(checkpoint),
        engine_options=options.engine,
        alarm=provisional_alarm(checkpoint.training, checkpoint.fps),
    )
    write_text(work / CARD, model_card(manifest, title))
    manifest = manifest.model_copy(update={"files": {name: sha256(work / name) for name in files}})
    write_manifest(work, manifest)
    return manifest


def _evidence_of(checkpoint: Checkpoint) -> EvidenceFacts | None:
    found = checkpoint.evidence
    return EvidenceFacts(channels=found.channels, windows=found.windows) if found else None


def _is_bundle(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() and not is_pose_bundle(folder)

"""Writing a bundle: graphs, verification and the manifest, as one folder that appears whole."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import onnx
import torch

from calibration.int8_ranges import Method, calibration_windows, read_ranges, write_ranges
from daflow.core.bundle import MANIFEST, Bundle, Int8, Manifest, read_bundle, write_manifest
from daflow.core.data.tracks import Clip
from daflow.core.data.windows import MAX_MISSING, Poses
from daflow.core.engines.file import BuildOptions
from daflow.core.errors import CheckFailed, InputError
from daflow.core.files import StrPath, sha256, write_text
from daflow.core.scoring.comparison import (
    LIMITS,
    Comparison,
    Limits,
    Precision,
    ScoreFunction,
    WindowSets,
    check_limits,
    extreme_windows,
)
from daflow.core.scoring.onnx import OnnxScorer
from daflow.core.version import __version__
from daflow.model.checkpoint import Checkpoint
from daflow.model.flow import DAFlow, parameter_count
from daflow.model.flow_model import FlowModel
from daflow.model.scoring_model import BundleModel, ScoringModel, load
from daflow.model.torch_scorer import score
from export.folded_flow import FoldedFlow
from export.int8_graph import calibrated_ranges, operations, quantise
from export.onnx_graph import export_onnx
from export.sensitivity import MARGINS, Sensitivity
from export.verification import VerificationSet, clips_set, generated_set
from export.verification_report import VerifiedForm, report_page

logger = logging.getLogger(__name__)

Report = Callable[[str], None]
Form = Literal["folded"] | Precision
REPORT = "verification.html"
RANGES = "int8.ranges.json"


@dataclass(frozen=True)
class ExportOptions:
    """What to export and what it must keep.

    Attributes:
        fp16: whether to write the FP16 graph.
        int8: whether to write the INT8 graph.
        method: how INT8 ranges are chosen.
        ranges: a calibration cache to take them from; None calibrates.
        limits: of each precision.
        keep_failing: write also what misses its limits, and mark it so.
        engine: how engines of this bundle are to be built.
    """

    fp16: bool = True
    int8: bool = False
    method: Method = "percentile"
    ranges: Path | None = None
    limits: dict[Precision, Limits] = field(default_factory=lambda: dict(LIMITS))
    keep_failing: bool = False
    engine: BuildOptions = field(default_factory=BuildOptions)


def export_bundle(
    checkpoint: Checkpoint, folder: Path, data: VerificationSet, normal: Poses, options: ExportOptions,
    build: Callable[[Bundle], None], report: Report,
) -> Manifest:  # fmt: skip
    """Export, verify and build; the folder is written only when every limit holds, or failures are to be kept.

    Args:
        checkpoint: the trained model.
        folder: the bundle; one that is there already is replaced at the very end.
        data: what to verify on.
        normal: `(N, 2, T, V)` windows of normal behaviour, to calibrate INT8 ranges on.
        options: what to export.
        build: builds the engines of the finished bundle, before it takes its place.
        report: takes one line for each step.

    Raises:
        CheckFailed: a graph misses a limit; nothing was written.
        InputError: `folder` is something else than a bundle, the ranges are of another graph, or TensorRT refuses.
        OSError: the folder cannot be written.
    """
    model = checkpoint.model
    with _folder_written_whole(folder) as work:
        gate = _Gate(model, data, options, folder, report)
        gate.judge("folded", FoldedFlow(model).eval().score)
        nodes: dict[Precision, int] = {}
        graphs: dict[Precision, str] = {}
        for precision in ("fp32", "fp16") if options.fp16 else ("fp32",):
            graphs[precision] = f"scorer.{precision}.onnx"
            dtype = torch.float32 if precision == "fp32" else torch.float16
            nodes[precision] = export_onnx(
                FoldedFlow(model, dtype), model.config.window, work / graphs[precision]
            )
            gate.judge_graph(precision, work / graphs[precision], nodes[precision])
        int8 = None
        if options.int8:
            graphs["int8"] = "scorer.int8.onnx"
            for int8, nodes["int8"] in _int8_graphs(work, graphs, normal, data.origin, options, report):
                if gate.judge_graph(
                    "int8", work / graphs["int8"], nodes["int8"], last=int8.margin == MARGINS[-1]
                ):
                    break
        write_text(work / REPORT, report_page(gate.judged, gate.reference, data, folder.name))
        files = [*graphs.values(), REPORT, *([RANGES] if int8 else [])]
        manifest = Manifest(
            daflow=__version__,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            model=model.config.as_dict(),
            parameters=parameter_count(model),
            window=model.config.window,
            max_missing=MAX_MISSING,
            precisions=graphs,
            files={name: sha256(work / name) for name in files},
            training=checkpoint.training,
            nodes=nodes,
            verification={judged.name: judged.verdict for judged in gate.judged},
            int8=int8,
            engine_options=options.engine,
        )
        write_manifest(work, manifest)
        build(read_bundle(work))
    return manifest


def export(
    model: FlowModel | StrPath,
    folder: StrPath,
    *,
    fp16: bool = True,
    int8: bool = False,
    clips: Sequence[Clip] | None = None,
    keep_failing: bool = False,
) -> BundleModel:
    """Export a model to a bundle, and verify every graph of it; a device builds its own engines from them.

    Args:
        model: a trained model, or the path of a checkpoint.
        folder: the bundle; one that exists is replaced.
        fp16: whether to write the FP16 graph.
        int8: whether to write the INT8 graph.
        clips: recordings to calibrate INT8 ranges on and to verify on; generated people without them.
        keep_failing: write also what misses its limits, and mark it so.

    Returns:
        The FP32 graph of the bundle, ready to score.

    Raises:
        CheckFailed: a graph does not score as the model does; nothing was written.
        InputError: the model is not a flow, the clips give no window, or `folder` is something else than a bundle.
        OSError: the folder cannot be written.
    """
    opened = model if isinstance(model, ScoringModel) else load(model)
    if not isinstance(opened, FlowModel):
        raise InputError(f"{opened.name} cannot be exported; a trained model or a checkpoint can.")
    data = clips_set(clips, opened.window) if clips is not None else generated_set(opened.window)
    options = ExportOptions(fp16=fp16, int8=int8, keep_failing=keep_failing)
    export_bundle(
        opened.checkpoint, Path(folder), data, data.windows.poses, options, lambda _: None, logger.info
    )
    return BundleModel(read_bundle(Path(folder)))


class _Gate:
    """Holds every form of the model against the PyTorch module; what misses a limit goes no further."""

    def __init__(
        self, model: DAFlow, data: VerificationSet, options: ExportOptions, folder: Path, report: Report
    ) -> None:  # fmt: skip
        self.reference = data.sets.score(lambda poses: score(model, poses).numpy())
        self.judged: list[VerifiedForm] = []
        self._data, self._options, self._folder, self._report = data, options, folder, report

    def judge_graph(self, precision: Precision, path: Path, nodes: int, last: bool = True) -> bool:
        """Judge an ONNX file; return whether it is the one to keep. See `judge`."""
        with OnnxScorer(path, precision, threads=0) as scorer:
            return self.judge(precision, scorer.score, f"{nodes} nodes, ", last)

    def judge(self, form: Form, candidate: ScoreFunction, what: str = "", last: bool = True) -> bool:
        """Judge a form of the model; return whether it is the one to keep.

        Args:
            form: what it is.
            candidate: scores windows.
            what: is said about it in front of the verdict.
            last: whether there is no other try; a miss is said and forgotten otherwise.

        Raises:
            CheckFailed: the last try misses a limit, and failures are not to be kept.
        """
        compared, scores = self._data.compare(self.reference, candidate)
        verdict = check_limits(compared, self._options.limits["fp32" if form == "folded" else form])
        missed = "; ".join(verdict.missed)
        if missed and not last:
            self._report(f"{form}: {what}misses its limits: {missed}; more of it is kept in FP32")
            return False
        self.judged.append(VerifiedForm(form, verdict, scores))
        if missed and not self._options.keep_failing:
            raise CheckFailed(
                f"The {form} form does not score as the model does, so {self._folder} is not written: {missed}. "
                "--keep-failing writes it, marked as failing."
            )
        verdict_words = f"MISSES ITS LIMITS: {missed}" if missed else "verified"
        self._report(f"{form}: {what}{verdict_words}, {_summary(compared)}")
        return True


def _int8_graphs(
    work: Path, graphs: dict[Precision, str], normal: Poses, origin: str, options: ExportOptions, report: Report
) -> Iterator[tuple[Int8, int]]:  # fmt: skip
    """Calibrate, find what must stay in FP32, and write the INT8 graph; then again with more in FP32."""
    graph = work / graphs["fp32"]
    candidates = operations(graph)
    poses = calibration_windows(normal)
    if options.ranges:
        ranges = read_ranges(options.ranges, graph)
        if lacking := {name for names in candidates.values() for name in names} - set(ranges.tensors):
            raise InputError(f"{options.ranges} has no range of {min(lacking)}; calibrate again.")
    else:
        tensors = [name for names in candidates.values() for name in names]
        ranges = calibrated_ranges(
            graph, tensors, poses, options.method, f"{origin}, perturbed and generated ones"
        )
    half = len(poses) // 2
    sets = WindowSets(poses[:half], poses[half:], extreme_windows(poses))
    write_ranges(work / RANGES, ranges)
    sensitivity = Sensitivity(graph, ranges, sets)
    for margin in MARGINS:
        chosen = sensitivity.choose(options.limits["int8"], margin)
        model = quantise(graph, ranges, chosen)
        onnx.save(model, work / graphs["int8"])
        kept = tuple(name for name in candidates if name not in chosen)
        report(
            f"int8: {len(chosen)} of {len(candidates)} operations in INT8 ({ranges.method} ranges of {ranges.windows} "
            f"windows), {len(kept)} stay in FP32"
        )
        int8 = Int8(
            ranges=RANGES, method=ranges.method, windows=ranges.windows, quantised=tuple(chosen), kept=kept,
            margin=margin,
        )  # fmt: skip
        yield int8, len(model.graph.node)


def _summary(compared: Comparison) -> str:
    auc = "" if compared.auc_delta is None else f", dAUC {compared.auc_delta:+.4f} points"
    return (
        f"{compared.windows} windows, max |dNLL| {compared.max_abs:.2g} bits/dim, "
        f"Spearman {compared.spearman:.6f}, tail {compared.tail_spearman:.6f}{auc}"
    )


@contextlib.contextmanager
def _folder_written_whole(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside `folder`, which takes its place when the block ends without an error."""
    if (
        folder.exists()
        and not (folder / MANIFEST).is_file()
        and (not folder.is_dir() or any(folder.iterdir()))
    ):
        raise InputError(f"{folder} is there already and is not a bundle; it is left as it is. Name another.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        work = Path(temporary) / "bundle"
        work.mkdir()
        yield work
        if folder.exists():
            folder.rename(Path(temporary) / "old")
        work.rename(folder)
        shutil.rmtree(Path(temporary) / "old", ignore_errors=True)

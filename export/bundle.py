"""Writing a bundle: graphs, verification, engines and the manifest, as one folder that appears whole."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType

from daflow import __version__
from daflow.bundle import MANIFEST, Comparison, Engine, Manifest, Precision, write_manifest
from daflow.checkpoint import Checkpoint
from daflow.errors import CheckFailed, InputError
from daflow.files import sha256
from daflow.model import parameter_count
from daflow.onnx_scorer import OnnxScorer
from daflow.training import score
from daflow.windows import MAX_MISSING
from export.engine import build_engine
from export.graph import derive_fp16, export_fp32
from export.verification import LIMITS, VerificationSet, compare, missed_limits

Report = Callable[[str], None]


def export_bundle(
    checkpoint: Checkpoint, folder: Path, data: VerificationSet, *, fp16: bool, builder: ModuleType | None,
    targets: list[str], ahead_of_time: bool, report: Report,
) -> Manifest:  # fmt: skip
    """Export, verify and build; the folder is written only when every limit holds.

    Args:
        checkpoint: the trained model.
        folder: the bundle; one that is there already is replaced at the very end.
        data: what to verify on.
        fp16: whether to derive the FP16 graph; engines are built from it then, else from the FP32 graph.
        builder: the TensorRT module, None for no engine.
        targets: the GPUs to build engines for.
        ahead_of_time: whether they are not the GPU of this machine.
        report: takes one line for each step.

    Raises:
        CheckFailed: a graph misses a limit of `export.verification.LIMITS`; nothing was written.
        InputError: `folder` is something else than a bundle, or TensorRT refuses.
        OSError: the folder cannot be written.
    """
    model = checkpoint.model
    with _folder_written_whole(folder) as work:
        precisions: dict[Precision, str] = {"fp32": "scorer.fp32.onnx"}
        export_fp32(model, work / precisions["fp32"])
        if fp16:
            precisions["fp16"] = "scorer.fp16.onnx"
            derive_fp16(work / precisions["fp32"], work / precisions["fp16"])
        verification: dict[Precision, Comparison] = {}
        for precision, name in precisions.items():
            with OnnxScorer(work / name, precision, threads=0) as scorer:
                compared = compare(data, lambda poses: score(model, poses).numpy(), scorer.score)
            if missed := missed_limits(compared, LIMITS[precision]):
                raise CheckFailed(
                    f"The {precision} graph does not score as the model does, so {folder} is not written: "
                    f"{'; '.join(missed)}."
                )
            verification[precision] = compared
            report(f"{name}: verified on {compared.windows} windows of {data.origin}, {_summary(compared)}")
        engines: list[Engine] = []
        for target in targets if builder else []:
            assert builder is not None
            finest: Precision = "fp16" if fp16 else "fp32"
            engine = build_engine(
                builder,
                work / precisions[finest],
                work / "engines",
                finest,
                target,
                ahead_of_time,
                model.config.window,
            )
            engines.append(engine)
            size = (work / engine.file).stat().st_size / 2**20
            report(f"{engine.file}: built by {engine.flavour} {engine.version}, {size:.1f} MiB")
        files = [*precisions.values(), *(engine.file for engine in engines)]
        manifest = Manifest(
            daflow=__version__,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            model=model.config.as_dict(),
            parameters=parameter_count(model),
            window=model.config.window,
            max_missing=MAX_MISSING,
            precisions=precisions,
            files={name: sha256(work / name) for name in files},
            training=checkpoint.training,
            verification=verification,
            engines=tuple(engines),
        )
        write_manifest(work, manifest)
    return manifest


def _summary(compared: Comparison) -> str:
    auc = "" if compared.auc_delta is None else f", dAUC {100 * compared.auc_delta:+.4f} points"
    return (
        f"max |dNLL| {compared.max_abs:.2g} bits/dim, Spearman {compared.spearman:.6f}, "
        f"tail {compared.tail_spearman:.6f}{auc}"
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

"""`daflow-export MODEL`: export a checkpoint to a verified bundle with TensorRT engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from daflow.core.bundle import Manifest
from daflow.core.command_line import (
    FILE,
    FOLDER,
    CommandWithSubcommands,
    frame_size_option,
    json_option,
    version_option,
    write_json,
)
from daflow.core.data.clip_tables import FrameSize
from daflow.core.errors import require_packages
from daflow.core.evidence import unit_of
from daflow.core.shipped import BUNDLE, bundle_or_default, make_own_copy, shipped_checkpoint
from export.commands.options import calibration_option, engine_options, keep_failing_option, limit_option

_NEEDED = ("torch", "onnx", "onnxscript", "onnxslim", "onnxruntime")


def _threshold(manifest: Manifest) -> str:
    if manifest.alarm is None:
        return "no alarm threshold, because the checkpoint holds no normal scores that training held out"
    return (
        f"PROVISIONAL alarm threshold {manifest.alarm.threshold:.3f} {unit_of(manifest.channels)}, from "
        f"{manifest.alarm.windows} windows that training held out, which promises no rate of false alarms"
    )


def _new_folder(name: str) -> Path:
    folder = Path(name)
    if folder.exists():
        raise click.UsageError(
            f"{folder} is there already. Say with -o where to write; a bundle there is replaced."
        )
    return folder


@click.command("daflow-export", cls=CommandWithSubcommands)
@click.argument("model", type=FOLDER, required=False)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    metavar="BUNDLE",
    help="Folder to write; an older bundle there is replaced.  [default: generated-people, without MODEL]",
)
@click.option(
    "--fp32/--fp16",
    "only_fp32",
    default=False,
    help="Write the FP32 graph alone, or the FP16 graph too.",
    show_default="fp16",
)
@click.option(
    "--int8",
    is_flag=True,
    help="Also write the INT8 graph; operations that disturb the ranking stay in FP32.",
)
@click.option(
    "--calibrate-on",
    type=FOLDER,
    multiple=True,
    help="Folder of pose tracks of normal behaviour, to calibrate INT8 ranges on and to verify on; may be repeated. "
    "Without it generated walkers, falls, runs and fights are used.",
)
@click.option(
    "--verify-on",
    type=FOLDER,
    multiple=True,
    help="Folder of pose tracks to verify on, instead of those of --calibrate-on; may be repeated.",
)
@click.option(
    "--masks",
    type=FOLDER,
    help="Frame masks of the tracks to verify on; with them the change of the AUC is verified too.",
)
@calibration_option
@click.option(
    "--ranges", type=FILE, help="Take INT8 ranges from this calibration cache (int8.ranges.json of a bundle)."
)
@limit_option(
    "fp16.spearman=0.9999 or int8.auc_delta=1 (points); may be repeated. "
    "Names: max_error, spearman, tail_spearman, alarm_agreement, auc_delta."
)
@keep_failing_option
@engine_options(
    "windows",
    256,
    "MODEL is a bundle: build and verify its engines on the GPU of this machine, without torch. For the Jetson.",
)
@json_option("the manifest")
@frame_size_option
@version_option()
def export(
    model: Path | None, output: Path | None, only_fp32: bool, int8: bool, calibrate_on: tuple[Path, ...], verify_on:
    tuple[Path, ...], masks: Path | None, calibration: Any, ranges: Path | None, limits: dict[str, float],
    keep_failing: bool, targets: list[str], engine: bool, on_device: bool, batch: tuple[int, int, int] | None,
    workspace: int | None, layers: bool, json_target: str | None, frame_size: FrameSize | None,
) -> None:  # fmt: skip
    """Export the checkpoint MODEL to a bundle: FP32, FP16 and INT8 ONNX, verified, and TensorRT engines.

    Every form is compared with the PyTorch model on normal, abnormal and extreme windows. When one does not rank people
    as the model does, nothing is written and the exit code is 1.

    Without MODEL the model of the package is exported, which was trained on generated people.

    With a GPU, engines are built for that GPU. Elsewhere TensorRT for RTX builds them ahead of time for sm75 to sm121.
    Jetson Orin is sm87, which only JetPack's own TensorRT builds, on the Orin: daflow-export BUNDLE --on-device.
    """

    def report(line: str) -> None:
        click.echo(line, err=json_target == "-")

    if on_device:
        if output or calibrate_on or verify_on or masks or targets or ranges:
            raise click.UsageError("--on-device builds the engines of a bundle and takes no other files.")
        from export.engines import build_on_device

        if model is None and (batch is not None or workspace is not None):
            model = make_own_copy()  # their values are written to the bundle, and the package stays as it is
        bundle = build_on_device(
            bundle_or_default(model),
            fp32=only_fp32,
            batch=batch,
            workspace=workspace,
            layers=layers,
            report=report,
        )
    else:
        require_packages({"export": _NEEDED})
        if model is None:
            model, output = shipped_checkpoint(), output or _new_folder(BUNDLE)
            report(
                "no MODEL was named, so that of the package is exported: it was trained on generated people"
            )
        if output is None:
            raise click.UsageError("Missing option '-o' / '--output': the bundle to write.")
        from export.bundle import export_model

        bundle = export_model(
            model, output, fp16=not only_fp32, int8=int8, calibrate_on=calibrate_on or None,
            verify_on=verify_on or None, masks=masks,
            frame_size=frame_size, calibration=calibration, ranges=ranges, limits=limits, keep_failing=keep_failing,
            engine=engine, targets=targets, batch=batch, workspace=workspace, layers=layers, report=report,
        )  # fmt: skip
        report(f"{output}: written; verification.html shows how each form compares with the model")
        report(
            f"{_threshold(bundle.manifest)}; set it with 'daflow-calibrate alarm --bundle {output} --poses DIR'"
        )
    if json_target:
        write_json(json_target, bundle.manifest.model_dump(mode="json", by_alias=True))

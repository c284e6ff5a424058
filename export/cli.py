"""The command `daflow-export`: a checkpoint becomes a verified bundle with TensorRT engines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import click

from daflow.core.bundle import Bundle, read_bundle, write_manifest
from daflow.core.command_line import (
    FILE,
    FOLDER,
    CommandWithSubcommands,
    frame_size_option,
    json_option,
    version_option,
    write_json,
)
from daflow.core.data.tracks import FrameSize
from daflow.core.engines.file import BuildOptions
from daflow.core.errors import InputError
from daflow.core.scoring.comparison import Precision, parse_limits
from export.commands.inspect import inspect

_METHODS = ("minmax", "percentile", "entropy")


def _parse_batch(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[int, int, int] | None:  # noqa: ARG001
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,4}),(\d{1,4}),(\d{1,4})", text.replace(" ", ""))
    sizes = [int(part) for part in match.groups()] if match else []
    if not sizes or sizes != sorted(sizes) or not 1 <= sizes[0] <= sizes[-1] <= 4096:
        raise click.BadParameter(f"{text!r} is not MIN,OPT,MAX in ascending order, such as 1,4,32.")
    return sizes[0], sizes[1], sizes[2]


def _parse_limits(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:  # noqa: ARG001
    settings = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            settings[name.strip()] = float(value)
        except ValueError:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE, such as fp16.spearman=0.9999.") from None
        if not settings[name.strip()] >= 0:
            raise click.BadParameter(f"{text!r} is not a number from 0.")
    return settings


def _parse_targets(ctx: click.Context, param: click.Parameter, text: str | None) -> list[str]:  # noqa: ARG001
    names = [name.strip().lower() for name in (text or "").split(",") if name.strip()]
    for name in names:
        if not re.fullmatch(r"sm\d{2,3}", name):
            raise click.BadParameter(f"{name!r} is not a compute capability such as sm86.")
    return list(dict.fromkeys(names))


@click.command(cls=CommandWithSubcommands)
@click.argument("model", type=FOLDER)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    metavar="BUNDLE",
    help="The folder to write; an older bundle there is replaced.",
)
@click.option(
    "--fp32/--fp16",
    "only_fp32",
    default=False,
    help="The FP32 graph alone, or the FP16 graph beside it.",
    show_default="fp16",
)
@click.option("--int8", is_flag=True, help="Also the INT8 graph; what disturbs the ranking stays in FP32.")
@click.option(
    "--calibrate-on",
    "poses",
    type=FOLDER,
    help="Pose tracks of normal behaviour, to calibrate INT8 ranges on and to verify on; generated walkers, falls, "
    "runs and fights without it.",
)
@click.option(
    "--verify-on", type=FOLDER, help="Pose tracks to verify on, in place of those of --calibrate-on."
)
@click.option(
    "--masks",
    type=FOLDER,
    help="Frame masks of the tracks to verify on, so that the change of the AUC is verified too.",
)
@click.option(
    "--calibration",
    "method",
    type=click.Choice(_METHODS),
    default="percentile",
    help="How INT8 ranges are chosen: the largest magnitude, all but 1 value in 10,000, or least lost entropy.",
)
@click.option(
    "--ranges", type=FILE, help="Take INT8 ranges from this calibration cache (int8.ranges.json of a bundle)."
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_parse_limits,
    help="Another verification limit, such as fp16.spearman=0.9999 or int8.auc_delta=1 (points); may be repeated. "
    "Names: max_error, spearman, tail_spearman, alarm_agreement, auc_delta.",
)
@click.option("--keep-failing", is_flag=True, help="Write also what misses its limits, marked as failing.")
@click.option(
    "--target",
    "targets",
    callback=_parse_targets,
    help="GPUs to build engines for, such as sm86,sm89.  [default: the GPU of this machine, else sm86 ahead of time]",
)
@click.option("--engine/--no-engine", default=True, help="Whether to build TensorRT engines.")
@click.option(
    "--on-device",
    is_flag=True,
    help="MODEL is a bundle: build and verify its engines on this machine's GPU, without torch. For the Jetson.",
)
@click.option(
    "--batch",
    metavar="MIN,OPT,MAX",
    callback=_parse_batch,
    help="Least, usual and most windows in a call of the engine.  [default: 1,4,32]",
)
@click.option(
    "--workspace",
    type=click.IntRange(1, 1 << 20),
    help="Most scratch memory for TensorRT's builder, MiB.  [default: 256]",
)
@click.option("--timing-cache", type=FILE, help="File that keeps TensorRT's measurements for the next build.")
@click.option(
    "--version-compatible",
    is_flag=True,
    default=None,
    help="Engines for later TensorRTs too (for a runtime of your own: daflow-edge builds anew). [default: no]",
)
@click.option(
    "--hardware-compatible",
    is_flag=True,
    default=None,
    help="Engines for every GPU from Ampere on; not for Jetson.  [default: no]",
)
@click.option(
    "--layers", is_flag=True, help="Write what is known about the layers beside each engine, as JSON."
)
@json_option("the manifest")
@frame_size_option
@version_option()
def main(
    model: Path, output: Path | None, only_fp32: bool, int8: bool, poses: Path | None, verify_on: Path | None,
    masks: Path | None, method: Any, ranges: Path | None, limits: dict[str, float], keep_failing: bool,
    targets: list[str], engine: bool, on_device: bool, batch: tuple[int, int, int] | None, workspace: int | None,
    timing_cache: Path | None, version_compatible: bool | None, hardware_compatible: bool | None, layers: bool,
    json_target: str | None, frame_size: FrameSize | None,
) -> None:  # fmt: skip
    """Export the checkpoint MODEL to a bundle: FP32, FP16 and INT8 ONNX, verified, and TensorRT engines.

    Every form is compared with the PyTorch model on normal, abnormal and extreme windows. When one does not rank people
    as the model does, nothing is written and the exit code is 1.

    With a GPU, engines are built for that GPU. Elsewhere TensorRT for RTX builds them ahead of time for sm75 to sm121;
    Jetson Orin is sm87, which only JetPack's own TensorRT builds, on the Orin: daflow-export BUNDLE --on-device.
    """
    given = {
        "batch": batch, "workspace": workspace, "version_compatible": version_compatible,
        "hardware_compatible": hardware_compatible,
    }  # fmt: skip
    chosen = {name: value for name, value in given.items() if value is not None}
    echo = click.echo if json_target != "-" else lambda line: click.echo(line, err=True)
    if on_device:
        if output or poses or verify_on or masks or targets or ranges:
            raise click.UsageError(
                "--on-device takes a bundle and builds its engines; nothing else is written."
            )
        bundle = _build_on_device(model, only_fp32, chosen, timing_cache, layers, echo)
        if json_target:
            write_json(json_target, bundle.manifest.model_dump(mode="json", by_alias=True))
        return
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output': the bundle to write.")
    if masks and not (poses or verify_on):
        raise click.UsageError(
            "--masks belongs to the tracks of --calibrate-on or --verify-on; both are missing."
        )
    if ranges and not int8:
        raise click.UsageError("--ranges belongs to --int8.")
    from daflow.core.engines.builder import check_targets
    from daflow.model.checkpoint import load_checkpoint
    from export.bundle import ExportOptions, export_bundle
    from export.engines import EngineBuilder, find_builder
    from export.verification import generated_set, recorded_set

    options = ExportOptions(
        fp16=not only_fp32, int8=int8, method=method, ranges=ranges, limits=parse_limits(limits),
        keep_failing=keep_failing, engine=BuildOptions.model_validate(chosen),
    )  # fmt: skip
    checkpoint = load_checkpoint(model)
    trt, ahead, _ = find_builder(targets) if engine else (None, [], None)
    if engine and trt is None:
        if targets:
            raise InputError(
                f"TensorRT is not installed, so nothing can be built for {','.join(targets)}; it comes with JetPack, "
                "or with: pip install 'daflow[export]'"
            )
        click.echo("no TensorRT here: the bundle has no engines (it runs on ONNX Runtime)", err=True)
    if trt is not None:
        check_targets(trt, ahead)
    length = checkpoint.model.config.window
    verified_on = verify_on or poses
    data = recorded_set(verified_on, masks, length, frame_size) if verified_on else generated_set(length)
    normal = data.windows.poses
    if poses and verify_on and int8:
        normal = recorded_set(poses, None, length, frame_size).windows.poses

    def build(bundle: Bundle) -> None:
        if trt is not None:
            builder = EngineBuilder(trt, ahead, timing_cache, layers, echo)
            builder.build(bundle, _engine_precisions(bundle, only_fp32))

    manifest = export_bundle(checkpoint, output, data, normal, options, build, echo)
    if json_target:
        write_json(json_target, manifest.model_dump(mode="json", by_alias=True))
    echo(f"{output}: written; verification.html shows how each form compares with the model")
    echo(f"set its alarm threshold with 'daflow-calibrate alarm --bundle {output} --poses DIR'")


main.add(inspect)


def _build_on_device(
    folder: Path, only_fp32: bool, chosen: dict[str, Any], timing_cache: Path | None, layers: bool, echo: Any
) -> Bundle:  # fmt: skip
    """Build the engines of a bundle here; options that are given become the bundle's own."""
    from daflow.core.gpu import load_tensorrt
    from export.engines import EngineBuilder, require_gpu

    bundle = read_bundle(folder)
    require_gpu()
    trt = load_tensorrt()
    assert trt is not None
    if chosen:
        settings = BuildOptions.model_validate({**bundle.manifest.engine_options.model_dump(), **chosen})
        write_manifest(folder, bundle.manifest.model_copy(update={"engine_options": settings}))
        bundle = read_bundle(folder)
    EngineBuilder(trt, [], timing_cache, layers, echo).build(bundle, _engine_precisions(bundle, only_fp32))
    return bundle


def _engine_precisions(bundle: Bundle, only_fp32: bool) -> list[Precision]:
    """FP16 and INT8 where the bundle has them; FP32 when it has nothing else or is asked for."""
    fine = [name for name in get_args(Precision) if name in bundle.manifest.precisions and name != "fp32"]
    return ["fp32"] if only_fp32 or not fine else fine


if __name__ == "__main__":
    main()

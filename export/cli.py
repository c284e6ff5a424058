"""The command `daflow-export`: a checkpoint becomes a verified bundle with TensorRT engines."""

from __future__ import annotations

import re
from pathlib import Path

import click

from daflow.command import FILE, FOLDER, Command, frame_size_option, version_option
from daflow.errors import InputError
from daflow.nvidia import gpu_target
from daflow.tracks import FrameSize


@click.command(cls=Command)
@click.argument("model", type=FILE)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    required=True,
    metavar="BUNDLE",
    help="The folder to write; an older bundle there is replaced.",
)
@click.option(
    "--fp32/--fp16",
    "only_fp32",
    default=False,
    help="The finest precision: FP32 alone, or FP16 beside it (engines are built from the finest).",
    show_default="fp16",
)
@click.option(
    "--calibrate-on",
    "poses",
    type=FOLDER,
    help="Pose tracks to verify on; generated walkers, falls, runs and fights without it.",
)
@click.option(
    "--masks",
    type=FOLDER,
    help="Frame masks of those tracks, so that the change of the AUC is verified too.",
)
@click.option(
    "--target",
    "targets",
    help="GPUs to build for, such as sm86,sm89.  [default: the GPU of this machine, else sm86 ahead of time]",
)
@click.option("--engine/--no-engine", default=True, help="Whether to build TensorRT engines.")
@frame_size_option
@version_option()
def main(
    model: Path, output: Path, only_fp32: bool, poses: Path | None, masks: Path | None, targets: str | None,
    engine: bool, frame_size: FrameSize | None,
) -> None:  # fmt: skip
    """Export the checkpoint MODEL to a bundle: FP32 and FP16 ONNX, verified, and TensorRT engines.

    Every graph is compared with the PyTorch model on normal and abnormal windows. When it does not rank people as the
    model does, nothing is written and the exit code is 1.

    With a GPU, engines are built for that GPU. Elsewhere TensorRT for RTX builds them ahead of time for sm75 to sm121;
    Jetson Orin is sm87, which only JetPack's own TensorRT builds, on the Orin.
    """
    if masks and not poses:
        raise click.UsageError("--masks belongs to the tracks of --calibrate-on, which is missing.")
    from daflow.checkpoint import load_checkpoint
    from export.bundle import export_bundle
    from export.engine import find_builder
    from export.verification import generated_set, recorded_set

    checkpoint = load_checkpoint(model)
    names = _targets(targets)
    here = gpu_target()
    ahead_of_time = here is None or any(name != here for name in names)
    builder = find_builder(ahead_of_time) if engine else None
    if engine and builder is None:
        if names:
            raise InputError(
                f"TensorRT is not installed, so nothing can be built for {targets}; it comes with JetPack, "
                "or with: pip install 'daflow[export]'"
            )
        click.echo("no TensorRT here: the bundle has no engines (it runs on ONNX Runtime)", err=True)
    length = checkpoint.model.config.window
    data = recorded_set(poses, masks, length, frame_size) if poses else generated_set(length)
    export_bundle(
        checkpoint, output, data, fp16=not only_fp32, builder=builder, targets=names or [here or "sm86"],
        ahead_of_time=ahead_of_time, report=click.echo,
    )  # fmt: skip
    click.echo(
        f"{output}: written; set its alarm threshold with 'daflow-calibrate alarm --bundle {output} --poses DIR'"
    )


def _targets(text: str | None) -> list[str]:
    names = [name.strip().lower() for name in (text or "").split(",") if name.strip()]
    for name in names:
        if not re.fullmatch(r"sm\d{2,3}", name):
            raise click.BadParameter(
                f"{name!r} is not a compute capability such as sm86.", param_hint="--target"
            )
    return list(dict.fromkeys(names))


if __name__ == "__main__":
    main()

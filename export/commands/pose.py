"""`daflow-export pose`: export a detector of people and a network of landmarks to a verified pose bundle."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from click.core import ParameterSource

from daflow.core.command_line import FILE, FOLDER, Command, json_option, write_json
from daflow.core.errors import require_packages
from daflow.core.pose_bundle import DetectorLayout, LandmarkLayout
from export.commands.options import calibration_option, engine_options, keep_failing_option, limit_option
from runtime.commands.models import bring_people_models, offline_option
from runtime.models.catalogue import DETECTOR, MODELS, POSE_MODELS
from runtime.models.folder import default_pose_bundle

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

_NEEDED = {
    "export": ("torch", "onnx", "onnxslim", "onnxruntime", "tflite"),
    "train": ("matplotlib",),
    "edge": ("av", "cv2"),
}


def _parse_colours(
    ctx: click.Context, param: click.Parameter, text: str | None  # noqa: ARG001
) -> tuple[float, float, float] | None:  # fmt: skip
    if text is None:
        return None
    number = r"\s*([0-9.]+(?:e-?[0-9]+)?)\s*"
    match = re.fullmatch(f"{number},{number},{number}", text)
    try:
        values = [float(part) for part in match.groups()] if match else []
    except ValueError:
        values = []
    if len(values) != 3:
        raise click.BadParameter(f"{text!r} is not three numbers, such as 123.675,116.28,103.53.")
    return values[0], values[1], values[2]


def _normalisation(prefix: str, whose: str) -> Callable[[_Decorated], _Decorated]:
    def add(command: _Decorated) -> _Decorated:
        options = [
            click.option(
                f"--{prefix}channels",
                type=click.Choice(["rgb", "bgr"]),
                help=f"Order of colours that {whose} takes.  [default: that of the layout]",
            ),
            click.option(
                f"--{prefix}mean",
                metavar="A,B,C",
                callback=_parse_colours,
                help="What it subtracts from colours 0..255, in that order.  [default: that of the layout]",
            ),
            click.option(
                f"--{prefix}std",
                metavar="A,B,C",
                callback=_parse_colours,
                help="What it divides by then.  [default: that of the layout]",
            ),
            click.option(f"--{prefix}licence", help=f"Licence of {whose}, for the manifest."),
        ]
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.command("pose", cls=Command)
@click.argument("source", required=False, type=FOLDER, metavar="[TASK|BUNDLE]")
@click.option("--landmarks", type=FILE, help="Network of landmarks, in place of TASK: TFLite, TF.js or ONNX.")
@click.option(
    "--layout",
    type=click.Choice(get_args(LandmarkLayout)),
    default="blazepose",
    help="What the outputs of the network of landmarks mean.",
)
@_normalisation("", "the network of landmarks")
@click.option(
    "--detector",
    type=FILE,
    help="Detector of people: a TF.js graph model, TFLite or ONNX.  [default: NanoDet of 'daflow models fetch people']",
)
@click.option(
    "--detector-layout",
    type=click.Choice(get_args(DetectorLayout)),
    default="nanodet",
    help="What the outputs of the detector mean. yolo-pose finds the joints too, and needs no network of landmarks.",
)
@_normalisation("detector-", "the detector")
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    metavar="BUNDLE",
    default=default_pose_bundle,
    show_default="pose.bundle among the fetched models, where daflow-edge looks for it",
    help="Folder to write; an older pose bundle is replaced.",
)
@click.option(
    "--verify-on",
    type=FOLDER,
    multiple=True,
    help="Folder of pictures or video of people to verify on; may be repeated.",
)
@click.option(
    "--calibrate-on",
    type=FOLDER,
    multiple=True,
    help="The same to calibrate INT8 ranges on. With one of the two, every other frame is for each.",
)
@click.option(
    "--fp32/--fp16",
    "only_fp32",
    default=False,
    help="Write the FP32 graphs alone, or the FP16 graphs too.",
    show_default="fp16",
)
@click.option("--int8", is_flag=True, help="Also write INT8 graphs; sensitive operations stay in FP32.")
@calibration_option
@limit_option(
    "landmarks.fp16.median_error=0.3 (percent of the body's height) or "
    "detector.int8.overlap=0.85; may be repeated."
)
@keep_failing_option
@engine_options("pictures", 1024, "BUNDLE is a pose bundle: build its engines on the GPU of this machine.")
@offline_option
@json_option("the manifest")
def pose(
    source: Path | None, landmarks: Path | None, layout: str, channels: Any, mean: Any, std: Any, licence: str | None,
    detector: Path | None, detector_layout: str, detector_channels: Any, detector_mean: Any, detector_std: Any,
    detector_licence: str | None, output: Path, verify_on: tuple[Path, ...], calibrate_on: tuple[Path, ...],
    only_fp32: bool, int8: bool, calibration: Any, limits: dict[str, float], keep_failing: bool, targets: list[str],
    engine: bool, on_device: bool, batch: tuple[int, int, int] | None, workspace: int | None, layers: bool,
    offline: bool, json_target: str | None,
) -> None:  # fmt: skip
    """Export the networks that see people to a pose bundle: FP32, FP16 and INT8 ONNX, verified, and TensorRT engines.

    TASK is a MediaPipe pose task, such as pose_landmarker_full.task; another network is given with --landmarks and its
    --layout. Without any network, those of 'daflow models fetch people' are taken, and fetched first. Every graph is
    compared with the published network on people in the pictures. When one does not see them as that network does,
    nothing is written and the exit code is 1.
    """

    def report(line: str) -> None:
        click.echo(line, err=json_target == "-")

    if on_device:
        if (
            source is None
            or landmarks
            or detector
            or _is_given("output")
            or verify_on
            or calibrate_on
            or targets
            or int8
        ):
            raise click.UsageError(
                "--on-device builds the engines of a pose bundle and takes no other files."
            )
        from export.pose.engines import build_pose_engines_on_device

        bundle = build_pose_engines_on_device(
            source, fp32=only_fp32, batch=batch, workspace=workspace, layers=layers, report=report
        )
    else:
        require_packages(_NEEDED)
        path = _landmarks_path(source, landmarks)
        if detector is None and detector_layout == "nanodet":
            fetched = bring_people_models(offline)
            detector, path = fetched.detector, path or fetched.task
            licence = licence or (MODELS[POSE_MODELS[0]].licence if path == fetched.task else None)
            detector_licence = detector_licence or MODELS[DETECTOR].licence
        if detector is None:
            raise click.UsageError("Missing option '--detector': the network that finds people.")
        if path is None and detector_layout != "yolo-pose":
            raise click.UsageError("Missing argument 'TASK', or --landmarks: the network that finds joints.")
        from export.pose.bundle import NetworkSource, export_pose

        bundle = export_pose(
            NetworkSource(
                detector, detector_layout, detector_channels, detector_mean, detector_std, detector_licence
            ),
            None if path is None else NetworkSource(path, layout, channels, mean, std, licence),
            output, verify_on=verify_on, calibrate_on=calibrate_on, fp16=not only_fp32, int8=int8,
            calibration=calibration, limits=limits, keep_failing=keep_failing, engine=engine, targets=targets,
            batch=batch, workspace=workspace, layers=layers, report=report,
        )  # fmt: skip
        report(
            f"{output}: written; verification.html shows how each graph compares with the published network"
        )
    if json_target:
        write_json(json_target, bundle.manifest.model_dump(mode="json", by_alias=True))


def _is_given(option: str) -> bool:
    """Whether an option of the running command stands on the command line."""
    return click.get_current_context().get_parameter_source(option) is not ParameterSource.DEFAULT


def _landmarks_path(source: Path | None, landmarks: Path | None) -> Path | None:
    if source is not None and landmarks is not None:
        raise click.UsageError("Give the network of landmarks as TASK or with --landmarks, not both.")
    return source or landmarks

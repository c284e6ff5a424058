"""Watch a source from Python: one result per frame."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from daflow.core.alarms.zones import Zone
from daflow.core.bundle import Bundle, read_bundle
from daflow.core.shipped import bundle_or_default
from runtime.config.file import make_config
from runtime.pipeline.alarm_rule import make_decider
from runtime.pipeline.camera_pipeline import CameraPipeline
from runtime.pipeline.results import FrameResult
from runtime.poses.people import open_people
from runtime.scorers.registry import open_scorer
from runtime.sources.frames import Source
from runtime.sources.uri import open_source
from runtime.stage_clock import StageClock

logger = logging.getLogger(__name__)


def watch(
    source: str | os.PathLike[str] | Source,
    bundle: str | os.PathLike[str] | Bundle | None = None,
    *,
    people: Literal["auto", "one", "few", "many"] = "auto",
    max_people: int | None = None,
    pose_bundle: str | os.PathLike[str] | None = None,
    pose_model: str | os.PathLike[str] | None = None,
    scorer: Literal["onnxruntime", "tensorrt"] = "onnxruntime",
    precision: Literal["auto", "fp32", "fp16", "int8"] = "auto",
    threshold: float | None = None,
    camera: str = "camera",
    zones: Mapping[str, Zone | Mapping[str, Any]] | None = None,
) -> Generator[FrameResult, None, None]:
    """Watch a camera or a recording and yield one result per frame, in order.

    Everything runs in the calling thread and is opened at the first result. The source, the pose model and the scorer
    are closed when the source ends, when an error is raised, or when the generator is closed, as happens when a loop
    over it is left early. An alarm that is on when the source ends has no result with `change == "end"`.

    Args:
        source: what `daflow-edge --source` takes (a file, a folder, `rtsp://...`, `synthetic:seed=3,event=fall`), a
            path, or an opened source, which is closed too.
        bundle: the folder of a bundle, or a bundle that was read; None is the model of the package.
        people: how people are found in pictures: `auto`, `one`, `few` or `many`, as the option `--people`.
        max_people: people looked for at most; None is as the option `--max-people`.
        pose_bundle: a pose bundle that `daflow-export pose` wrote; None is the one among the fetched models.
        pose_model: a MediaPipe pose model (.task); None is the one that `daflow models fetch` downloaded, where there
            is no pose bundle.
        scorer: what runs the model.
        precision: which graph of the bundle runs; `auto` is the default of the scorer.
        threshold: score above which the alarm begins; None is the calibrated one of the bundle.
        camera: the name of the camera, which selects its calibration and is named in its results.
        zones: parts of the picture where nobody is scored, or where alone, by name, such as
            `{"street": {"kind": "ignore", "points": [[0, 0], [1, 0], [1, 0.3]]}}`; None for everybody everywhere.

    Yields:
        The result of each frame: the people with their scores, whether the alarm is on, and whether it begins or ends.

    Raises:
        InputError: an option is wrong, the bundle cannot be used or has no threshold, or a recording, the pose model or
            a package is missing.
        CheckFailed: a TensorRT engine was built and does not score as its graph does.
    """
    opened: Source | None = None
    if isinstance(source, (str, os.PathLike)):
        uri = _uri(source)
    else:
        uri, opened = type(source).__name__, source
    if isinstance(bundle, Bundle):
        folder = bundle.folder
    else:
        folder = bundle_or_default(None if bundle is None else Path(bundle))
    with ExitStack() as stack:
        if opened is not None:
            stack.enter_context(opened)
        values: dict[tuple[str, ...], Any] = {
            ("bundle",): folder,
            ("cameras", camera, "source"): uri,
            ("cameras", camera, "zones"): dict(zones or {}),
            ("people",): people,
            ("max_people",): max_people,
            ("pose_bundle",): pose_bundle,
            ("pose_model",): pose_model,
            ("scorer",): scorer,
            ("precision",): precision,
            ("alarm", "threshold"): threshold,
        }
        config = make_config(None, values, {})
        options = config.camera(camera)
        read = bundle if isinstance(bundle, Bundle) else read_bundle(folder)
        decider = make_decider(read, camera, options)
        running = stack.enter_context(open_scorer(read, config.scorer, config.precision))
        if opened is None:
            opened = stack.enter_context(open_source(uri, name=f"camera {camera}"))
        frames = iter(opened)
        first = next(frames, None)
        if first is None:
            return
        # An opened source does not say whether it has pictures only; its first frame does.
        finder = stack.enter_context(open_people(options, opened.fps, first.people is None))
        manifest = read.manifest
        pipeline = CameraPipeline(
            running,
            finder,
            decider.rule,
            manifest.window,
            manifest.max_missing,
            StageClock(),
            decider.calibration,
            camera,
            manifest.fps,
            manifest.evidence,
            options.zones,
        )
        warned = False
        for frame in chain([first], frames):
            yield pipeline.process(frame)
            if not warned and (reason := pipeline.rate_reason):
                logger.warning("camera %s: nobody is scored: %s", camera, reason)
                warned = True


def _uri(source: str | os.PathLike[str]) -> str:
    """Return the name of a source; a path is a file or a folder even if it looks like something else, such as `0`."""
    return source if isinstance(source, str) else str(Path(source).absolute())

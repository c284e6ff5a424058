"""The files of a run: score log, recorded tracks and annotated videos."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daflow.core.errors import InputError
from runtime.config.schema import Config
from runtime.outputs.annotated_video import AnnotatedVideo, check_video_name
from runtime.outputs.score_log import ScoreLog
from runtime.outputs.track_recorder import TrackRecorder
from runtime.pipeline.results import FrameResult, Sink

logger = logging.getLogger(__name__)


class Outputs:
    """A sink that writes them; a file that cannot be written is closed to further results and stops nothing else.

    Args:
        config: which files.
        fps: the nominal rate of each camera, for its video.

    Raises:
        InputError: a video cannot be opened, or as `check_outputs`.
        OSError: a file cannot be opened.
    """

    def __init__(self, config: Config, fps: Mapping[str, float]) -> None:
        check_outputs(config)
        self.errors: list[str] = []
        """A sentence for each file that could not be written."""
        self._written: dict[str, int] = {}
        self._recorder: TrackRecorder | None = None
        self._stack = contextlib.ExitStack()
        self._sinks: dict[str, list[tuple[Path, Sink]]] = {name: [] for name in fps}
        with self._stack:
            if config.scores:
                log = self._stack.enter_context(ScoreLog(config.scores))
                for sinks in self._sinks.values():
                    sinks.append((config.scores, log))
            if config.record:
                recorder = self._stack.enter_context(TrackRecorder(config.record, config.record_format))
                self._recorder = recorder
                for sinks in self._sinks.values():
                    sinks.append((config.record, recorder))
            if config.video:
                for name, sinks in self._sinks.items():
                    path = video_of(config.video, name, len(fps))
                    video = AnnotatedVideo(path, fps[name], config.privacy)
                    sinks.append((path, self._stack.enter_context(video)))
            # A camera that is added by a reload has no video.
            self._common = [
                pair for pair in next(iter(self._sinks.values())) if pair[0] in (config.scores, config.record)
            ]
            self._stack = self._stack.pop_all()

    def __call__(self, result: FrameResult) -> None:
        """Take the result of a frame; the empty frames of a lost camera repeat a number and are skipped."""
        if self._written.get(result.camera) == result.frame.index:
            return
        self._written[result.camera] = result.frame.index
        for path, sink in list(self._sinks.get(result.camera, self._common)):
            try:
                sink(result)
            except Exception as error:  # noqa: BLE001  FFmpeg's errors are of many classes
                self._drop(path, error)

    def recorded(self, camera: str) -> dict[str, Any] | None:
        """Return how many `seconds` with people, and how many `people`, were recorded of a camera; None without."""
        return self._recorder.recorded(camera) if self._recorder else None

    def _drop(self, path: Path, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        message = f"Cannot write {path}: {reason}. Check its permissions and the free space."
        logger.error("%s It gets no further results in this run.", message)
        self.errors.append(message)
        self._common = [pair for pair in self._common if pair[0] != path]
        for camera, sinks in self._sinks.items():
            self._sinks[camera] = [pair for pair in sinks if pair[0] != path]

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._stack.close()
        except OSError as error:
            self.errors.append(f"Cannot finish writing the files of the run: {error.strerror or error}.")


def check_outputs(config: Config) -> None:
    """Check the files that a run is to write before anything is opened.

    Raises:
        InputError: a video has another suffix than .mp4 or too long a name, a file is written twice, or one would
            overwrite a recording that is watched.
    """
    videos = [video_of(config.video, name, len(config.cameras)) for name in config.cameras if config.video]
    for path in videos:
        check_video_name(path)
    options = {"--events": config.events, "--scores": config.scores, "--store": config.store.path}
    written = [(option, path) for option, path in options.items() if path]
    written += [("--video", path) for path in videos]
    for index, (option, path) in enumerate(written):
        if path.is_dir():
            raise InputError(f"{option} {path} is a folder. Give the name of a file.")
        for other, before in written[:index]:
            if _is_same(path, before):
                raise InputError(
                    f"{other} and {option} would both write {path}. Give each a file of its own."
                )
        for name, camera in config.cameras.items():
            if _is_same(path, Path(camera.source.removeprefix("tracks:"))):
                raise InputError(
                    f"{option} would overwrite {path}, the recording of camera {name}. Give another name."
                )


def _is_same(path: Path, other: Path) -> bool:
    try:
        if path.exists() and not path.is_file():  # such as /dev/null
            return False
        return path.resolve() == other.resolve() or (
            other.exists() and path.exists() and path.samefile(other)
        )
    except (OSError, ValueError, RuntimeError):  # a source that is no path
        return False


def video_of(path: Path, camera: str, cameras: int) -> Path:
    """Return the file of a camera's video; with several cameras each has its own.

    >>> video_of(Path("out.mp4"), "door", 2).name
    'out.door.mp4'
    """
    return path if cameras == 1 else path.with_name(f"{path.stem}.{camera}{path.suffix}")

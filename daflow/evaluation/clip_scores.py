"""The scores of clips as two Parquet files each, and whether they are up to date.

`<clip>.windows.parquet`: person, start, middle (frame numbers) and score of every window, and the surprise
of each channel of evidence in bits where there are several.
`<clip>.frames.parquet`: frame, score (of the most abnormal person, null where nobody is scored) and person, for every
frame up to the last pose. Scores are not smoothed. The same input and model give the same bytes on every machine.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from daflow.core.bundle import read_bundle
from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.plausibility import ClipFacts, clip_warnings
from daflow.core.data.track_files import Paths, absolute
from daflow.core.data.tracks import TrackFile, find_tracks, read_clip_with_facts
from daflow.core.data.windows import Windows, make_windows
from daflow.core.evidence import Channel, Scored
from daflow.core.files import StrPath, sha256, written_whole
from daflow.core.parallel import Runner, run_tasks
from daflow.core.progress import track
from daflow.core.scoring.comparison import Precision
from daflow.model.frame_scores import frame_count, frame_scores
from daflow.model.load import load, local_path
from daflow.model.scoring_model import ScoringModel

logger = logging.getLogger(__name__)

_FORMAT = 4
_KEY = b"daflow.key"
_FACTS = b"daflow.facts"


@dataclass(frozen=True)
class ScoreTask:
    """One clip to be scored.

    Attributes:
        file: its tracks.
        model: a checkpoint or a bundle, an absolute path.
        model_hash: changes when the model does.
        precision: of a bundle's graph.
        output: the folder of the Parquet files.
    """

    file: TrackFile
    model: str
    model_hash: str
    precision: Precision
    output: Path


@dataclass(frozen=True)
class ScoredClip:
    """How many windows were scored, figures of the poses, and whether that had been done before."""

    windows: int
    facts: ClipFacts
    done_before: bool = False


@dataclass(frozen=True)
class ScoredFolder:
    """What became of the clips of a folder.

    Attributes:
        done: the scored clips by name.
        failed: the error messages of the others by clip name.
    """

    done: dict[str, ScoredClip]
    failed: dict[str, str]

    @property
    def windows(self) -> int:
        """The windows of all scored clips."""
        return sum(clip.windows for clip in self.done.values())

    @property
    def done_before(self) -> int:
        """How many clips had been scored before."""
        return sum(clip.done_before for clip in self.done.values())


def score_folder(
    poses: Paths,
    model: StrPath,
    output: StrPath,
    precision: Precision = "fp32",
    run: Runner = run_tasks,
    frame_size: FrameSize | None = None,
    fps: float | None = None,
) -> ScoredFolder:
    """Score every clip of a folder and write two Parquet files for each; files that are up to date are kept.

    An invalid track file does not stop the others.

    Args:
        poses: a folder of pose tracks, or several.
        model: a checkpoint or a bundle, or the name of one as for `daflow.load`.
        output: the folder to write to.
        precision: of a bundle's graph.
        run: where the clips are scored.
        frame_size: of all clips; None as `daflow.core.data.tracks.find_tracks`.
        fps: frames per second of all clips; None as `daflow.core.data.tracks.find_tracks`.

    Raises:
        InputError: the model cannot be opened, or there are no tracks.
        OSError: the folder cannot be written.
    """
    # Absolute paths: the machines of a cluster have other working folders. Links are kept: in the cache of the Hub
    # the file behind a name has another one, and the name says how to read it.
    path, folder = str(local_path(model).absolute()), Path(output).resolve()
    load(path, precision)  # fails here rather than in every task
    files = find_tracks(absolute(poses), frame_size, fps)
    folder.mkdir(parents=True, exist_ok=True)
    model_hash = hash_of_model(path, precision)
    tasks = [ScoreTask(file, path, model_hash, precision, folder) for file in files]
    done, failed = {}, {}
    for outcome in track(run(score_clip, tasks), "scoring, clips", len(tasks)):
        name = outcome.task.file.clip
        if outcome.result is None:
            failed[name] = str(outcome.error)
            logger.warning("skipped: %s: %s", name, outcome.error)
        else:
            done[name] = outcome.result
    for warning in clip_warnings([clip.facts for clip in done.values()]):
        logger.warning(warning)
    return ScoredFolder(done, failed)


def score_clip(task: ScoreTask) -> ScoredClip:
    """Score a clip and write its files, each whole or not at all, unless they are up to date.

    Raises:
        InputError: the tracks or the model cannot be read.
        OSError: the folder cannot be written or is full.
    """
    key = _key(task)
    windows_file, frames_file = (
        task.output / f"{task.file.clip}.{kind}.parquet" for kind in ("windows", "frames")
    )
    if _key_of(windows_file) == _key_of(frames_file) == key:
        metadata = pq.read_metadata(windows_file)
        facts = ClipFacts(**json.loads(metadata.metadata[_FACTS]))
        return ScoredClip(metadata.num_rows, facts, done_before=True)
    model = _open(task.model, task.precision)
    clip, facts = read_clip_with_facts(task.file.path, task.file.frame_size, task.file.rate)
    frames = frame_count(clip)
    windows = make_windows([clip], model.window, fps=model.fps)
    found = model.judge(windows.poses)
    _write(windows_file, _window_table(windows, found, model.channels), key, facts)
    _write(frames_file, _frame_table(windows, found.score, frames), key)
    return ScoredClip(len(windows), facts)


def hash_of_model(model: str, precision: Precision) -> str:
    """Return a hash of what scores: of a checkpoint, or of a bundle's graph."""
    path = Path(model)
    if path.is_dir():
        path = read_bundle(path).graph(precision)
    return sha256(path)


@functools.lru_cache(maxsize=1)
def _open(model: str, precision: Precision) -> ScoringModel:
    """Open the model once for each process."""
    return load(model, precision)


def _key(task: ScoreTask) -> str:
    fps = task.file.rate.fps if task.file.rate else None
    facts = [_FORMAT, sha256(task.file.path), *task.file.frame_size, fps, task.model_hash]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _key_of(path: Path) -> str | None:
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return None
    return str(metadata.get(_KEY, b"").decode(errors="replace"))


def _window_table(windows: Windows, found: Scored, channels: Sequence[Channel]) -> pa.Table:
    columns: dict[str, np.ndarray] = {
        "person": windows.person,
        "start": windows.start,
        "middle": windows.middle,
        "score": found.score,
    }
    if found.surprise is not None:
        columns |= dict(zip(channels, found.surprise.T, strict=True))
    return pa.table(columns)


def _frame_table(windows: Windows, of_windows: np.ndarray, frames: int) -> pa.Table:
    scores = frame_scores(of_windows, windows.middle, frames)
    worst = np.full(frames, -1, dtype=np.int64)
    middle = windows.middle
    for row in np.flatnonzero(middle < frames)[::-1]:  # of equals the first
        if of_windows[row] == scores[middle[row]]:
            worst[middle[row]] = windows.person[row]
    nobody = worst < 0
    return pa.table(
        {
            "frame": np.arange(frames),
            "score": pa.array(scores, mask=nobody),
            "person": pa.array(worst, mask=nobody),
        }
    )


def _write(path: Path, table: pa.Table, key: str, facts: ClipFacts | None = None) -> None:
    metadata = {_KEY: key.encode()}
    if facts is not None:
        metadata[_FACTS] = json.dumps(asdict(facts)).encode()
    with written_whole(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd")

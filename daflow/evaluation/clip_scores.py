"""The scores of one clip as two Parquet files, and whether they are there already.

`<clip>.windows.parquet`: person, start, middle (frame numbers) and nll (bits per dimension) of every window.
`<clip>.frames.parquet`: frame, score (of the worst person, null where nobody is scored) and person, for every frame up
to the last pose. Scores are not smoothed. The same input and model give the same bytes, wherever they are computed.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from daflow.core.data.tracks import MAX_FRAMES, TrackFile, read_clip
from daflow.core.data.windows import Windows, make_windows
from daflow.core.errors import InputError
from daflow.core.files import sha256, written_whole
from daflow.core.scoring.comparison import Precision
from daflow.evaluation.frame_scores import frame_scores
from daflow.evaluation.scoring_model import ScoringModel, open_scoring_model

_FORMAT = 1
_KEY = b"daflow.key"


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
    """How many windows were scored, what was left out, and whether all that had been done before."""

    windows: int
    left_out: str
    done_before: bool = False


def score_clip(task: ScoreTask) -> ScoredClip:
    """Score a clip and write its files, each whole or not at all, unless they are there.

    Raises:
        InputError: the tracks or the model cannot be read.
        OSError: the folder cannot be written or is full.
    """
    key = _key(task)
    windows_file, frames_file = (
        task.output / f"{task.file.clip}.{kind}.parquet" for kind in ("windows", "frames")
    )
    if _key_of(windows_file) == _key_of(frames_file) == key:
        return ScoredClip(pq.read_metadata(windows_file).num_rows, "", done_before=True)
    judged = _open(task.model, task.precision)
    clip = read_clip(task.file.path, task.file.frame_size)
    windows = make_windows([clip], judged.window)
    nll = judged.score(windows.poses)
    frames = max((int(track.frames[-1]) + 1 for track in clip.tracks), default=0)
    if frames > MAX_FRAMES:
        raise InputError(f"{task.file.path}: frame {frames - 1} is beyond {MAX_FRAMES}, days of video.")
    _write(windows_file, _window_table(windows, nll, judged.window), key)
    _write(frames_file, _frame_table(windows, nll, judged.window, frames), key)
    return ScoredClip(len(windows), windows.skipped())


def hash_of_model(model: str, precision: Precision) -> str:
    """Return a hash of what scores: of a checkpoint, or of a bundle's graph."""
    path = Path(model)
    if path.is_dir():
        from daflow.core.bundle import read_bundle

        path = read_bundle(path).graph(precision)
    return sha256(path)


@functools.lru_cache(maxsize=1)
def _open(model: str, precision: Precision) -> ScoringModel:
    """Open the model once for each process."""
    return open_scoring_model(model, precision)


def _key(task: ScoreTask) -> str:
    facts = [_FORMAT, sha256(task.file.path), *task.file.frame_size, task.model_hash]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _key_of(path: Path) -> str | None:
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return None
    return str(metadata.get(_KEY, b"").decode(errors="replace"))


def _window_table(windows: Windows, nll: np.ndarray, length: int) -> pa.Table:
    columns = {
        "person": windows.person,
        "start": windows.start,
        "middle": windows.start + length // 2,
        "nll": nll,
    }
    return pa.table(columns)


def _frame_table(windows: Windows, nll: np.ndarray, length: int, frames: int) -> pa.Table:
    scores = frame_scores(nll, windows.start, frames, length)
    worst = np.full(frames, -1, dtype=np.int64)
    middle = windows.start + length // 2
    for row in np.flatnonzero(middle < frames)[::-1]:  # of equals the first
        if nll[row] == scores[middle[row]]:
            worst[middle[row]] = windows.person[row]
    nobody = worst < 0
    return pa.table(
        {
            "frame": np.arange(frames),
            "score": pa.array(scores, mask=nobody),
            "person": pa.array(worst, mask=nobody),
        }
    )


def _write(path: Path, table: pa.Table, key: str) -> None:
    with written_whole(path) as temporary:
        pq.write_table(table.replace_schema_metadata({_KEY: key.encode()}), temporary, compression="zstd")

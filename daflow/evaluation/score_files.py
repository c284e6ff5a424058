"""Scores of frames that somebody's own model gave: a CSV file, or a folder with a file for each clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from daflow.core.data.frame_masks import read_plain_npy
from daflow.core.data.frame_table import read_frame_table
from daflow.core.data.tracks import MAX_FRAMES
from daflow.core.errors import InputError
from daflow.core.files import StrPath

_PARQUET = ".frames.parquet"


def read_scores(path: StrPath) -> dict[str, npt.NDArray[np.float64]]:
    """Read the scores of frames by clip name; high means abnormal.

    A CSV file begins with the line `clip,frame,score`; frames without a line, or with an empty score, have none. A
    folder holds `<clip>.npy`, one number for each frame, NaN for none, or `<clip>.frames.parquet` as `daflow score`
    writes it.

    Returns:
        `(frames,)` float64 for each clip, NaN where a frame has no score.

    Raises:
        InputError: the file or folder is missing, empty or invalid, or a score is infinite; the message names it.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    table = read_frame_table(path, {"score": _score}, "score")
    return {clip: _filled(frames) for clip, frames in table.items()}


def _read_folder(folder: Path) -> dict[str, npt.NDArray[np.float64]]:
    found: dict[str, npt.NDArray[np.float64]] = {}
    for file in sorted([*folder.glob("[!.]*.npy"), *folder.glob(f"[!.]*{_PARQUET}")]):
        name = file.name.removesuffix(_PARQUET).removesuffix(".npy")
        if name in found:
            raise InputError(f"{folder} has two files of clip {name}. Remove one.")
        found[name] = _read_parquet(file) if file.name.endswith(_PARQUET) else _read_npy(file)
        if np.isinf(found[name]).any():
            raise InputError(f"{file} holds an infinite score.")
    if not found:
        raise InputError(f"{folder} holds no scores; they are named <clip>.npy or <clip>{_PARQUET}.")
    return found


def _read_npy(path: Path) -> npt.NDArray[np.float64]:
    scores = read_plain_npy(path)
    if scores.ndim != 1 or scores.dtype.kind not in "iuf":
        raise InputError(f"{path} does not hold one number for each frame.")
    return scores.astype(np.float64)


def _read_parquet(path: Path) -> npt.NDArray[np.float64]:
    try:
        if pq.read_metadata(path).num_rows > MAX_FRAMES:  # a small file may hold any number of equal rows
            raise InputError(f"{path} is too large for a clip of {MAX_FRAMES} frames.")
        table = pq.read_table(path, columns=["frame", "score"])
        frames, scores = (table[name].to_numpy(zero_copy_only=False) for name in ("frame", "score"))
        in_order = bool((frames == np.arange(len(frames))).all())
    except (OSError, pa.ArrowException, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} is not a table of scores: {reason}") from None
    if not in_order or scores.dtype.kind not in "iuf":
        raise InputError(f"{path} does not hold one number for each frame, from 0 on.")
    return np.asarray(scores, dtype=np.float64)


def _score(text: str) -> float:
    if not text:
        return float("nan")
    try:
        score = float(text)
    except ValueError:
        raise ValueError("not a number") from None
    if np.isinf(score):
        raise ValueError("infinite")
    return score


def _filled(frames: dict[int, float]) -> npt.NDArray[np.float64]:
    scores = np.full(max(frames) + 1, np.nan)
    scores[list(frames)] = list(frames.values())
    return scores

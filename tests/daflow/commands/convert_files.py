"""Files as other tools write them, and `daflow convert` run on them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

from daflow.cli import main
from daflow.core.data.tracks import Clip, read_clips


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["convert", *map(str, words)])


def converted(out: Path, *words: object) -> dict[str, Clip]:
    result = run(*words, "-o", out)
    assert result.exit_code == 0, result.output
    return {clip.name: clip for clip in read_clips(out)}


def refused(out: Path, *words: object) -> str:
    """The error, which is one line; nothing is written."""
    result = run(*words, "-o", out)
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert not list(out.glob("*")) if out.exists() else True
    (line,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    return line


def person(joints: int = 17, frame: int = 0, at: float = 100.0, width: int = 3) -> list[float]:
    """A pose as a flat list, whose place depends on the frame and `at`."""
    rng = np.random.default_rng(joints)
    points = np.column_stack([rng.uniform(0, 60, (joints, 2)), rng.uniform(0.3, 0.99, joints)])
    points[:, 0] += at + 2 * frame
    points[:, 1] += 200
    return [round(value, 3) for value in points[:, :width].ravel().tolist()]


def save(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def keypoints(clip: Clip, track: int = 0, row: int = 0) -> list[float]:
    return clip.tracks[track].keypoints[row].ravel().round(3).tolist()


def results(frames: int = 5, **fields: Any) -> list[dict[str, Any]]:
    return [
        {
            "image_id": f"{frame}.jpg",
            "category_id": 1,
            "keypoints": person(frame=frame, at=at),
            "score": 2.9,
            **fields,
        }
        for frame in range(frames)
        for at in (100, 900)
    ]

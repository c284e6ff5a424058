"""This project's own pose tracks in Parquet, which other forms are made of too."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from daflow.core.data.parquet_tracks import read_parquet_tracks
from daflow.formats.layouts import layout_of
from daflow.formats.recording import Recording, tidy


def read_parquet(path: Path) -> list[Recording]:
    """Read a file.

    Raises:
        InputError: it is not one of pose tracks, or pyarrow is not installed.
    """
    head, tracks = read_parquet_tracks(path)
    people = [np.full(len(track.frames), track.person, dtype=np.int64) for track in tracks]
    return [
        Recording(
            "pose tracks in Parquet",
            np.concatenate([np.zeros(0, np.int64), *(track.frames for track in tracks)]),
            np.concatenate([np.zeros(0, np.int64), *people]),
            tidy(np.concatenate([np.zeros((0, head.joints, 3), np.float32), *(t.keypoints for t in tracks)])),
            np.concatenate([np.zeros(0, np.float32), *(track.scores for track in tracks)]),
            layout_of(head.joints),
            frame_size=head.frame_size,
            rate=head.rate,
        )
    ]

"""What is written: pose tracks (JSON or Parquet), AlphaPose results or COCO annotations, each file whole or not at all.

In JSON, coordinates and confidences have 3 digits behind the point, scores 4.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from daflow.core.data.skeleton import COCO_JOINTS, OPENPOSE_JOINTS
from daflow.core.data.track_names import TrackFormat, track_path, written_track_path
from daflow.core.data.tracks import Clip, Track, write_clips
from daflow.core.files import write_text

_TRACKS: dict[str, TrackFormat] = {"tracks": "json", "parquet": "parquet"}
_ENDINGS = {"alphapose": "_alphapose-results.json", "coco": "_coco.json"}
TARGETS = (*_TRACKS, *_ENDINGS)
"""The forms that are written, as `--to` takes them."""


def written_file(folder: Path, name: str, form: str) -> Path | None:
    """Return the file that is there of a clip, None if there is none; of pose tracks also that in the other form."""
    path = written_track_path(folder, name) if form in _TRACKS else _path(folder, name, form)
    return path if path.exists() else None


def _path(folder: Path, name: str, form: str) -> Path:
    return track_path(folder, name, _TRACKS[form]) if form in _TRACKS else folder / f"{name}{_ENDINGS[form]}"


def write_clip(folder: Path, clip: Clip, form: str) -> None:
    """Write a clip.

    Args:
        folder: of the file; pose tracks in JSON also enter frame_sizes.json and frame_rates.json.
        clip: its poses.
        form: one of `TARGETS`.

    Raises:
        InputError: the form is Parquet, and pyarrow is not installed.
        OSError: the folder cannot be written.
    """
    if form in _TRACKS:
        write_clips(folder, [clip], _TRACKS[form])
        return
    content = _results(clip) if form == "alphapose" else _annotations(clip)
    write_text(_path(folder, clip.name, form), json.dumps(content))


def _poses(clip: Clip) -> Iterator[tuple[int, Track, int]]:
    """Yield frame, track and row of each pose, by frame and then by person."""
    found = [
        (frame, track.person, place, row)
        for place, track in enumerate(clip.tracks)
        for row, frame in enumerate(track.frames.tolist())
    ]
    for frame, _, place, row in sorted(found):
        yield frame, clip.tracks[place], row


def _rounded(track: Track, row: int) -> list[list[float]]:
    points = np.round(track.keypoints[row].astype(np.float64), 3)
    points[(track.keypoints[row, :, 2] > 0) & (points[:, 2] == 0), 2] = (
        0.001  # 0 would say that it was not seen
    )
    rows: list[list[float]] = points.tolist()
    return rows


def _score(track: Track, row: int) -> float | None:
    return None if np.isnan(track.scores[row]) else round(float(track.scores[row]), 4)


def _results(clip: Clip) -> list[dict[str, Any]]:
    return [
        {
            "image_id": f"{frame}.jpg",
            "category_id": 1,
            "keypoints": [value for joint in _rounded(track, row) for value in joint],
            "score": _score(track, row),
            "idx": track.person,
        }
        for frame, track, row in _poses(clip)
    ]


def _annotations(clip: Clip) -> dict[str, Any]:
    """COCO's visibility is 2 or 0; the confidences are in `keypoint_scores`, as MMPose calls them."""
    joints = clip.tracks[0].keypoints.shape[1] if clip.tracks else 17
    width, height = clip.frame_size
    frames = sorted({frame for track in clip.tracks for frame in track.frames.tolist()})
    annotations = []
    for number, (frame, track, row) in enumerate(_poses(clip), start=1):
        points = _rounded(track, row)
        seen = [any(joint[:2]) for joint in points]
        xy = np.array([joint[:2] for joint, found in zip(points, seen, strict=True) if found]).reshape(-1, 2)
        low, extent = (xy.min(axis=0), np.ptp(xy, axis=0)) if len(xy) else (np.zeros(2), np.zeros(2))
        box = [round(float(value), 3) for value in (*low, *extent)]
        flat = [value for (x, y, _), found in zip(points, seen, strict=True) for value in (x, y, 2 * found)]
        annotations.append(
            {
                "id": number,
                "image_id": frame,
                "category_id": 1,
                "track_id": track.person,
                "keypoints": flat,
                "keypoint_scores": [joint[2] for joint in points],
                "num_keypoints": sum(seen),
                "bbox": box,
                "area": round(box[2] * box[3], 3),
                "iscrowd": 0,
                "score": _score(track, row),
            }
        )
    names = COCO_JOINTS if joints == 17 else OPENPOSE_JOINTS
    return {
        "images": [
            {"id": frame, "file_name": f"{frame:06d}.jpg", "width": width, "height": height}
            for frame in frames
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(names)}],
    }

"""Recordings of other pose estimators: what a file is, and the words that say how to convert it."""

from __future__ import annotations

import shlex
from pathlib import Path

from daflow.core.files import parse_json

_MAX_PEEK = 32 << 20  # bytes; a larger file is not opened to find out what it is
_LAYOUTS = {
    14: "CrowdPose", 16: "MPII", 25: "OpenPose's BODY_25 or Kinect (NTU)", 26: "Halpe", 33: "MediaPipe",
    133: "COCO WholeBody", 136: "Halpe",
}  # fmt: skip


def convert_advice(place: Path) -> str:
    """Return the sentence that says how a recording of another pose estimator becomes pose tracks.

    Args:
        place: the file or the folder.

    >>> convert_advice(Path("shop 7"))
    "Make pose tracks of it with: daflow convert 'shop 7' -o FOLDER (docs/file-formats.md)."
    """
    return f"Make pose tracks of it with: daflow convert {shlex.quote(str(place))} -o FOLDER (docs/file-formats.md)."


def describe_content(content: object) -> str | None:
    """Say which other format a JSON value is in; None for none that is known.

    >>> describe_content([{"image_id": 1, "keypoints": [0, 0, 0]}])
    "a list of COCO results (one pose an entry, by image), such as AlphaPose's alphapose-results.json"
    """
    entry = content[0] if isinstance(content, list) and content else content
    if not isinstance(entry, dict):
        return None
    listed, names = isinstance(content, list), set(entry)
    if listed and "keypoints" in names and {"image_id", "category_id"} & names:
        return (
            "a list of COCO results (one pose an entry, by image), such as AlphaPose's alphapose-results.json"
        )
    if "instance_info" in names or (listed and {"instances", "frame_id"} & names):
        return "a list of frames with their people, as MMPose writes it"
    if isinstance(entry.get("people"), list):
        return "one frame of OpenPose, with the people in it"
    if isinstance(entry.get("annotations"), list):
        return "a set of COCO annotations"
    return None


def describe_folder(folder: Path) -> str | None:
    """Say which other format the files of a folder are in, from their names and what JSON holds; None if unknown."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    endings = {
        "_keypoints.json": "files of OpenPose, one for each frame",
        ".skeleton": "files of NTU RGB+D, with 25 joints in metres",
        ".txt": "text files, such as YOLO's labels of one frame each",
    }
    for ending, what in endings.items():
        if any(name.endswith(ending) for name in names):
            return what
    for name in names:
        path = folder / name
        if name.endswith(".json") and path.stat().st_size <= _MAX_PEEK:
            try:
                content = parse_json(path.read_bytes())
            except (OSError, ValueError):
                continue
            if found := describe_content(content):
                return f"{name}, {found}"
    return None


def describe_keypoints(row: list[float]) -> str:
    """Say what a list of keypoint values of the wrong length may be; empty if unknown.

    >>> describe_keypoints([0.0] * 34), describe_keypoints([0.0] * 75)
    (' These may be 17 joints without confidence; add 1.0 after each y.', \
" These may be the 25 joints of OpenPose's BODY_25 or Kinect (NTU); choose the 17 of COCO.")
    """
    if len(row) in (34, 36):
        return f" These may be {len(row) // 2} joints without confidence; add 1.0 after each y."
    layout = _LAYOUTS.get(len(row) // 3) if len(row) % 3 == 0 else None
    return f" These may be the {len(row) // 3} joints of {layout}; choose the 17 of COCO." if layout else ""

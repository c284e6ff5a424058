"""The command `daflow poses`: a video becomes the pose tracks that training reads."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import click
import numpy as np

from daflow.command import FOLDER, Command
from daflow.errors import InputError
from daflow.progress import track
from daflow.tracks import Clip, Track, write_clips
from runtime.cli import people_finder, pose_options
from runtime.clock import StageClock
from runtime.sources import Keypoints, open_source


@click.command(cls=Command)
@click.option(
    "--source",
    "uris",
    required=True,
    multiple=True,
    metavar="SRC",
    help="A video file; may be given several times.",
)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    required=True,
    help="Folder of the pose tracks; a clip is named as its video.",
)
@click.option(
    "--max-frames",
    type=click.IntRange(1),
    help="Stop each source after so many frames; a camera needs it.",
)
@pose_options
def poses(
    uris: tuple[str, ...],
    output: Path,
    max_frames: int | None,
    max_people: int,
    pose_model: Path | None,
) -> None:
    """Find and track the people of videos and write pose tracks, to train on one's own camera."""
    names = [_clip_name(uri) for uri in uris]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise InputError(f"Two sources would be the clip {min(doubled)}; rename one of the files.")
    for uri in uris:
        clip, frames = _find(uri, max_frames, max_people, pose_model)
        if not clip.tracks:
            raise InputError(f"Nobody was found in the {frames} frames of {uri}; no track file is written.")
        write_clips(output, [clip])
        click.echo(f"{uri}: {frames} frames, {clip.poses} poses of {len(clip.tracks)} people -> {output}")


def _find(uri: str, max_frames: int | None, max_people: int, pose_model: Path | None) -> tuple[Clip, int]:
    if uri.isdigit() and max_frames is None:
        raise InputError("A camera never ends: say how much to record with --max-frames.")
    people: defaultdict[int, list[tuple[int, Keypoints]]] = defaultdict(list)
    clock, frames, size = StageClock(), 0, (1, 1)
    with open_source(uri) as source, people_finder(uri, source, pose_model, max_people) as finder:
        for frame in track(source, f"poses of {uri}", source.frames):
            for person, keypoints in finder.find(frame, clock).items():
                people[person].append((frame.index, keypoints))
            frames, size = frame.index + 1, frame.size
            if frames == max_frames:
                break
    tracks = tuple(_track(person, seen) for person, seen in sorted(people.items()))
    return Clip(_clip_name(uri), tracks, size), frames


def _clip_name(uri: str) -> str:
    return Path(uri.rpartition(":")[2]).stem or "clip"


def _track(person: int, seen: list[tuple[int, Keypoints]]) -> Track:
    keypoints = np.stack([pose for _, pose in seen]).astype(np.float32)
    frames = np.array([frame for frame, _ in seen], dtype=np.int64)
    return Track(person, frames, keypoints, keypoints[..., 2].mean(axis=1))

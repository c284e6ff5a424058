"""Find the poses in recordings: a track file for each recording or part of one, as tasks that run in parallel."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np

from daflow.core.data.clip_tables import FrameSize, add_frame_rates, add_frame_sizes
from daflow.core.data.frame_rate import measured_rate
from daflow.core.data.tracks import Clip, Track, write_tracks
from daflow.core.progress import track
from runtime.batch.made_by import record, release
from runtime.batch.pose_task import PoseCounts, PoseTask
from runtime.batch.recordings import open_part, recording_extent, recording_rate
from runtime.poses.people import open_people
from runtime.sources.frames import Keypoints, Source
from runtime.sources.uri import is_live, needs_poses, open_source, recording_path, redacted
from runtime.stage_clock import StageClock


def find_poses(task: PoseTask) -> PoseCounts:
    """Find and track the people of a source, and write its track file, which is empty when nobody was found.

    Where the size of the pictures changes, coordinates are brought to the first size, and people get new numbers, so
    that no window mixes pictures of two sizes. Nothing is written for a part in which there is no frame.

    Raises:
        InputError: the source cannot be read, or there is no pose model.
        OSError: the folder cannot be written or is full.
    """
    people: defaultdict[int, list[tuple[int, Keypoints]]] = defaultdict(list)
    clock, count = StageClock(), 0
    first: FrameSize | None = None
    last: FrameSize | None = None
    offset = 0  # of the numbers of people
    indices: list[int] = []
    times: list[float] = []
    with _open(task) as source, open_people(task.options, source.fps, needs_poses(task.uri)) as finder:
        for frame in (
            track(source, f"poses of {redacted(task.uri)}", source.frames) if task.progress else source
        ):
            first = first or frame.size
            if last is not None and frame.size != last:
                offset = max(people, default=-1) + 1
            last = frame.size
            scale = np.array([first[0] / last[0], first[1] / last[1], 1], dtype=np.float32)
            for person, keypoints in finder.find(frame, clock).items():
                people[person + offset].append((frame.index, keypoints * scale))
            indices.append(frame.index)
            times.append(frame.time)
            count = frame.index + 1
            if count == task.max_frames:
                break
    if first is None:
        return PoseCounts(0, 0, 0, None, None)
    rate = measured_rate(indices, times)
    clip = Clip(
        task.clip, tuple(_track(person, seen) for person, seen in sorted(people.items())), first, rate
    )
    write_tracks(task.output, clip, task.form)
    return PoseCounts(count, clip.poses, len(clip.tracks), first, rate)


def record_outcome(task: PoseTask, counts: PoseCounts | None) -> None:
    """Note in the folder what was found, of JSON also size and rate; None for a task that failed.

    Raises:
        OSError: the folder cannot be written.
    """
    if counts is None or counts.frame_size is None:
        release(task)
        return
    if task.form == "json":
        add_frame_sizes(task.output, {task.clip: counts.frame_size})
        if counts.rate:
            add_frame_rates(task.output, {task.clip: counts.rate})
    record(task, counts.frames)


def split_into_parts(task: PoseTask, seconds: float) -> list[PoseTask]:
    """Return the parts of a source, each as a task whose clip is numbered; the task itself when it is not split.

    Args:
        task: the whole source; it is not split when it has `max_frames`.
        seconds: length of a part.

    Raises:
        InputError: the recording cannot be read.
    """
    if is_live(task.uri) or not needs_poses(task.uri):
        return [task]
    path = recording_path(task.uri)
    rate = recording_rate(path, task.options.fps)
    task = replace(task, rate=rate)
    if task.max_frames is not None:
        return [task]
    found = recording_extent(path, rate)
    count = math.ceil(found.seconds / seconds)
    if count < 2:
        return [task]
    ends = [*(seconds * (part + 1) for part in range(count - 1)), None]
    return [
        replace(task, clip=f"{task.clip}_{part:04d}", begin=seconds * part, end=end, seekable=found.seekable)
        for part, end in enumerate(ends)
    ]


def _open(task: PoseTask) -> Source:
    if task.rate is not None:
        return open_part(recording_path(task.uri), task.rate, task.begin, task.end, task.seekable)
    return open_source(task.uri, fps=task.options.fps)


def _track(person: int, seen: list[tuple[int, Keypoints]]) -> Track:
    keypoints = np.stack([pose for _, pose in seen]).astype(np.float32)
    frames = np.array([frame for frame, _ in seen], dtype=np.int64)
    return Track(person, frames, keypoints, keypoints[..., 2].mean(axis=1))

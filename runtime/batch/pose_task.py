"""A piece of work of `daflow poses`: a video, or a part of it, for which a track file is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.track_names import TrackFormat
from runtime.config.schema import CameraOptions
from runtime.sources.video_timing import VideoRate


@dataclass(frozen=True)
class PoseTask:
    """A video, or a part of it, for which a track file is made.

    Attributes:
        uri: the source.
        clip: the name of the clip.
        output: the folder of the track file.
        begin: where the part begins, seconds from the first frame.
        end: where it ends; None is the end of the video.
        max_frames: stop after this number of frames.
        options: how the source is read, and how people are found.
        form: of the track file.
        progress: whether to show a progress bar.
        rate: of the video, where it is known already.
        seekable: whether the part is found by its time stamps (`runtime.sources.video_timing.Extent`).
    """

    uri: str
    clip: str
    output: Path
    begin: float
    end: float | None
    max_frames: int | None
    options: CameraOptions
    form: TrackFormat = "json"
    progress: bool = False
    rate: VideoRate | None = None
    seekable: bool = True


@dataclass(frozen=True)
class PoseCounts:
    """What was found in a source.

    Attributes:
        frames: how many were processed.
        poses: how many were found.
        people: how many were followed.
        frame_size: of the first frame, pixels; None without a frame.
        rate: the rate of the frames by their times; None with fewer than two.
    """

    frames: int
    poses: int
    people: int
    frame_size: FrameSize | None
    rate: FrameRate | None

"""Replays people: recorded tracks, and generated people for as long as they are wanted."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from daflow.core.data.synthetic import SCENE_EVENTS, Scene, generate_clip
from daflow.core.data.tracks import Clip
from daflow.core.errors import InputError
from runtime.sources.frames import Frame, Keypoints, SourceStatus
from runtime.sources.status import StatusKeeper

_MAX_FRAMES = 10**9
_WHOLE_FRAMES = 2000  # up to here generated clips are made in one piece
_PIECE_FRAMES = 500
_PIECES = 6
_CLIP_KINDS = {"frames": int, "people": int, "fps": float, "jitter": float, "event": str, "seed": int,
               "missing_joints": float, "missed_poses": float}  # fmt: skip


class ClipSource:
    """Replays the tracks of a clip, from frame 0 to the last frame with a person."""

    def __init__(self, clip: Clip, fps: float) -> None:
        self.fps = fps
        self._size = clip.frame_size
        self._people = people_by_frame(clip)
        self.frames: int | None = max(self._people, default=-1) + 1
        self._status = StatusKeeper()
        self._stopped = threading.Event()
        if self.frames > _MAX_FRAMES:
            raise InputError(
                f"Frame {self.frames - 1} of {clip.name} is beyond {_MAX_FRAMES}, months of video."
            )

    @property
    def status(self) -> SourceStatus:
        """How far the replay is."""
        return self._status.value

    def __iter__(self) -> Iterator[Frame]:
        self._status.to("streaming")
        for index in range(self.frames or 0):
            if self._stopped.is_set():
                break
            people = self._people.get(index, {})
            yield Frame(index, index / self.fps, self._size, people=people, utc=time.time())
        self._status.to("ended")

    def __enter__(self) -> ClipSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()


class SyntheticSource:
    """Generates people piece by piece: everybody leaves at the end of a piece, and others come.

    A few pieces are made, each from a seed of its own, and then shown again and again with new ids, so that a long
    stream costs next to nothing and its memory does not grow.

    Args:
        scene: what happens in each piece; its `frames` are those of the whole stream, 0 for one without end.
        seed: of the first piece.
    """

    def __init__(self, scene: Scene, seed: int) -> None:
        self.fps = scene.fps
        self.frames: int | None = scene.frames or None
        self._piece_frames = scene.frames if 0 < scene.frames <= _WHOLE_FRAMES else _PIECE_FRAMES
        self._scene = replace(scene, frames=self._piece_frames)
        self._seed = seed
        self._pieces: list[Mapping[int, Mapping[int, Keypoints]]] = []
        self._ids = max(scene.people, len(SCENE_EVENTS))  # no piece has more people
        self._status = StatusKeeper()
        self._stopped = threading.Event()

    @property
    def status(self) -> SourceStatus:
        """How far the stream is."""
        return self._status.value

    def __iter__(self) -> Iterator[Frame]:
        self._status.to("streaming")
        size, fps, length = self._scene.frame_size, self.fps, self._piece_frames
        index = 0
        while not self._stopped.is_set() and (self.frames is None or index < self.frames):
            number, within = divmod(index, length)
            if within == 0:
                piece = self._piece(number)
                first_id = number * self._ids
            people = {first_id + person: pose for person, pose in piece.get(within, {}).items()}
            yield Frame(index, index / fps, size, people=people, utc=time.time())
            index += 1
        self._status.to("ended")

    def __enter__(self) -> SyntheticSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()

    def _piece(self, number: int) -> Mapping[int, Mapping[int, Keypoints]]:
        kept = number % _PIECES
        while len(self._pieces) <= kept:
            clip, _ = generate_clip("synthetic", self._seed + len(self._pieces), self._scene)
            self._pieces.append(people_by_frame(clip))
        return self._pieces[kept]


def people_by_frame(clip: Clip) -> dict[int, dict[int, Keypoints]]:
    """Return who is in each frame that has anybody, with their keypoints `(J, 3)`."""
    people: defaultdict[int, dict[int, Keypoints]] = defaultdict(dict)
    for track in clip.tracks:
        for frame, keypoints in zip(track.frames.tolist(), track.keypoints, strict=True):
            people[frame][track.person] = keypoints
    return dict(people)


def synthetic_source(options: str) -> SyntheticSource:
    """Make a source of generated people from the text after `synthetic:`.

    Raises:
        InputError: an option is unknown or wrong.
    """
    scene, seed = Scene(event="fall"), 0
    known = {field.name for field in fields(Scene)} & set(_CLIP_KINDS) | {"seed"}
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        if name not in known:
            raise InputError(f"synthetic: knows no {name!r}; it knows {', '.join(sorted(known))}.")
        number = _option(name, value)
        if name == "seed":
            seed = int(number)
        else:
            changes: dict[str, Any] = {name: None if value == "none" else number}
            scene = replace(scene, **changes)
    return SyntheticSource(scene, seed)


def _option(name: str, value: str) -> Any:
    try:
        number: Any = _CLIP_KINDS[name](value)
    except ValueError:
        raise InputError(f"synthetic: {name}={value} is not a number.") from None
    if name == "event":
        if value not in (*SCENE_EVENTS, "none"):
            raise InputError(f"synthetic: event is one of {', '.join(SCENE_EVENTS)} and none, not {value!r}.")
        return number
    if isinstance(number, float) and not math.isfinite(number):
        raise InputError(f"synthetic: {name}={value} is not a finite number.")
    if number < 0 or (name in ("fps", "people") and number <= 0):
        raise InputError(f"synthetic: {name}={value} must be positive.")
    most: Mapping[str, float] = {
        "people": 1000,
        "fps": 1e4,
        "frames": _MAX_FRAMES,
        "jitter": 1e3,
        "seed": 2**63,
    }
    if number > most.get(name, 1.0) or (name == "fps" and number < 1e-3):
        raise InputError(f"synthetic: {name}={value} is out of range.")
    return number

"""Generated people as a source (`synthetic:OPTIONS`), for as long as they are wanted."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from daflow.core.data.synthetic import SCENE_EVENTS, Scene, generate_clip
from daflow.core.errors import InputError
from runtime.sources.frames import Frame, Keypoints
from runtime.sources.recorded_tracks import MAX_FRAMES, people_by_frame
from runtime.sources.recording import Recording

_MAX_ONE_PIECE = 2000  # frames; up to here a stream is the generated clip itself
_PIECE_FRAMES = 500
_PIECES = 6  # that are kept and repeated: 3,000 frames before anything is seen again
_OPTION_TYPES = {"frames": int, "people": int, "fps": float, "jitter": float, "event": str, "seed": int,
                 "missing_joints": float, "missed_poses": float}  # fmt: skip
_MAX: Mapping[str, float] = {"people": 1000, "fps": 1e4, "frames": MAX_FRAMES, "jitter": 1e3, "seed": 2**63}
"""The largest value of each option; of the others, which are shares, it is 1."""


class SyntheticSource(Recording):
    """Generates people piece by piece: everybody leaves at the end of a piece, and others come.

    A few pieces are generated, each with its own seed, and then repeated with new ids, so that a long stream costs
    little time and a fixed amount of memory.

    Args:
        scene: what happens in each piece; its `frames` are those of the whole stream, 0 for an endless one.
        seed: of the first piece.
    """

    def __init__(self, scene: Scene, seed: int) -> None:
        super().__init__(scene.fps, scene.frames or None)
        self._piece_frames = scene.frames if 0 < scene.frames <= _MAX_ONE_PIECE else _PIECE_FRAMES
        self._scene = replace(scene, frames=self._piece_frames)
        self._seed = seed
        self._pieces: list[Mapping[int, Mapping[int, Keypoints]]] = []
        self._ids = max(scene.people, len(SCENE_EVENTS))  # no piece has more people

    def __iter__(self) -> Iterator[Frame]:
        self._status.to("streaming")
        size, fps, length = self._scene.frame_size, self.fps, self._piece_frames
        index = 0
        while not self._stopped.is_set() and (self.frames is None or index < self.frames):
            number, offset = divmod(index, length)
            if offset == 0:
                piece = self._piece(number)
                first_id = number * self._ids
            people = {first_id + person: pose for person, pose in piece.get(offset, {}).items()}
            yield Frame(index, index / fps, size, people=people, utc=time.time())
            index += 1
        self._status.to("ended")

    def _piece(self, number: int) -> Mapping[int, Mapping[int, Keypoints]]:
        kept = number % _PIECES
        while len(self._pieces) <= kept:
            clip, _ = generate_clip("synthetic", self._seed + len(self._pieces), self._scene)
            self._pieces.append(people_by_frame(clip))
        return self._pieces[kept]


def synthetic_source(options: str) -> SyntheticSource:
    """Make a source of generated people from the text after `synthetic:`.

    Raises:
        InputError: an option is unknown or wrong.
    """
    scene, seed = Scene(event="fall"), 0
    known = {field.name for field in fields(Scene)} & set(_OPTION_TYPES) | {"seed"}
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        if name not in known:
            raise InputError(
                f"synthetic: has no option {name!r}; its options are {', '.join(sorted(known))}."
            )
        number = _option(name, value)
        if name == "seed":
            seed = int(number)
        else:
            changes: dict[str, Any] = {name: None if value == "none" else number}
            scene = replace(scene, **changes)
    return SyntheticSource(scene, seed)


def _option(name: str, value: str) -> Any:
    try:
        number: Any = _OPTION_TYPES[name](value)
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
    if number > _MAX.get(name, 1.0) or (name == "fps" and number < 1e-3):
        raise InputError(f"synthetic: {name}={value} is out of range.")
    return number

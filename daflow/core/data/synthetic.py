"""Walkers, and falls, runs and fights among them, seen by a noisy camera.

They replace recordings in the demo, in tests and in the verification of exports. People walk with a gait (thigh, knee,
arm and elbow angles as functions of a phase) before one camera above eye height. The detector's errors (jitter, missing
joints, missed poses) are added in pixels. The seed determines everything. All numbers of the gaits and events were
chosen by eye; nothing is fitted to data. What the model of the package is trained on is
`daflow.core.data.generator.everyday`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.generator.body import (
    STAND,
    Array,
    Build,
    Posture,
    in_the_world,
    pendulum,
    ramp,
    skeleton,
)
from daflow.core.data.generator.cameras import Camera
from daflow.core.data.generator.paths import wander
from daflow.core.data.track_names import TrackFormat
from daflow.core.data.tracks import DEFAULT_FPS, Clip, Track, write_clips
from daflow.core.files import StrPath, written_whole

SceneEvent = Literal["fall", "run", "fight"]
SCENE_EVENTS: tuple[SceneEvent, ...] = get_args(SceneEvent)

_AREA = ((-3.5, 3.5), (5.5, 11.0))  # metres, to the side and away, in which people walk


@dataclass(frozen=True)
class Scene:
    """What happens in a clip.

    Attributes:
        frames: length of the clip.
        people: people who walk through it.
        event: what happens after the first third of the clip; None for a normal clip.
        frame_size: width and height of the camera's frame in pixels.
        fps: frames per second.
        jitter: standard deviation of a joint's position as a fraction of the person's height.
        missing_joints: probability that a joint is not seen and the detector guesses it badly.
        missed_poses: probability that the detector misses a person in a frame.
    """

    frames: int = 600
    people: int = 2
    event: SceneEvent | None = None
    frame_size: FrameSize = (1280, 720)
    fps: float = DEFAULT_FPS
    jitter: float = 0.004
    missing_joints: float = 0.01
    missed_poses: float = 0.005


_RUN = Posture(speed=3.6, stride=2.6, thigh=0.8, knee=1.6, arm=0.8, elbow=1.5, lean=0.25)


def generate_clip(name: str, seed: int, scene: Scene | None = None) -> tuple[Clip, npt.NDArray[np.int64]]:
    """Generate one clip of COCO-17 tracks and its frame mask.

    Returns:
        The clip, and `(frames,)` int64 with 1 in the frames of the event, 0 elsewhere.

    >>> clip, mask = generate_clip("01_0001", seed=3, scene=Scene(frames=120, event="fall"))
    >>> len(clip.tracks), clip.frame_size, bool(mask[:40].any()), bool(mask[-1])
    (2, (1280, 720), False, True)
    """
    scene = scene or Scene()
    rng = np.random.default_rng(seed)
    begin = int(scene.frames * rng.uniform(0.36, 0.5))
    seconds = {"fall": np.inf, "run": 5.0, "fight": 7.0}.get(scene.event or "", 0.0)
    end = int(min(scene.frames, begin + seconds * scene.fps))
    actors = {"fall": 1, "run": 1, "fight": 2}.get(scene.event or "", 0)
    people = max(scene.people, actors)
    spot = np.array([rng.uniform(-1.5, 1.5), rng.uniform(6.5, 9.0)])
    tracks = []
    for person in range(people):
        event = scene.event if person < actors else None
        body = _simulate(rng, scene, event, begin, end, spot, side=1 - 2 * person)
        tracks.append(_observe(rng, scene, person + 1, body))
    mask = np.zeros(scene.frames, dtype=np.int64)
    mask[begin:end] = 1 if scene.event else 0
    seen = tuple(track for track in tracks if len(track.frames))
    return Clip(name, seen, scene.frame_size, FrameRate.constant(scene.fps)), mask


def generate_dataset(
    folder: StrPath,
    seed: int = 0,
    train_clips: int = 12,
    test_clips: int = 6,
    scene: Scene | None = None,
    form: TrackFormat = "json",
) -> None:
    """Write a data set: `folder/train` of normal clips, `folder/test` with events, `folder/masks` for `test`.

    Args:
        folder: made if it is missing.
        seed: the same seed gives the same files.
        train_clips: clips of `train`.
        test_clips: clips of `test`; the events take turns.
        scene: length, people and camera of every clip; its event is ignored.
        form: of the pose tracks.

    Raises:
        InputError: the form is Parquet, and pyarrow is not installed.
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    scene = scene or Scene()
    normal = [
        generate_clip(f"01_{index + 1:04d}", seed * 10_000 + index, replace(scene, event=None))[0]
        for index in range(train_clips)
    ]
    write_clips(folder / "train", normal, form)
    events = test_scenes(test_clips, scene)
    generated = [
        generate_clip(f"01_{index + 1:04d}", seed * 10_000 + 5_000 + index, of_clip)
        for index, of_clip in enumerate(events)
    ]
    write_clips(folder / "test", [clip for clip, _ in generated], form)
    for clip, mask in generated:
        path = folder / "masks" / f"{clip.name}.npy"
        with written_whole(path) as temporary:
            np.save(temporary, mask)


def test_scenes(clips: int, scene: Scene) -> Sequence[Scene]:
    """Return scenes with the events in turn."""
    return [replace(scene, event=SCENE_EVENTS[index % len(SCENE_EVENTS)]) for index in range(clips)]


test_scenes.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it as a test


def _simulate(
    rng: np.random.Generator,
    scene: Scene,
    event: SceneEvent | None,
    begin: int,
    end: int,
    spot: Array,
    side: int,
) -> Array:
    """One person's joints in metres, `(frames, 17, 3)`: to the side, up, away."""
    time = np.arange(scene.frames) / scene.fps
    height = rng.uniform(1.55, 1.9)
    speed = rng.uniform(0.9, 1.5)
    walk = Posture(
        speed=speed * (1 + 0.12 * np.sin(time * rng.uniform(0.2, 0.6) + rng.uniform(0, 6))),
        stride=rng.uniform(0.75, 0.88) * height,
        thigh=rng.uniform(0.36, 0.46),
        knee=rng.uniform(0.8, 1.05),
        arm=rng.uniform(0.25, 0.45),
        elbow=rng.uniform(0.15, 0.4),
        lean=rng.uniform(0.0, 0.1),
    )
    during = ramp(time, begin / scene.fps, 0.4) * (1 - ramp(time, end / scene.fps, 0.6))
    gait = walk
    if event == "run":
        gait = walk.towards(_RUN, during)
    elif event in ("fall", "fight"):
        gait = walk.towards(STAND, during)
    speeds = np.broadcast_to(gait.speed, time.shape)
    place, heading = wander(rng, _AREA, speeds, scene.fps, start=rng.random(2))
    if event == "fight":
        place, heading = _meet(rng, time, place, heading, during, spot, side)
    phase = rng.uniform(0, 2 * np.pi) + np.cumsum(2 * np.pi * gait.speed / gait.stride) / scene.fps
    body = skeleton(gait, phase, Build(height))
    if event == "fight":
        _punch(rng, time, body, height, during)
    if event == "fall":
        body = _topple(rng, time, body, begin / scene.fps)
    return in_the_world(body, place, heading)


def _meet(
    rng: np.random.Generator,
    time: Array,
    place: Array,
    heading: Array,
    during: Array,
    spot: Array,
    side: int,
) -> tuple[Array, Array]:
    """Bring two people face to face at `spot` while they fight, one on each `side`, dodging."""
    dodge = 0.12 * np.sin(time[:, None] * rng.uniform(6, 11, 2) + rng.uniform(0, 6, 2))
    stand = spot + side * np.array([0.42, 0.0]) + dodge
    facing = heading + during * (((-side * np.pi / 2 - heading) + np.pi) % (2 * np.pi) - np.pi)
    weight = during[:, None]
    return (1 - weight) * place + weight * stand, facing


def _punch(rng: np.random.Generator, time: Array, body: Array, height: float, during: Array) -> None:
    """Throw punches with both arms and rock the upper body, in place."""
    rock = 0.10 * np.sin(time * rng.uniform(5, 9) + rng.uniform(0, 6)) * during
    body[:, :11, 0] += rock[:, None]
    for index in range(2):
        beat = time * rng.uniform(1.4, 2.2) + index * 0.5 + rng.uniform(0, 1)
        strike = np.maximum(0, np.sin(2 * np.pi * beat)) ** 2
        upper = 0.9 + 0.6 * strike
        elbow = body[:, 5 + index] + 0.186 * height * pendulum(upper)
        wrist = elbow + 0.15 * height * pendulum(upper + 1.7 * (1 - strike))
        weight = during[:, None]
        body[:, 7 + index] += weight * (elbow - body[:, 7 + index])
        body[:, 9 + index] += weight * (wrist - body[:, 9 + index])


def _topple(rng: np.random.Generator, time: Array, body: Array, at: float) -> Array:
    """Let the body fall over its feet in a random direction and stay on the ground."""
    fallen = np.clip((time - at) / rng.uniform(0.6, 0.9), 0, 1) ** 2
    tilt = fallen * rng.uniform(1.35, 1.5)
    direction = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(direction), np.sin(direction)])
    reach = body[..., :2] @ along
    toppled = body.copy()
    sine, cosine = np.sin(tilt)[:, None], np.cos(tilt)[:, None]
    toppled[..., :2] += (reach * (cosine - 1) + body[..., 2] * sine)[..., None] * along
    toppled[..., 2] = np.maximum(0.06, body[..., 2] * cosine - reach * sine)
    flail = fallen[:, None, None] * 0.04 * rng.standard_normal((1, 17, 3))
    return np.asarray(toppled + flail * np.array([1, 1, 0.3]))


def _observe(rng: np.random.Generator, scene: Scene, person: int, body: Array) -> Track:
    """Project the joints to pixels and add the errors of a pose detector."""
    camera = Camera(frame_size=scene.frame_size)
    pixels, depth = camera.project(body)
    size = 1.7 * camera.focal * scene.frame_size[0] / depth.mean(axis=1)[:, None, None]
    pixels += size * scene.jitter * rng.standard_normal(pixels.shape)
    unseen = rng.random(pixels.shape[:2]) < scene.missing_joints
    pixels += unseen[..., None] * size * 0.05 * rng.standard_normal(pixels.shape)
    confidence = np.where(unseen, 0.1, rng.uniform(0.7, 0.95, unseen.shape))
    inside = ((pixels > 0) & (pixels < scene.frame_size)).all(axis=2)
    seen = (inside.mean(axis=1) > 0.7) & (rng.random(len(pixels)) >= scene.missed_poses)
    keypoints = np.concatenate([pixels, confidence[..., None]], axis=2)[seen].astype(np.float32)
    return Track(person, np.flatnonzero(seen), keypoints, keypoints[..., 2].mean(axis=1))

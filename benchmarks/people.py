"""How many people do the pose estimators find, whom do they confuse, and how long does it take?

    python -m benchmarks.people --data DATA --pose-bundle pose.bundle/ --pose-model pose_landmarker_full.task

`benchmarks/hand_checked` holds, for frames of `ped2/testing`, `video/opencv_vtest.avi` and `fights` below DATA, the
boxes of everybody in them: left, top, right, bottom in pixels, and 1 for those of whom more than half is hidden or cut
off, who count neither as missed nor as false. One annotator drew them before any detector was asked. `walkers.json`
holds the middles of seven people who walk through `opencv_vtest.avi`, and the frames in which they are hidden. Sets
whose data is not there are left out.

`joints` compares the joints of the person in `video/tfjs_pose_squats.mp4` with those of MediaPipe and the first
`--pose-model`, the stronger reference, and takes the time of a frame with one person.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from benchmarks.joint_errors import NEAR, compare_joints, watch_person
from daflow.core.command_line import FILE, FOLDER, Command, json_option, write_json
from daflow.core.errors import InputError
from daflow.core.pose_bundle import read_pose_bundle
from runtime.config.schema import CameraOptions
from runtime.networks.runner import NetworkRunner
from runtime.poses.boxes import Boxes, body_boxes, joint_boxes, matches
from runtime.poses.estimators import Follower, PoseEstimator, open_estimator
from runtime.poses.follower import PeopleFollower
from runtime.poses.opened_networks import open_networks
from runtime.poses.people import PeopleFinder
from runtime.poses.pose_networks import BundleNetworks
from runtime.sources.frames import Frame, Keypoints
from runtime.sources.uri import open_source
from runtime.stage_clock import StageClock

SETS = ("ped2", "vtest", "fights")
WALKERS = "walkers"
JOINTS = "joints"
WALKERS_FRAMES = 131

_HAND_CHECKED = Path(__file__).parent / "hand_checked"
_VTEST = Path("video") / "opencv_vtest.avi"
_SQUATS = Path("video") / "tfjs_pose_squats.mp4"
_OVERLAP = 0.4  # of a drawn box, two pixels more or less on people of thirty, and the box around the joints
_BEFORE = 20  # frames that are followed before the one that is compared
_PICTURES_FPS = 10.0  # of Ped2
_MOST, _MOST_MEDIAPIPE = 30, 12  # people

Open = Callable[[float], PeopleFinder]
"""Opens an estimator and a tracker for a camera of so many frames per second."""


@dataclass
class Seconds:
    """Where the time of an estimator goes, in seconds over all frames."""

    frames: int = 0
    detect: float = 0.0
    crop: float = 0.0
    pose: float = 0.0
    track: float = 0.0

    def since(self, before: Seconds) -> Seconds:
        """Return what has been added since then."""
        return Seconds(*(getattr(self, part.name) - getattr(before, part.name) for part in fields(self)))

    def per_frame(self) -> dict[str, float]:
        """Return milliseconds a frame: `crop` is what an estimator does around its networks."""
        parts = ("detect", "crop", "pose", "track")
        return {part: 1e3 * getattr(self, part) / max(self.frames, 1) for part in parts}

    def add(self, part: str, seconds: float) -> None:
        """Count time for a part."""
        setattr(self, part, getattr(self, part) + seconds)


@dataclass
class Counts:
    """People of hand-checked frames: found, missed, and boxes of nobody."""

    right: int = 0
    missed: int = 0
    false: int = 0

    def add(self, drawn: npt.NDArray[np.float32], found: Boxes) -> None:
        """Compare the drawn boxes `(N, 5)` of a frame with the found ones."""
        pairs = matches(np.ascontiguousarray(drawn[:, :4]), found, _OVERLAP)
        whole, seen = drawn[:, 4] == 0, np.zeros(len(drawn), bool)
        seen[[row for row, _ in pairs]] = True
        self.right += int((seen & whole).sum())
        self.missed += int((~seen & whole).sum())
        self.false += len(found) - len(pairs)

    @property
    def recall(self) -> float:
        """The share of the people who are found."""
        return self.right / max(self.right + self.missed, 1)

    @property
    def precision(self) -> float:
        """The share of people among what is found."""
        return self.right / max(self.right + self.false, 1)


@dataclass
class Walked:
    """The ids of the walkers in each frame in which they can be seen, None where nobody is found."""

    ids: dict[str, list[int | None]] = field(default_factory=dict)

    @property
    def recall(self) -> float:
        """The share of the places in which somebody is found."""
        return float(np.mean([person is not None for ids in self.ids.values() for person in ids]))

    def switches(self, name: str) -> int:
        """Return how often the id of a walker changes."""
        return sum(a != b for a, b in pairwise(person for person in self.ids[name] if person is not None))

    @property
    def all_switches(self) -> int:
        """How often ids change."""
        return sum(map(self.switches, self.ids))


def count_people(name: str, data: Path, finder: Open) -> Counts:
    """Return how many people of the hand-checked frames of a set, one of `SETS`, are found."""
    counts = Counts()
    for key, people in _read(name).items():
        recording, frame = _place(name, data, key)
        with finder(_PICTURES_FPS) as opened:
            *_, last = _watch(recording, frame, opened)
        found = np.stack(list(last.values())) if last else None
        boxes = np.zeros((0, 4), np.float32) if found is None else body_boxes(found)
        counts.add(np.array(people, np.float32), boxes)
    return counts


def watch_walkers(data: Path, finder: Open) -> tuple[Walked, Sequence[Mapping[int, Keypoints]]]:
    """Return the ids of the walkers of `opencv_vtest.avi`, and everybody who is found in its first frames."""
    path = data / _VTEST
    with open_source(str(path)) as source, finder(source.fps) as opened:
        found = [dict(opened.find(frame, StageClock())) for frame in islice(source, WALKERS_FRAMES)]
    walked = Walked()
    for name, walker in _read("walkers").items():
        frames = [int(frame) for frame in walker["places"]]
        places = np.array(list(walker["places"].values()), np.float64)
        walked.ids[name] = [
            _nearest(found[frame], *(float(np.interp(frame, frames, places[:, axis])) for axis in (0, 1)))
            for frame in range(min(frames), max(frames) + 1)
            if frame not in walker["hidden"]
        ]
    return walked, found


def has_data(name: str, data: Path) -> bool:
    """Whether the pictures of a set, of the walkers, or of the joints are there."""
    if name in (WALKERS, JOINTS):
        return (data / (_VTEST if name == WALKERS else _SQUATS)).is_file()
    return _place(name, data, next(iter(_read(name))))[0].exists()


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_HAND_CHECKED / f"{name}.json").read_text(encoding="utf-8"))
    return content


def _place(name: str, data: Path, key: str) -> tuple[Path, str]:
    """Return the recording that a key names, and the name of its picture or the number of its frame."""
    if name == "vtest":
        return data / _VTEST, key
    clip, frame = key.split("/" if name == "ped2" else ":")
    return data / (Path("ped2") / "testing" if name == "ped2" else Path("fights")) / clip, frame


def _watch(recording: Path, frame: str, finder: PeopleFinder) -> Iterator[Mapping[int, Keypoints]]:
    """Find the people of a frame and of those before it."""
    pictures = sorted(path.stem for path in recording.glob("*.jpg"))
    last = pictures.index(frame) if pictures else int(frame)
    with open_source(str(recording), fps=_PICTURES_FPS if pictures else None) as source:
        for each in islice(source, max(0, last - _BEFORE), last + 1):
            yield finder.find(each, StageClock())


def _nearest(people: Mapping[int, Keypoints], x: float, y: float) -> int | None:
    """Who of the found people stands there: within 16 pixels sideways and 32 up or down."""
    distances = {}
    for person, keypoints in people.items():
        (box,) = joint_boxes(keypoints[None])
        distances[person] = float(np.hypot((box[0] + box[2]) / 2 - x, (box[1] + box[3]) / 4 - y / 2))
    near = {person: distance for person, distance in distances.items() if distance < 16}
    return min(near, key=lambda person: near[person], default=None)


class _TimedRunner:
    """A runner whose time counts for one part of an estimator."""

    def __init__(self, runner: NetworkRunner, part: str, seconds: Seconds) -> None:
        self.name, self.row = runner.name, runner.row
        self._runner, self._part, self._seconds = runner, part, seconds

    def run(self, batch: npt.NDArray[Any]) -> Mapping[str, npt.NDArray[Any]]:
        began = time.perf_counter()
        outputs = self._runner.run(batch)
        self._seconds.add(self._part, time.perf_counter() - began)
        return outputs

    def close(self) -> None:
        """The networks are closed by who opened them."""


class _TimedEstimator:
    """An estimator whose frames are counted; what its networks do not take counts for a part."""

    def __init__(
        self, estimator: PoseEstimator, part: str, seconds: Seconds, close: Callable[[], None]
    ) -> None:
        self._estimator, self._part, self._seconds, self.close = estimator, part, seconds, close

    def estimate(self, frame: Frame) -> Keypoints:
        began, networks = time.perf_counter(), self._seconds.detect + self._seconds.pose
        found = self._estimator.estimate(frame)
        networks = self._seconds.detect + self._seconds.pose - networks
        self._seconds.add(self._part, time.perf_counter() - began - networks)
        self._seconds.frames += 1
        return found


class _TimedFollower(_TimedEstimator):
    """The same of an estimator that knows people again."""

    @property
    def ids(self) -> Sequence[int]:
        assert isinstance(self._estimator, Follower)
        return self._estimator.ids


class _TimedFinder(PeopleFinder):
    """A finder whose tracker's time is counted."""

    def __init__(self, estimator: PoseEstimator, fps: float, seconds: Seconds) -> None:
        super().__init__(estimator, fps)
        self._seconds = seconds

    def find(self, frame: Frame, clock: StageClock) -> Mapping[int, Keypoints]:
        people = super().find(frame, clock)
        self._seconds.add("track", clock.seconds["track"][-1])
        return people


def bundle_finder(bundle: Path, precision: str, seconds: Seconds) -> Open:
    """Return what opens the finder of a pose bundle with ONNX Runtime, whose time is counted."""

    def finder(fps: float) -> PeopleFinder:
        networks = open_networks(read_pose_bundle(bundle), "onnxruntime", precision)
        detector, landmarks, joints, stride = networks.parts
        timed = BundleNetworks(
            _TimedRunner(detector, "detect", seconds),
            _TimedRunner(landmarks, "pose", seconds),
            joints,
            stride,
        )
        estimator = _TimedFollower(PeopleFollower(timed, _MOST), "crop", seconds, networks.close)
        return _TimedFinder(estimator, fps, seconds)

    return finder


def mediapipe_finder(model: Path, seconds: Seconds, people: str = "few") -> Open:
    """Return what opens MediaPipe's finder of one or a few people, whose time is counted, all of it as `pose`."""

    def finder(fps: float) -> PeopleFinder:
        options = CameraOptions.model_validate({
            "people": people, "estimator": "mediapipe", "max_people": _MOST_MEDIAPIPE, "pose_model": model,
        })  # fmt: skip
        estimator = open_estimator(options)
        return _TimedFinder(_TimedEstimator(estimator, "pose", seconds, estimator.close), fps, seconds)

    return finder


@click.command(cls=Command)
@click.option(
    "--data", type=FOLDER, required=True, help="Folder with ped2, video/opencv_vtest.avi and fights."
)
@click.option(
    "--pose-bundle",
    "bundles",
    type=FOLDER,
    multiple=True,
    help="A pose bundle, each precision of which is measured.",
)
@click.option("--pose-model", "models", type=FILE, multiple=True, help="A MediaPipe task (.task).")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice((*SETS, WALKERS, JOINTS)),
    help="Measure this alone; may be repeated. Milliseconds are of the walkers (everybody) and of the joints (one "
    "person).  [default: all]",
)
@json_option("the figures")
def main(
    data: Path,
    bundles: tuple[Path, ...],
    models: tuple[Path, ...],
    only: tuple[str, ...],
    json_target: str | None,
) -> None:
    """Measure recall and precision of people, changes of ids and milliseconds a frame, for each estimator."""
    timed: list[tuple[str, Seconds, Open]] = []
    for bundle in bundles:
        for precision in read_pose_bundle(bundle).network("landmarks").precisions:
            seconds = Seconds()
            timed.append((f"{bundle.name} {precision}", seconds, bundle_finder(bundle, precision, seconds)))
    for model in models:
        seconds = Seconds()
        timed.append((f"mediapipe {model.name}", seconds, mediapipe_finder(model, seconds)))
    sets = [name for name in (*SETS, WALKERS, JOINTS) if (not only or name in only) and has_data(name, data)]
    reference = mediapipe_finder(models[0], Seconds(), "one") if models else None
    if not timed or not sets:
        raise InputError(
            f"There is nothing to measure: give --pose-bundle or --pose-model, and in {data} one of {', '.join(SETS)}."
        )
    figures = {}
    for name, seconds, finder in timed:
        figures[name] = _measure(data, sets, seconds, finder, reference)
        if json_target != "-":
            click.echo(f"{name}: {_sentence(figures[name])}")
    if json_target:
        write_json(json_target, figures)


def _measure(
    data: Path, sets: Sequence[str], seconds: Seconds, finder: Open, reference: Open | None
) -> dict[str, Any]:
    measured: dict[str, Any] = {}
    for name in sets:
        before = replace(seconds)
        if name == WALKERS:
            walked, _ = watch_walkers(data, finder)
            measured[name] = {"recall": walked.recall, "switches": walked.all_switches}
            measured[name]["ms_per_frame"] = seconds.since(before).per_frame()
        elif name == JOINTS:
            found = _watch_person(data, finder)
            measured[name] = {"ms_per_frame": seconds.since(before).per_frame()}
            if reference is not None:
                errors = compare_joints(found, _watch_person(data, reference))
                measured[name] |= {"near": errors.near, "median": errors.median}
        else:
            counts = count_people(name, data, finder)
            measured[name] = {"recall": counts.recall, "precision": counts.precision}
    return measured


def _watch_person(data: Path, finder: Open) -> list[Keypoints | None]:
    with open_source(str(data / _SQUATS)) as source:
        fps = source.fps
    with finder(fps) as opened:
        return watch_person(data / _SQUATS, opened)


def _sentence(measured: Mapping[str, Any]) -> str:
    parts = [
        f"{name} recall {100 * measured[name]['recall']:.1f} %, precision {100 * measured[name]['precision']:.1f} %"
        for name in SETS
        if name in measured
    ]
    if WALKERS in measured:
        walkers = measured[WALKERS]
        parts.append(
            f"walkers {100 * walkers['recall']:.1f} %, {walkers['switches']} changes of id, {_split(walkers)}"
        )
    if JOINTS in measured:
        joints = measured[JOINTS]
        parts.append(f"one person {_split(joints)}")
        if "near" in joints:
            parts.append(
                f"joints within {100 * NEAR:.0f} % of the body's height of the reference in "
                f"{100 * joints['near']:.1f} % of the frames, median {100 * joints['median']:.2f} %"
            )
    return "; ".join(parts)


def _split(measured: Mapping[str, Any]) -> str:
    ms = measured["ms_per_frame"]
    split = ", ".join(f"{name} {value:.1f}" for name, value in ms.items())
    return f"{sum(ms.values()):.1f} ms a frame ({split})"


if __name__ == "__main__":
    main()

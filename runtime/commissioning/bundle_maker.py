"""From recordings of cameras to a bundle: one model, trained on the recordings of all, and an alarm for each camera."""

from __future__ import annotations

import importlib.util
import logging
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daflow.core.bundle import MANIFEST, Manifest, read_bundle, update_manifest
from daflow.core.errors import CheckFailed, InputError
from daflow.core.replacement import replace_when_done
from runtime.commissioning.commands import Runner, run_command
from runtime.commissioning.folder import bundle_of, is_commissioned, record_of, write_records
from runtime.commissioning.labelled_alarms import PARTS, LabelledRecordings, Part, RealAlarm, find_labelled
from runtime.commissioning.recordings import Recordings, camera_of
from runtime.commissioning.steps import Steps
from runtime.events.stored_alarms import read_alarms

logger = logging.getLogger(__name__)

MIN_RECORDINGS = len(PARTS)
"""Recordings of a camera that can be split; one is of five minutes at most."""

_TRAINING = ("torch", "onnx", "onnxscript", "onnxslim")

_NO_TRAINING = "torch is not installed"


@dataclass(frozen=True)
class CameraResult:
    """What came of one camera.

    Attributes:
        promised: whether its recordings support the requested rate.
        supported_per_day: where they do not, a higher rate that they support; None when there is none.
        false_alarms: of the new bundle in the recordings that check it.
        hours: the length of these.
        kept: whether it has its calibration from before, since the new bundle was worse.
        lost: alarms that are labelled real, which the bundle before raises and the new one does not.
        silent: other alarms that are labelled real, which the new bundle does not raise either.
    """

    promised: bool
    supported_per_day: float | None
    false_alarms: int
    hours: float
    kept: bool = False
    lost: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Commissioned:
    """What came of it.

    Attributes:
        why_not_trained: why the model stayed as it was, and the alarm alone was calibrated; None when it was trained.
        replaced: whether the bundle was replaced.
        cameras: what came of each; the only one of a folder is None.
        labels: how the labels of alarms were used, in words; None without alarms in the recordings.
    """

    why_not_trained: str | None
    replaced: bool
    cameras: Mapping[str | None, CameraResult]
    labels: str | None = None


def can_train() -> bool:
    """Say whether the packages that training and export need are installed."""
    return all(importlib.util.find_spec(name) for name in _TRAINING)


def make_bundle(
    folder: Path,
    per_day: float,
    run: Runner | None = None,
    store: Path | None = None,
    cameras: Sequence[str | None] = (None,),
) -> Commissioned:
    """Train on the recordings of all cameras, calibrate some on their own, and replace the bundle unless it is worse.

    Of each five recordings of a camera two are trained on, two are calibrated on, and one checks the rate. Without
    torch the model stays, and so it does where the bundle has the calibration of a camera that cannot be made again.

    For a camera that was commissioned before, the new bundle is worse when it does not raise an alarm that is labelled
    real and that the bundle before raises, or when it raises more false alarms in the recordings that check it, and
    more than its calibration expects. Where it is worse for one, the bundle before stays, and only cameras that were
    not commissioned are calibrated with it.

    Args:
        folder: in which the cameras are commissioned.
        per_day: the requested false alarms per day, of each.
        run: runs a command; None runs it as a process.
        store: the event store with the alarms and their labels; None, or one that is not there, is without.
        cameras: whose alarm is calibrated; None is the only one of the folder, whatever its recordings are named.

    Raises:
        InputError: there are too few recordings, or the store cannot be read.
        CheckFailed: a step failed; the bundle is as it was.
        OSError: the folder cannot be written.
    """
    material = _read_material(folder, store, cameras)
    if material.labels:
        logger.info("commissioning: %s", material.labels)
    maker = _Maker(folder, per_day, Steps(folder, run or run_command), material)
    why_not_trained = maker.why_not_trained()
    if why_not_trained:
        logger.info("%s: the model stays as it is, and its alarm is calibrated", why_not_trained)
    before = [camera for camera in material.chosen if is_commissioned(folder, camera)]
    results = maker.make(why_not_trained is None, material.chosen, before)
    if not any(result.kept for result in results.values()):
        maker.take_over(list(results))
        return Commissioned(why_not_trained, True, results, material.labels)
    kept = {camera: replace(results[camera], kept=True) for camera in before}
    maker.remember_kept(before)
    others = [camera for camera in material.chosen if camera not in before]
    if others:
        logger.info(
            "the new bundle is worse for a camera: the one before stays, and others are calibrated with it"
        )
        added = maker.make(False, others, [])
        maker.take_over(list(added))
        kept |= added
    maker.clean()
    why_not_trained = why_not_trained or "the new model was worse for a camera"
    return Commissioned(why_not_trained, bool(others), kept, material.labels)


@dataclass(frozen=True)
class _Material:
    parts: Mapping[str | None, Mapping[str, Part]]  # of each camera, by recording
    chosen: Sequence[str | None]  # the cameras that have enough
    labelled: LabelledRecordings
    labels: str | None

    def clips(self, camera: str | None, part: Part) -> list[str]:
        return [name for name, of in self.parts[camera].items() if of == part]

    def to_train_on(self) -> list[str]:
        return [name for camera in self.parts for name in self.clips(camera, "train")]

    def real(self, camera: str | None) -> list[RealAlarm]:
        alarms = self.labelled.real
        return [alarm for alarm in alarms if camera in (None, *(span.camera for span in alarm.spans))]


def _read_material(folder: Path, store: Path | None, cameras: Sequence[str | None]) -> _Material:
    recordings = Recordings(folder)
    names: dict[str | None, list[str]] = {camera: [] for camera in cameras}
    for file in recordings.files():
        names.setdefault(None if None in names else camera_of(file.clip), []).append(file.clip)
    alarms = read_alarms(store) if store is not None and store.exists() else []
    labelled = find_labelled(alarms, recordings.spans()) if alarms else LabelledRecordings()
    parts = {camera: labelled.deal(of_camera) for camera, of_camera in names.items()}
    too_few = {
        camera: why for camera in cameras if (why := _too_few(len(names[camera]), parts[camera])) is not None
    }
    said = [why if camera is None else f"Camera {camera}: {why}" for camera, why in too_few.items()]
    chosen = [camera for camera in cameras if camera not in too_few]
    if not chosen:
        raise InputError(*said)
    for line in said:
        logger.warning(line)
    every = {name: part for of_camera in parts.values() for name, part in of_camera.items()}
    return _Material(parts, chosen, labelled, labelled.words(every))


def _too_few(recordings: int, parts: Mapping[str, Part]) -> str | None:
    """Return why recordings cannot be split; None when they can."""
    if recordings < MIN_RECORDINGS:
        return (
            f"{recordings} recordings of at most five minutes are too few to train, calibrate and check on; at least "
            f"{MIN_RECORDINGS} are needed. Watch for longer."
        )
    if set(PARTS) - set(parts.values()):
        return (
            f"{len(parts)} recordings are too few to train, calibrate and check on, as {recordings - len(parts)} "
            "others hold alarms that are labelled real. Watch for longer."
        )
    return None


class _Maker:
    """Makes a bundle beside that of the folder, compares the two, and lets it take its place."""

    def __init__(self, folder: Path, per_day: float, steps: Steps, material: _Material) -> None:
        self._folder = folder
        self._per_day = per_day
        self._steps = steps
        self._material = material
        self._before = bundle_of(folder)
        self._new = folder / "bundle.new"
        self._found: dict[str | None, dict[str, Any]] = {}

    def why_not_trained(self) -> str | None:
        """Return why the model stays as it is; None when it is to be trained."""
        if not can_train():
            return _NO_TRAINING
        others = set(read_bundle(self._before).manifest.cameras) - set(self._material.chosen)
        if others and None not in self._material.chosen:
            return (
                f"the bundle has calibrations of cameras that cannot be made again now ({', '.join(others)})"
            )
        return None

    def make(
        self, trained: bool, cameras: Sequence[str | None], before: Sequence[str | None]
    ) -> dict[str | None, CameraResult]:
        """Make a bundle, and return what came of cameras; `before` of them were commissioned before.

        A camera that cannot be calibrated or checked is left out, with a warning, where others can.

        Raises:
            CheckFailed: no camera can, or not one of `before`.
        """
        made: list[str | None] = []
        with replace_when_done(self._new, "bundle", _is_bundle) as work:
            if trained:
                self._steps.train(work, self._material.to_train_on())
            else:
                shutil.copytree(self._before, work, dirs_exist_ok=True)
            for number, camera in enumerate(cameras):
                try:
                    self._calibrate(work, camera)
                except CheckFailed as error:
                    is_last = number == len(cameras) - 1
                    if camera is None or camera in before or (is_last and not made):
                        raise
                    logger.warning("camera %s is left out: %s", camera, error.message)
                    _remove_calibration(work, camera)
                else:
                    made.append(camera)
        return {camera: self._compare(camera, camera in before) for camera in made}

    def _calibrate(self, bundle: Path, camera: str | None) -> None:
        clips = self._material.clips(camera, "calibrate")
        self._steps.calibrate(bundle, camera, self._per_day, clips)
        self._found[camera] = self._steps.check(bundle, camera, self._material.clips(camera, "check"))

    def _compare(self, camera: str | None, before: bool) -> CameraResult:
        manifest, real = read_bundle(self._new).manifest, self._material.real(camera)
        alarm = manifest.alarm if camera is None else manifest.cameras[camera]
        assert alarm is not None
        found = self._found[camera]
        raised = self._steps.raised(self._new, camera, real)
        silent = [alarm for alarm in real if alarm not in raised]
        lost = self._steps.raised(self._before, camera, silent) if before else []
        worse = bool(lost) or (before and not self._is_not_worse(camera, found))
        return CameraResult(
            alarm.promised, alarm.supported_per_day, int(found["alarms"]), float(found["hours"]), worse,
            tuple(map(str, lost)), tuple(str(alarm) for alarm in silent if alarm not in lost),
        )  # fmt: skip

    def _is_not_worse(self, camera: str | None, new: Mapping[str, Any]) -> bool:
        old = self._steps.check(self._before, camera, self._material.clips(camera, "check"))
        expected = (new["expected_per_day"] or 0.0) * new["hours"] / 24
        return bool(new["alarms"] <= max(old["alarms"], math.ceil(expected)))

    def take_over(self, cameras: Sequence[str | None]) -> None:
        """Let the new bundle take the place of that from before, and remember what it was made of."""
        with replace_when_done(self._before, "bundle", _is_bundle) as work:
            shutil.copytree(self._new, work, dirs_exist_ok=True)
        self._remember({camera: self._found[camera] for camera in cameras})
        self.clean()

    def remember_kept(self, cameras: Sequence[str | None]) -> None:
        """Remember what was recorded of cameras that keep their calibration: with as much nothing is tried again."""
        self._remember({camera: record_of(self._folder, camera) for camera in cameras})

    def _remember(self, found: Mapping[str | None, dict[str, Any]]) -> None:
        recordings = Recordings(self._folder)
        records = {}
        for camera, facts in found.items():
            total = recordings.total(camera)
            records[camera] = {
                **facts,
                "recorded_seconds": total.seconds,
                "recorded_people": total.people,
                "recorded_hours_of_day": sorted(total.hours_of_day),
                "requested_per_day": self._per_day,
            }
        write_records(self._folder, records, several=None not in records)

    def clean(self) -> None:
        """Remove the new bundle."""
        shutil.rmtree(self._new, ignore_errors=True)


def _remove_calibration(folder: Path, camera: str) -> None:
    def others(now: Manifest) -> dict[str, Any]:
        return {"cameras": {name: alarm for name, alarm in now.cameras.items() if name != camera}}

    update_manifest(read_bundle(folder), others)


def _is_bundle(folder: Path) -> bool:
    return (folder / MANIFEST).exists()

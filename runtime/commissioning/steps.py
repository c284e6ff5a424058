"""From the recordings of a camera to its bundle: train, export, calibrate, check, each by the command of its name.

The commands run in processes of their own, since a device that watches needs none of what they load, and a part that
runs out of memory must not end the watching. What they print is in `commission.log`.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daflow.core.bundle import MANIFEST, read_bundle
from daflow.core.errors import CheckFailed, InputError
from daflow.core.files import parse_json, write_text
from daflow.core.log import one_line, shortened
from daflow.core.programs import find_program, python_module
from daflow.core.replacement import replace_when_done
from runtime.commissioning.labelled_alarms import PARTS, LabelledRecordings, Part, RealAlarm, find_labelled
from runtime.commissioning.needs import Recorded
from runtime.commissioning.recordings import Recordings
from runtime.events.stored_alarms import read_alarms

logger = logging.getLogger(__name__)

_RECORD = "commissioned.json"

MIN_RECORDINGS = len(PARTS)
"""Recordings that can be split; one is of five minutes at most."""

_TRAINING = ("torch", "onnx", "onnxscript", "onnxslim")

Runner = Callable[[Sequence[str], Path], str | None]
"""Runs a command and appends its output to a file; returns None, or the last line of the output when it failed."""


@dataclass(frozen=True)
class Commissioned:
    """What came of it.

    Attributes:
        trained: whether the model was trained, and not only calibrated.
        replaced: whether the bundle was replaced by the new one.
        promised: whether the recordings support the requested rate.
        supported_per_day: where they do not, a higher rate that they support; None when there is none.
        false_alarms: of the new bundle in the recordings that check it.
        hours: the length of these.
        lost: alarms that are labelled real, which the bundle before raises and the new one does not; it is then not
            replaced.
        silent: other alarms that are labelled real, which the new bundle does not raise either.
        labels: how the labels of alarms were used, in words; None without alarms in the recordings.
    """

    trained: bool
    replaced: bool
    promised: bool
    supported_per_day: float | None
    false_alarms: int
    hours: float
    lost: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    labels: str | None = None


def bundle_of(folder: Path) -> Path:
    """Return the bundle of a camera that is commissioned in a folder."""
    return folder / "bundle"


def zones_of(folder: Path) -> Path:
    """Return the file of the zones that are drawn on the page while a camera is commissioned in a folder."""
    return folder / "zones.json"


def is_commissioned(folder: Path) -> bool:
    """Say whether a camera has a bundle that was calibrated on its own recordings.

    Raises:
        InputError: its bundle is damaged.
    """
    bundle = bundle_of(folder)
    if not bundle.is_dir():
        return False
    alarm = read_bundle(bundle).manifest.alarm
    return alarm is not None and alarm.normal is not None and (folder / _RECORD).exists()


def used_before(folder: Path) -> Recorded:
    """Return what was recorded when a camera was commissioned last; nothing of one that was not."""
    try:
        content = parse_json((folder / _RECORD).read_bytes())
        return Recorded(float(content["recorded_seconds"]), int(content["recorded_people"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Recorded()


def begin(folder: Path, base: Path) -> None:
    """Give a camera a copy of a bundle to watch with until it has its own.

    Raises:
        InputError: there is no bundle, or something else is in its place.
        OSError: the folder cannot be written.
    """
    read_bundle(base)
    if bundle_of(folder).exists():
        return
    with replace_when_done(bundle_of(folder), "bundle", lambda _: False) as work:
        shutil.copytree(base, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("engines"))


def make_bundle(
    folder: Path, per_day: float, run: Runner | None = None, store: Path | None = None
) -> Commissioned:
    """Train and calibrate on the recordings of a camera, and replace its bundle if the new one is not worse.

    Of each five recordings two are trained on, two are calibrated on, and one checks the rate. Without torch the model
    stays, and is only calibrated. A bundle that was commissioned before is replaced when the new one raises no more
    false alarms in the recordings that check it, or no more than its calibration expects, and if it raises every alarm
    that is labelled real and that the bundle before raises.

    Args:
        folder: of the camera.
        per_day: the requested false alarms per day.
        run: runs a command; None runs it as a process.
        store: the event store with the alarms and their labels; None, or one that is not there, is without.

    Raises:
        InputError: there are too few recordings, or the store cannot be read.
        CheckFailed: a step failed; the bundle is as it was.
        OSError: the folder cannot be written.
    """
    recordings = Recordings(folder)
    names = [file.clip for file in recordings.files()]
    if len(names) < MIN_RECORDINGS:
        raise InputError(
            f"{len(names)} recordings of at most five minutes are too few to train, calibrate and check on; at least "
            f"{MIN_RECORDINGS} are needed. Watch for longer."
        )
    alarms = read_alarms(store) if store is not None and store.exists() else []
    labelled = find_labelled(alarms, recordings.spans()) if alarms else LabelledRecordings()
    parts = labelled.deal(names)
    if labels := labelled.words(parts):
        logger.info("commissioning: %s", labels)
    _require_each(parts, len(labelled.real_clips))
    steps = _Steps(folder, recordings.folder, parts, run or run_command)
    before = bundle_of(folder)
    trained = all(importlib.util.find_spec(name) for name in _TRAINING)
    with replace_when_done(folder / "bundle.new", "bundle", _is_bundle) as work:
        if trained:
            steps.train(work)
        else:
            logger.info("torch is not installed: the model stays as it is, and its alarm is calibrated")
            shutil.copytree(before, work, dirs_exist_ok=True)
        steps.calibrate(work, per_day)
        found = steps.check(work)
    new = folder / "bundle.new"
    alarm = read_bundle(new).manifest.alarm
    assert alarm is not None
    again = is_commissioned(folder)
    raised = steps.raised(new, labelled.real)
    silent = [real for real in labelled.real if real not in raised]
    raised_before = steps.raised(before, silent) if again else []
    lost = tuple(str(real) for real in raised_before)
    replaced = not lost and (not again or _not_worse(found, steps.check(before)))
    if replaced:
        with replace_when_done(before, "bundle", _is_bundle) as work:
            shutil.copytree(new, work, dirs_exist_ok=True)
        total = recordings.total()
        record = {**found, "recorded_seconds": total.seconds, "recorded_people": total.people}
        write_text(folder / _RECORD, json.dumps(record, indent=1))
    shutil.rmtree(new)
    return Commissioned(
        trained, replaced, alarm.promised, alarm.supported_per_day, int(found["alarms"]), float(found["hours"]), lost,
        tuple(str(real) for real in silent if real not in raised_before), labels,
    )  # fmt: skip


def _require_each(parts: Mapping[str, Part], left_out: int) -> None:
    """Check that there are recordings for each purpose.

    Raises:
        InputError: there are none for one of them.
    """
    if set(PARTS) - set(parts.values()):
        raise InputError(
            f"{len(parts)} recordings are too few to train, calibrate and check on, as {left_out} others hold alarms "
            "that are labelled real. Watch for longer."
        )


class _Steps:
    def __init__(self, folder: Path, poses: Path, parts: Mapping[str, Part], run: Runner) -> None:
        self._folder = folder
        self._poses = poses
        self._parts = parts
        self._run = run

    def _clips(self, part: Part) -> list[str]:
        return _chosen(name for name, of in self._parts.items() if of == part)

    def _do(self, what: str, module: str, *words: str) -> None:
        logger.info("commissioning: %s", what)
        failed = self._run(python_module(module, *words), self._folder / "commission.log")
        if failed is not None:
            raise CheckFailed(
                f"Commissioning stopped at '{what}': {shortened(one_line(failed), 300)} The output is in "
                f"{self._folder / 'commission.log'}."
            )

    def train(self, bundle: Path) -> None:
        model = self._folder / "model.pt"
        clips = self._clips("train")
        self._do("train", "daflow.cli", "train", "--poses", str(self._poses), *clips, "-o", str(model))
        self._do("export and verify", "export.cli", str(model), "-o", str(bundle))

    def calibrate(self, bundle: Path, per_day: float) -> None:
        words = ["alarm", "--bundle", str(bundle), "--poses", str(self._poses), *self._clips("calibrate")]
        if (zones := zones_of(self._folder)).exists():
            words += ["--zones", str(zones)]
        self._do("calibrate", "calibration.cli", *words, "--false-alarms-per-day", f"{per_day:g}")

    def check(self, bundle: Path) -> dict[str, Any]:
        """Return what `daflow-calibrate check` found on the recordings that were kept for it."""
        return self._replay("check the rate", bundle, self._clips("check"))

    def raised(self, bundle: Path, alarms: Sequence[RealAlarm]) -> list[RealAlarm]:
        """Return which of the alarms that are labelled real a bundle raises, by their recordings."""
        clips = sorted({span.clip for alarm in alarms for span in alarm.spans})
        if not clips:
            return []
        found = self._replay("check the alarms that are labelled real", bundle, _chosen(clips))
        times = {clip["clip"]: clip["times"] for clip in found["clips"]}
        return [alarm for alarm in alarms if alarm.is_raised(times)]

    def _replay(self, what: str, bundle: Path, clips: Sequence[str]) -> dict[str, Any]:
        target = self._folder / "check.json"
        target.unlink(missing_ok=True)
        words = ["check", "--bundle", str(bundle), "--poses", str(self._poses), *clips, "--json", str(target)]
        try:
            self._do(what, "calibration.cli", *words)
        except CheckFailed:
            if not target.exists():  # it could not be checked; else it was, and the rate was refuted
                raise
        found: dict[str, Any] = parse_json(target.read_bytes())
        return found


def _chosen(names: Iterable[str]) -> list[str]:
    return [word for name in names for word in ("--clips", _as_pattern(name))]


def run_command(words: Sequence[str], log: Path) -> str | None:
    """Run a command with low priority, and append its output to a file."""
    nice = [program, "-n", "10"] if (program := find_program("nice")) else []
    done = subprocess.run(
        [*nice, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", check=False,
    )  # fmt: skip
    with log.open("a") as file:
        file.write(done.stdout)
    if done.returncode == 0:
        return None
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {done.returncode}."


def _not_worse(new: dict[str, Any], old: dict[str, Any]) -> bool:
    expected = (new["expected_per_day"] or 0.0) * new["hours"] / 24
    return bool(new["alarms"] <= max(old["alarms"], math.ceil(expected)))


def _is_bundle(folder: Path) -> bool:
    return (folder / MANIFEST).exists()


def _as_pattern(name: str) -> str:
    """Return a pattern that matches a name alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)

"""The steps from recordings to a bundle: train, export, calibrate, check, each by the command of its name.

What the commands print is in `commission.log`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from daflow.core.errors import CheckFailed
from daflow.core.files import parse_json
from daflow.core.log import one_line, shortened
from daflow.core.programs import python_module
from runtime.commissioning.commands import Runner
from runtime.commissioning.folder import zones_to_calibrate_with
from runtime.commissioning.labelled_alarms import RealAlarm
from runtime.commissioning.recordings import Recordings

logger = logging.getLogger(__name__)


class Steps:
    """The steps, for the recordings of a folder; each raises CheckFailed when its command fails.

    Args:
        folder: in which cameras are commissioned.
        run: runs a command.
    """

    def __init__(self, folder: Path, run: Runner) -> None:
        self._folder = folder
        self._poses = Recordings(folder).folder
        self._run = run

    def train(self, bundle: Path, clips: Iterable[str]) -> None:
        """Train a model on some recordings, and export and verify it as a bundle."""
        model, poses = self._folder / "model.pt", str(self._poses)
        self._do("train", "daflow.cli", "train", "--poses", poses, *_chosen(clips), "-o", str(model))
        self._do("export and verify", "export.cli", str(model), "-o", str(bundle))

    def calibrate(self, bundle: Path, camera: str | None, per_day: float, clips: Iterable[str]) -> None:
        """Calibrate the alarm of a camera, with its zones, on some recordings; None is for all cameras."""
        words = ["alarm", "--bundle", str(bundle), "--poses", str(self._poses), *_chosen(clips), *_of(camera)]
        if zones := zones_to_calibrate_with(self._folder):
            words += ["--zones", str(zones)]
        what = "calibrate" if camera is None else f"calibrate camera {camera}"
        self._do(what, "calibration.cli", *words, "--false-alarms-per-day", repr(per_day))

    def check(self, bundle: Path, camera: str | None, clips: Iterable[str]) -> dict[str, Any]:
        """Return what `daflow-calibrate check` finds of a camera on some recordings."""
        return self._replay("check the rate", bundle, camera, clips)

    def raised(self, bundle: Path, camera: str | None, alarms: Sequence[RealAlarm]) -> list[RealAlarm]:
        """Return which of the alarms that are labelled real a bundle raises, by their recordings."""
        clips = sorted({span.clip for alarm in alarms for span in alarm.spans})
        if not clips:
            return []
        found = self._replay("check the alarms that are labelled real", bundle, camera, clips)
        times = {clip["clip"]: clip["times"] for clip in found["clips"]}
        return [alarm for alarm in alarms if alarm.is_raised(times)]

    def _replay(self, what: str, bundle: Path, camera: str | None, clips: Iterable[str]) -> dict[str, Any]:
        target = self._folder / "check.json"
        target.unlink(missing_ok=True)
        words = ["check", "--bundle", str(bundle), "--poses", str(self._poses), *_chosen(clips), *_of(camera)]
        what = what if camera is None else f"{what} of camera {camera}"
        try:
            self._do(what, "calibration.cli", *words, "--json", str(target))
        except CheckFailed:
            if not target.exists():  # it could not be checked; else it was, and the rate was refuted
                raise
        found: dict[str, Any] = parse_json(target.read_bytes())
        return found

    def _do(self, what: str, module: str, *words: str) -> None:
        logger.info("commissioning: %s", what)
        failed = self._run(python_module(module, *words), self._folder / "commission.log")
        if failed is not None:
            raise CheckFailed(
                f"Commissioning stopped at '{what}': {shortened(one_line(failed), 300)} The output is in "
                f"{self._folder / 'commission.log'}."
            )


def _of(camera: str | None) -> list[str]:
    return [] if camera is None else ["--camera", camera]


def _chosen(names: Iterable[str]) -> list[str]:
    return [word for name in names for word in ("--clips", as_pattern(name))]


def as_pattern(name: str) -> str:
    """Return a pattern that matches a name alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)

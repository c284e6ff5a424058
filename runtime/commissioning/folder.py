"""The folder in which cameras are commissioned: their bundle, their zones, and what was recorded when it was made.

    bundle/             what the cameras are watched with
    recordings/         see `runtime.commissioning.recordings`
    cameras.json        the cameras that were watched last, with their zones
    commissioned.json   for each camera what was recorded when it was commissioned last, and how that was checked
    commission.log      what the commands said that made the bundle

A folder of one camera has the calibration of the bundle that is for all cameras, whatever the camera is named. Once it
had several, each has its own, and so it stays. The only camera is named None here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from daflow.core.alarms.calibration import AlarmCalibration
from daflow.core.alarms.zones import Zone
from daflow.core.bundle import Manifest, read_bundle, update_manifest
from daflow.core.errors import InputError
from daflow.core.files import locked, parse_json, write_text
from daflow.core.replacement import replace_when_done
from daflow.core.shipped import bundle_or_default
from runtime.commissioning.needs import Recorded
from runtime.commissioning.recordings import Recordings
from runtime.config.commissioning_options import BUNDLE

logger = logging.getLogger(__name__)

_RECORD, _CAMERAS = "commissioned.json", "cameras.json"


def bundle_of(folder: Path) -> Path:
    """Return the bundle of the cameras that are commissioned in a folder."""
    return folder / BUNDLE


def zones_of(folder: Path) -> Path:
    """Return the file of the zones that are drawn on the page of `daflow-edge commission`."""
    return folder / "zones.json"


def zones_to_calibrate_with(folder: Path) -> Path | None:
    """Return the file with the zones of the cameras; None when they have none."""
    return next((file for file in (folder / _CAMERAS, zones_of(folder)) if file.exists()), None)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes from commissioning in a folder: one would remove what the other records.

    Raises:
        InputError: another process does.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(Recordings(folder).folder, wait=False))
        except BlockingIOError:
            raise InputError(
                f"{folder} is being commissioned by another process. Stop that one first."
            ) from None
        yield


def begin(folder: Path, base: Path | None) -> None:
    """Give the cameras a copy of a bundle to watch with until they have their own; None is the default one.

    Raises:
        InputError: there is no bundle, or something else is in its place.
        OSError: the folder cannot be written.
    """
    for left in folder.glob(f".{BUNDLE}*.*"):  # of a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    if bundle_of(folder).exists():
        return
    base = bundle_or_default(base)
    read_bundle(base)
    with replace_when_done(bundle_of(folder), "bundle", lambda _: False) as work:
        shutil.copytree(base, work, dirs_exist_ok=True, ignore=shutil.ignore_patterns("engines"))


def known_cameras(folder: Path) -> list[str | None]:
    """Return the cameras that were watched last; the only one is None."""
    content = _read(folder / _CAMERAS)
    return [*content.get("cameras", {})] if content.get("several") else [None]


def set_cameras(folder: Path, zones: Mapping[str, Mapping[str, Zone]], several: bool) -> bool:
    """Remember the cameras with their zones, and that each has its own calibration if they are several.

    Args:
        folder: in which they are commissioned.
        zones: of each camera, by name.
        several: whether the bundle is for more than one camera; once it was, it stays so.

    Returns:
        Whether each has its own calibration.

    Raises:
        InputError: the bundle is damaged.
        OSError: the folder cannot be written.
    """
    before = bool(_read(folder / _CAMERAS).get("several"))
    several = several or before
    if several and not before and is_commissioned(folder):
        _give_to_one(folder, list(zones))
    cameras = {
        name: {"zones": {zone: shape.model_dump(mode="json") for zone, shape in shapes.items()}}
        for name, shapes in zones.items()
    }
    content = json.dumps({"several": several, "cameras": cameras}, indent=1, ensure_ascii=False)
    write_text(folder / _CAMERAS, content + "\n")
    return several


def _give_to_one(folder: Path, cameras: Sequence[str]) -> None:
    """Make the calibration of the only camera its own, as others come; theirs is provisional."""
    recorded = Recordings(folder).cameras()
    owners = [name for name in cameras if name in recorded] or sorted(recorded)
    if len(owners) != 1:
        logger.warning(
            "%s was commissioned for one camera, and its recordings are of %s: each is commissioned anew",
            folder, ", ".join(owners) or "none that is known",
        )  # fmt: skip

    def change(now: Manifest) -> dict[str, Any]:
        own = {owners[0]: now.alarm} if len(owners) == 1 and now.alarm else {}
        others = now.alarm.model_copy(update={"promised": False}) if now.alarm else None
        return {"alarm": others, "cameras": {**now.cameras, **own}}

    update_manifest(read_bundle(bundle_of(folder)), change)
    content = _read(folder / _RECORD)
    write_records(folder, {owners[0]: content} if len(owners) == 1 else {}, several=True)


def calibration_of(folder: Path, camera: str | None = None) -> AlarmCalibration | None:
    """Return the calibration of a camera on its own recordings; None when it has none.

    Raises:
        InputError: the bundle is damaged.
    """
    if not bundle_of(folder).is_dir() or not record_of(folder, camera):
        return None
    manifest = read_bundle(bundle_of(folder)).manifest
    alarm = manifest.alarm if camera is None else manifest.cameras.get(camera)
    return alarm if alarm is not None and alarm.normal is not None else None


def is_commissioned(folder: Path, camera: str | None = None) -> bool:
    """Say whether a camera has a bundle that was calibrated on its own recordings.

    Raises:
        InputError: its bundle is damaged.
    """
    return calibration_of(folder, camera) is not None


def record_of(folder: Path, camera: str | None = None) -> dict[str, Any]:
    """Return what is known of the last time that a camera was commissioned; empty of one that was not."""
    content = _read(folder / _RECORD)
    if camera is None:
        return content
    found = content.get("cameras", {}).get(camera, {})
    return found if isinstance(found, dict) else {}


def write_records(folder: Path, records: Mapping[str | None, dict[str, Any]], several: bool) -> None:
    """Write what is known of cameras that were commissioned; that of others stays.

    Raises:
        OSError: the folder cannot be written.
    """
    if several:
        before = _read(folder / _RECORD).get("cameras", {})
        content = {"cameras": {**before, **{str(name): record for name, record in records.items()}}}
    else:
        content = records[None]
    write_text(folder / _RECORD, json.dumps(content, indent=1, ensure_ascii=False))


def used_before(folder: Path, camera: str | None = None) -> Recorded:
    """Return what was recorded when a camera was commissioned last; nothing of one that was not."""
    record = record_of(folder, camera)
    try:
        hours = frozenset(map(int, record.get("recorded_hours_of_day", ())))
        return Recorded(float(record["recorded_seconds"]), int(record["recorded_people"]), hours)
    except (ValueError, KeyError, TypeError):
        return Recorded()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}

"""The zones that were drawn on the page: in a JSON file of their own, since the configuration is the operator's.

The file has the form of the configuration, `{"cameras": {NAME: {"zones": {ZONE: {"kind": ..., "points": ...}}}}}`, so
`daflow-calibrate --zones` reads it too. A camera that is in it has these zones and not those of the configuration.
"""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from daflow.core.alarms.calibration import CameraName
from daflow.core.alarms.zones import Zone, Zones, same_zones
from daflow.core.errors import InputError
from daflow.core.files import parse_json, write_text
from daflow.core.schema import problem
from runtime.config.schema import Config

logger = logging.getLogger(__name__)

_MAX_BYTES = 16 << 20


class _Camera(BaseModel):
    model_config = ConfigDict(extra="forbid")

    zones: Zones


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cameras: dict[CameraName, _Camera]


class DrawnZones:
    """The file of drawn zones; any thread may use it.

    Args:
        path: of the file, which may not be there; None when none can be kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()

    def apply(self, config: Config) -> Config:
        """Return a configuration with the drawn zones.

        Raises:
            InputError: the file cannot be read, or has a zone that is wrong.
        """
        drawn = self._read()
        cameras = dict(config.cameras)
        for name in cameras.keys() & drawn.keys():
            own = cameras[name].zones
            if own and not same_zones(own, drawn[name]):
                logger.warning(
                    "camera %s: the zones of %s, which were drawn on the page, are used, and not those of the "
                    "configuration",
                    name, self._path,
                )  # fmt: skip
            cameras[name] = cameras[name].model_copy(update={"zones": drawn[name]})
        return config.model_copy(update={"cameras": cameras})

    def save(self, camera: str, zones: dict[str, Zone]) -> None:
        """Keep the zones of a camera; none is a camera without zones, whatever the configuration says.

        Raises:
            InputError: there is no place to keep them, or the file cannot be read.
            OSError: the file cannot be written.
        """
        if self._path is None:
            raise InputError(
                "Drawn zones need a file: set zones_file, or store.path, beside which it is then."
            )
        with self._lock:
            drawn = self._read()
            drawn[camera] = zones
            content = {
                name: {"zones": {zone: shape.model_dump(mode="json") for zone, shape in shapes.items()}}
                for name, shapes in drawn.items()
            }
            write_text(self._path, json.dumps({"cameras": content}, indent=1, ensure_ascii=False) + "\n")
        logger.info("camera %s: its zones were drawn on the page: %s", camera, ", ".join(zones) or "none")

    def _read(self) -> dict[str, dict[str, Zone]]:
        if self._path is None:
            return {}
        try:
            with self._path.open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
            if len(content) > _MAX_BYTES:
                raise InputError(f"{self._path} is larger than 16 MiB; it is no file of zones.")
            found = _File.model_validate(parse_json(content))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise InputError(f"Cannot read the drawn zones {self._path}: {error.strerror}.") from None
        except ValidationError as error:
            raise InputError(f"{self._path}: {problem(error)}. Mend it, or remove it.") from None
        except ValueError as error:
            raise InputError(f"{self._path} is not JSON: {error}. Mend it, or remove it.") from None
        return {name: dict(camera.zones) for name, camera in found.cameras.items()}

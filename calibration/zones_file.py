"""The zones of a camera: from the configuration of `daflow-edge`, its drawn zones, or another file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from daflow.core.alarms.zones import Zone, Zones
from daflow.core.errors import InputError
from daflow.core.files import parse_json
from daflow.core.schema import problem
from daflow.core.toml_file import read_toml

_ZONES: TypeAdapter[dict[str, Zone]] = TypeAdapter(Zones)


def read_zones(path: Path, camera: str | None = None) -> dict[str, Zone]:
    """Read the zones of a camera, by name.

    Args:
        path: the configuration of `daflow-edge`, the JSON file of the zones that were drawn on its page, or a TOML file
            with tables `[zones.NAME]` alone.
        camera: its name; None is the only camera of the configuration.

    Raises:
        InputError: the file cannot be read, does not have the camera, or has a zone that is wrong.
    """
    tree = _read_json(path) if path.suffix == ".json" else read_toml(path)
    cameras = tree.get("cameras")
    if cameras is None and "zones" in tree:
        where, zones = "zones", tree["zones"]
    else:
        name = _camera(path, cameras, camera)
        options = cameras[name] if isinstance(cameras, dict) else {}
        where, zones = f"cameras.{name}.zones", options.get("zones", {}) if isinstance(options, dict) else {}
    try:
        return _ZONES.validate_python(zones)
    except ValidationError as error:
        raise InputError(f"{path}: {where}.{problem(error)}.") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        tree = parse_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"Cannot read the zones {path}: {error.strerror}.") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}.") from None
    return tree if isinstance(tree, dict) else {}


def _camera(path: Path, cameras: Any, camera: str | None) -> str:
    known = list(cameras) if isinstance(cameras, dict) else []
    if not known:
        raise InputError(
            f"{path} has neither cameras nor zones. Name the configuration of daflow-edge, or a file with tables "
            "[zones.NAME]."
        )
    if camera is None and len(known) > 1:
        raise InputError(f"{path} has {len(known)} cameras. Say with --camera whose zones to take.")
    if camera is not None and camera not in known:
        raise InputError(f"{path} has no camera {camera}; it has: {', '.join(known)}.")
    return camera or known[0]

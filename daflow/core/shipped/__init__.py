"""The model that is part of the package, for commands that are given none: it was trained on generated people.

`scripts/build_shipped_model.py` builds it. The package stays as it was installed: a calibration goes to a copy among
the user's data, which then counts, and engines go to the user's cache (`daflow.core.engines.cache`).
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from importlib import resources
from pathlib import Path

from daflow.core.files import locked, user_data

logger = logging.getLogger(__name__)

BUNDLE, CHECKPOINT = "generated-people", "model.pt"
_MANIFEST = "manifest.json"


def shipped_folder() -> Path:
    """Return the folder of the package that holds the bundle and the checkpoint."""
    return Path(str(resources.files(__name__)))


def shipped_bundle() -> Path:
    """Return the bundle of the package."""
    return shipped_folder() / BUNDLE


def shipped_checkpoint() -> Path:
    """Return the checkpoint that the bundle of the package was exported from."""
    return shipped_folder() / CHECKPOINT


def is_shipped(bundle: Path) -> bool:
    """Whether a bundle is the one of the package, whose folder must not change."""
    return bundle.resolve() == shipped_bundle().resolve()


def own_copy() -> Path:
    """Return where the user's copy of the bundle is, or would be."""
    return user_data() / BUNDLE


def make_own_copy() -> Path:
    """Copy the bundle of the package to the user's data, unless there is a copy already, and return the copy.

    Raises:
        OSError: the folder cannot be written.
    """
    copy = own_copy()
    with locked(copy.parent):
        if not (copy / _MANIFEST).is_file():
            with tempfile.TemporaryDirectory(dir=copy.parent, prefix=f".{BUNDLE}.") as temporary:
                work = Path(temporary) / BUNDLE
                work.mkdir()
                for file in filter(Path.is_file, shipped_bundle().iterdir()):
                    shutil.copyfile(file, work / file.name)
                work.rename(copy)
    return copy


def default_bundle() -> Path:
    """Return the bundle for who names none: the user's copy where there is one, else the one of the package."""
    copy = own_copy()
    return copy if (copy / _MANIFEST).is_file() else shipped_bundle()


def bundle_or_default(folder: Path | None) -> Path:
    """Return the folder that was named; else `default_bundle`, after a line in the log that says what it is."""
    if folder is not None:
        return folder
    chosen = default_bundle()
    if is_shipped(chosen):
        logger.info(
            "no bundle was named, so the model of the package is used: it was trained on generated people, and its "
            "threshold is provisional. Train your own with 'daflow train'; 'daflow-calibrate alarm' sets the threshold"
        )
    else:
        logger.info(
            "no bundle was named, so your copy of the model of the package is used, %s: it was trained on generated "
            "people. Train your own with 'daflow train'",
            chosen,
        )
    return chosen

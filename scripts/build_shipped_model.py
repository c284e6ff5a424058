#!/usr/bin/env python
"""Builds the model that is part of the package from its seed: the checkpoint and the bundle in daflow/core/shipped.

.venv/bin/python scripts/build_shipped_model.py [FOLDER]        about four minutes on one core
"""

from __future__ import annotations

import sys
from pathlib import Path

from daflow.core.bundle import write_manifest
from daflow.core.files import sha256
from daflow.core.shipped import BUNDLE, CHECKPOINT, shipped_folder
from daflow.model.checkpoint import Checkpoint, save_checkpoint
from daflow.training.generated_people import train_on_generated_people
from export.bundle import REPORT, export_model


def write(folder: Path, checkpoint: Checkpoint) -> None:
    """Export FP32, FP16 and INT8, and leave out the verification page, which is larger than all graphs."""
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(folder / CHECKPOINT, checkpoint)
    bundle = export_model(checkpoint, folder / BUNDLE, int8=True, engine=False, report=print)
    files = {name: digest for name, digest in bundle.manifest.files.items() if name != REPORT}
    write_manifest(bundle.folder, bundle.manifest.model_copy(update={"files": files}))
    (bundle.folder / REPORT).unlink()
    print(f"{CHECKPOINT}: sha256 {sha256(folder / CHECKPOINT)}")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else shipped_folder(), train_on_generated_people())

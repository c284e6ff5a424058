"""What the tests of export share: windows to verify on, and exports that trace no graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from calibration.int8_ranges import Ranges, calibration_windows
from daflow.core.bundle import read_bundle
from daflow.core.data.windows import Poses
from daflow.core.scoring.comparison import WindowSets
from daflow.core.scoring.limits import Limits
from export.verification import VerificationSet, generated_set, recorded_set


@pytest.fixture(scope="session")
def generated() -> VerificationSet:
    """The generated recordings that every export without recordings is verified on."""
    return generated_set(24)


@pytest.fixture(scope="session")
def small_set(dataset: Path) -> VerificationSet:
    """Fewer windows, with labels."""
    return recorded_set(dataset / "test", dataset / "masks", 24)


@pytest.fixture
def quick_export(
    monkeypatch: pytest.MonkeyPatch,
    copy_graph: Callable[..., int],
    small_set: VerificationSet,
    no_drawings: None,
) -> None:
    """Exports of `checkpoint_file` use its graphs of this session, verify them on few windows, and draw nothing."""
    monkeypatch.setattr("export.bundle.export_onnx", copy_graph)
    monkeypatch.setattr("export.bundle.generated_set", lambda *_: small_set)


@pytest.fixture
def quick_int8_export(monkeypatch: pytest.MonkeyPatch, quick_export: None, exported_int8: Path) -> None:
    """The same with INT8: calibrated on few windows, and without a sensitivity analysis of its own.

    The operations in INT8 are those that the analysis chose for `exported_int8`.
    """
    int8 = read_bundle(exported_int8).manifest.int8
    assert int8 is not None
    quantised = list(int8.quantised)

    class SharedSensitivity:
        def __init__(self, graph: Path, ranges: Ranges, sets: WindowSets) -> None:
            pass

        def choose(self, limits: Limits, margin: int) -> list[str]:
            return quantised

    def few_windows(normal: Poses) -> Poses:
        return calibration_windows(normal)[::8]

    monkeypatch.setattr("export.mixed_precision.Sensitivity", SharedSensitivity)
    monkeypatch.setattr("export.mixed_precision.calibration_windows", few_windows)

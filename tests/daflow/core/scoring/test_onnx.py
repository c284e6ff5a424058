"""How many threads ONNX Runtime is given, and for which windows; what it computes is tested with the graphs."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from daflow.core.errors import InputError
from daflow.core.scoring.onnx import OnnxScorer


@pytest.mark.parametrize(
    ("environment", "threads", "taken"),
    [("1", 0, 1), ("3", 0, 3), ("3", 2, 2), ("", 0, 0), ("2,1", 0, 0), ("many", 0, 0)],
)
def test_all_threads_are_those_that_the_environment_allows(
    graphs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, environment: str, threads: int, taken: int
) -> None:
    asked = []

    class Options(onnxruntime.SessionOptions):  # type: ignore[misc]
        @property
        def intra_op_num_threads(self) -> int:
            return asked[-1]

        @intra_op_num_threads.setter
        def intra_op_num_threads(self, number: int) -> None:
            asked.append(number)

    monkeypatch.setenv("OMP_NUM_THREADS", environment)
    monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
    OnnxScorer(graphs["fp32"], threads=threads)
    assert asked == [taken]


def test_a_graph_of_other_windows_than_the_manifest_says_is_refused(graphs: dict[str, Path]) -> None:
    OnnxScorer(graphs["fp32"], window=24)
    with pytest.raises(InputError, match=r"takes windows of 24 poses, but the manifest says 17\. Export"):
        OnnxScorer(graphs["fp32"], window=17)

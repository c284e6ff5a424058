"""Which TensorRT runs on which GPU."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from daflow.core.errors import InputError
from daflow.core.gpu import Gpu, load_tensorrt, runs_on, tensorrt_of_this_machine


@pytest.mark.parametrize(
    ("target", "runs"),
    [
        ("sm75", True),
        ("sm86", True),
        ("sm87", False),
        ("sm90", False),
        ("sm100", False),
        ("sm120", True),
        ("sm130", True),
    ],
)
def test_tensorrt_for_rtx_leaves_out_data_centres_and_jetsons(target: str, runs: bool) -> None:
    trt = load_tensorrt(("tensorrt_rtx",))
    if trt is None:
        pytest.skip("TensorRT for RTX is not installed")
    assert runs_on(trt, Gpu(target, "any")) == runs


def test_the_full_tensorrt_runs_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    trt: Any = SimpleNamespace(__name__="tensorrt", __version__="10.3.0")
    orin = Gpu("sm87", "Orin")
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: orin)
    monkeypatch.setattr("daflow.core.gpu.load_tensorrt", lambda: trt)
    assert tensorrt_of_this_machine("This", "") == (orin, trt)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: None)
    with pytest.raises(InputError, match=r"The scorer needs an NVIDIA GPU, .* Do that\."):
        tensorrt_of_this_machine("The scorer", "Do that.")
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: Gpu("sm90", "H100"))
    monkeypatch.setattr("daflow.core.gpu.load_tensorrt", lambda: None)
    with pytest.raises(InputError, match="needs TensorRT, which is not installed"):
        tensorrt_of_this_machine("The scorer", "Do that.")

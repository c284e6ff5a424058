"""The engines of a bundle, built ahead of time by the real TensorRT for RTX."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from daflow.core.bundle import read_bundle
from daflow.core.engines.file import read_engine
from daflow.core.errors import InputError
from daflow.core.files import sha256
from daflow.core.gpu import Gpu, load_tensorrt
from export import engines
from export.cli import main
from export.engines import ScorerEngineBuilder, build_on_device, builder_of_this_gpu, find_builder


@pytest.fixture(scope="module")
def trt() -> Any:
    module = load_tensorrt(("tensorrt_rtx",))
    if module is None:
        pytest.skip("TensorRT for RTX is not installed (it has wheels for x86-64 only)")
    return module


def test_an_engine_ahead_of_time_records_what_it_depends_on(trt: Any, bundle_copy: Path) -> None:
    lines: list[str] = []
    ScorerEngineBuilder(trt, ["sm89"], True, lines.append).build(read_bundle(bundle_copy), fp32=True)
    path = bundle_copy / "engines" / "fp32.sm89.tensorrt_rtx.engine"
    header, plan = read_engine(path)
    assert header.key.graph == sha256(bundle_copy / "scorer.fp32.onnx")
    assert (header.key.target, header.key.device, header.verdict) == ("sm89", None, None)
    assert header.key.version == trt.__version__
    assert len(plan) == header.size
    layers = json.loads(path.with_suffix(".layers.json").read_text())
    assert any("steps.0" in layer["name"] for layer in layers["network"])
    assert lines[0].startswith("engines/fp32.sm89.tensorrt_rtx.engine: built by tensorrt_rtx")


@pytest.mark.parametrize(
    ("gpu", "targets", "ahead"),
    [
        (None, [], ["sm86"]),
        (None, ["sm89", "sm120"], ["sm89", "sm120"]),
        (Gpu("sm89", "L4"), [], []),
        (Gpu("sm89", "L4"), ["sm89"], []),
        (Gpu("sm89", "L4"), ["sm89", "sm86"], ["sm89", "sm86"]),
    ],
)
def test_only_another_gpus_engine_is_built_ahead_of_time(
    monkeypatch: pytest.MonkeyPatch, gpu: Gpu | None, targets: list[str], ahead: list[str]
) -> None:
    monkeypatch.setattr(engines, "find_gpu", lambda: gpu)
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: gpu)
    assert find_builder(targets)[1] == ahead


def test_on_a_gpu_that_this_tensorrt_does_not_run_on_engines_are_for_others(
    trt: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module in ("export.engines", "daflow.core.gpu"):
        monkeypatch.setattr(f"{module}.find_gpu", lambda: Gpu("sm90", "H100"))
    with caplog.at_level(logging.WARNING):
        assert find_builder([]) == (trt, ["sm86"])
    assert "does not run on this GPU (H100, sm90)" in caplog.text
    with pytest.raises(InputError, match="does not run on this GPU"):
        builder_of_this_gpu(ScorerEngineBuilder, False, print)


def test_on_a_device_there_must_be_a_gpu_and_tensorrt(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: None)
    result = CliRunner().invoke(main, [str(exported), "--on-device"])
    assert result.exit_code == 2
    assert "--on-device needs an NVIDIA GPU, and none was found" in result.output
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: Gpu("sm87", "Orin"))
    monkeypatch.setattr("daflow.core.gpu.load_tensorrt", lambda: None)
    with pytest.raises(InputError, match="comes with JetPack"):
        build_on_device(exported)


def test_on_a_device_given_options_become_those_of_the_bundle(
    bundle_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[tuple[Any, Any]] = []
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: Gpu("sm87", "Orin"))
    monkeypatch.setattr("daflow.core.gpu.load_tensorrt", lambda: SimpleNamespace(__name__="tensorrt"))
    monkeypatch.setattr(
        ScorerEngineBuilder,
        "build",
        lambda self, bundle, fp32: built.append((bundle.manifest.engine_options.batch, fp32)),
    )
    result = CliRunner().invoke(main, [str(bundle_copy), "--on-device", "--batch", "1,2,8"])
    assert result.exit_code == 0, result.output
    assert built == [((1, 2, 8), False)]
    options = read_bundle(bundle_copy).manifest.engine_options
    assert (options.batch, options.workspace) == ((1, 2, 8), 256)

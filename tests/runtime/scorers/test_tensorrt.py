"""The logic of the TensorRT scorer with an imitated runner, and the real scorer where there is a GPU."""

from __future__ import annotations

import logging
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from daflow.core.bundle import Bundle, read_bundle, write_manifest
from daflow.core.engines.file import read_engine
from daflow.core.errors import CheckFailed, InputError
from daflow.core.evidence import CHANNELS, Scored
from daflow.core.gpu import Gpu as Hardware
from daflow.core.gpu import find_gpu, load_tensorrt, unsupported_here
from daflow.core.scoring.limits import LIMITS, Limits
from daflow.core.scoring.onnx import OnnxScorer, open_graph
from runtime.scorers import tensorrt as tensorrt_scorer
from runtime.scorers.registry import open_scorer
from runtime.scorers.tensorrt import (
    PhasedScorer,
    TensorRTScorer,
    default_precision,
    open_tensorrt,
    verify_engine,
)


class FakeRunner:
    """A runner that gives each window its mean."""

    name = "tensorrt fp16"

    def __init__(self, row: tuple[int, ...] = (2, 24, 18), outputs: tuple[str, ...] = ("nll",)) -> None:
        self.row, self.outputs, self.closed = row, list(outputs), False

    def run(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        mean = batch.mean(axis=(1, 2, 3))
        found = {"nll": mean, "score": mean, "surprise": batch.mean(axis=(2, 3))}
        return {name: found[name] for name in self.outputs}

    def phases(self, batch: np.ndarray) -> dict[str, float]:
        return {"compute": float(len(batch))}

    def close(self) -> None:
        self.closed = True


def windows(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, 2, 24, 18)).astype(np.float32)


def test_a_scorer_is_a_runner_whose_output_is_the_score() -> None:
    runner = FakeRunner()
    with TensorRTScorer(runner) as scorer:  # type: ignore[arg-type]
        poses = windows(5)
        np.testing.assert_array_equal(scorer.score(poses), poses.mean(axis=(1, 2, 3)))
        assert isinstance(scorer, PhasedScorer)
        assert scorer.phases(poses) == {"compute": 5.0}
    assert runner.closed


def test_an_engine_with_evidence_gives_the_surprise_of_its_channels() -> None:
    runner: Any = FakeRunner(outputs=("surprise", "score"))
    scorer = TensorRTScorer(runner, ("flow", "motion"))
    found, poses = scorer.judge(windows(5)), windows(5)
    assert found.surprise is not None
    np.testing.assert_array_equal(found.score, poses.mean(axis=(1, 2, 3)))
    np.testing.assert_array_equal(found.surprise, poses.mean(axis=(2, 3)))
    for channels in (("flow",), CHANNELS):  # of which there are others
        with pytest.raises(InputError, match="not a scorer's"):
            TensorRTScorer(runner, channels)


@pytest.mark.parametrize(
    ("row", "outputs"), [((256, 256, 3), ("nll",)), ((2, 24), ("nll",)), ((2, 24, 18), ("keypoints",))]
)
def test_an_engine_of_another_network_is_no_scorer(row: tuple[int, ...], outputs: tuple[str, ...]) -> None:
    runner = FakeRunner(row, outputs)
    with pytest.raises(InputError, match="not a scorer's"):
        TensorRTScorer(runner)  # type: ignore[arg-type]
    assert runner.closed


@pytest.fixture
def bundle(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "bundle"))


@pytest.fixture
def orin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: Hardware("sm87", "Orin"))


def test_without_a_gpu_it_says_what_else_to_use(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: None)
    with pytest.raises(InputError, match=r"needs an NVIDIA GPU, .* --scorer onnxruntime"):
        open_scorer(read_bundle(bundle), "tensorrt")


@pytest.mark.usefixtures("orin")
def test_without_tensorrt_it_says_where_it_comes_from(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daflow.core.gpu.load_tensorrt", lambda: None)
    with pytest.raises(InputError, match="comes with JetPack"):
        open_tensorrt(read_bundle(bundle))


class FakeOrin:
    """An imitated Orin whose engines score as the FP32 graph does, with `noise` added."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.builds: list[str] = []
        self.lines: list[str] = []
        self.scorers: list[Any] = []
        self.bundle, self.noise = read_bundle(folder), 0.0
        trt = SimpleNamespace(__name__="tensorrt", __version__="10.3.0")
        monkeypatch.setattr("daflow.core.gpu.load_tensorrt", lambda: trt)
        monkeypatch.setattr(tensorrt_scorer, "build_plan", self._build)
        monkeypatch.setattr(tensorrt_scorer, "TensorRTRunner", lambda trt, data, batch, name: name)
        monkeypatch.setattr(tensorrt_scorer, "TensorRTScorer", self.scorer)

    def _build(self, trt: Any, request: Any) -> Any:
        self.builds.append(request.precision)
        return SimpleNamespace(data=b"plan", seconds=1.0, layers={})

    def scorer(self, name: str, channels: tuple[str, ...]) -> Any:
        assert channels == self.bundle.manifest.channels
        inner, rng = OnnxScorer(self.bundle.graph("fp32")), np.random.default_rng(0)
        fake = SimpleNamespace(name=name, closed=False)
        fake.close = lambda: setattr(fake, "closed", True)
        fake.judge = lambda poses: Scored(
            inner.score(poses) + self.noise * rng.standard_normal(len(poses)).astype(np.float32)
        )
        self.scorers.append(fake)
        return fake

    def open(self, **words: Any) -> Any:
        return open_tensorrt(self.bundle, report=self.lines.append, **words)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, bundle: Path, orin: None) -> FakeOrin:
    return FakeOrin(monkeypatch, bundle)


def test_the_first_start_builds_verifies_and_stores_and_the_second_loads(
    device: FakeOrin, bundle: Path
) -> None:
    device.open()
    assert device.builds == ["fp16"]
    assert "there is no engine yet; building it" in device.lines[0]
    assert "verified on" in device.lines[1]
    header, _ = read_engine(bundle / "engines" / "fp16.sm87.tensorrt.engine")
    assert header.key.device == "Orin"
    assert header.verdict is not None
    assert header.verdict.comparison.spearman == pytest.approx(1)
    device.open()
    assert device.builds == ["fp16"]


def test_an_engine_that_ranks_otherwise_is_not_used(device: FakeOrin, bundle: Path) -> None:
    device.noise = 100.0
    with pytest.raises(CheckFailed, match=r"does not rank windows as the FP32 graph does: .*spearman"):
        device.open()
    assert device.scorers[-1].closed
    assert not (bundle / "engines" / "fp16.sm87.tensorrt.engine").exists()


def test_the_alarm_threshold_of_the_bundle_is_what_alarms_are_compared_at(
    device: FakeOrin, bundle: Path
) -> None:
    from daflow.core.alarms.calibration import AlarmCalibration

    alarm = AlarmCalibration(threshold=12.5, quantile=0.999, windows=10, precision="fp32")
    device.bundle = Bundle(bundle, device.bundle.manifest.model_copy(update={"alarm": alarm}))
    verdict = verify_engine(device.bundle, device.scorer("x", ("flow",)), LIMITS["fp16"], device.lines.append)
    assert verdict.comparison.alarm_threshold == 12.5
    with pytest.raises(CheckFailed):
        verify_engine(device.bundle, device.scorer("x", ("flow",)), Limits(spearman=1.5), device.lines.append)


def test_a_channel_of_evidence_that_ranks_otherwise_is_not_used(
    evidence_bundle: Path, device: FakeOrin
) -> None:
    device.bundle = read_bundle(evidence_bundle)
    with open_graph(device.bundle) as graph:

        def judge(poses: np.ndarray) -> Scored:
            found = graph.judge(poses)
            assert found.surprise is not None
            return Scored(found.score, found.surprise * np.float32([1, -1, 1]))

        engine: Any = SimpleNamespace(name="tensorrt fp16", judge=judge)
        with pytest.raises(
            CheckFailed, match=r"does not rank windows as the FP32 graph does: shape: spearman"
        ):
            verify_engine(device.bundle, engine, LIMITS["fp16"], device.lines.append)
        engine.judge = graph.judge
        assert {*verify_engine(device.bundle, engine, LIMITS["fp16"], device.lines.append).channels} == {
            *CHANNELS
        }
    assert " bits, Spearman 1.000000" in device.lines[-1]


def test_half_precision_is_preferred_unless_it_failed(bundle: Path) -> None:
    opened = read_bundle(bundle)
    assert default_precision(opened) == "fp16"
    verdict = opened.manifest.verification["fp16"].model_copy(update={"missed": ("spearman is low",)})
    verification = {**opened.manifest.verification, "fp16": verdict}
    write_manifest(bundle, opened.manifest.model_copy(update={"verification": verification}))
    assert default_precision(read_bundle(bundle)) == "fp32"


def test_a_failing_precision_is_logged(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    opened = read_bundle(bundle)
    verdict = opened.manifest.verification["fp16"].model_copy(update={"missed": ("spearman is low",)})
    verification = {**opened.manifest.verification, "fp16": verdict}
    failing = Bundle(bundle, opened.manifest.model_copy(update={"verification": verification}))
    with caplog.at_level(logging.WARNING), open_scorer(failing, "onnxruntime", "fp16"):
        pass
    assert "the fp16 graph of" in caplog.text
    assert "misses its limits: spearman is low" in caplog.text


@pytest.fixture
def real_gpu() -> None:
    if find_gpu() is None:
        pytest.skip("no NVIDIA GPU is here")
    trt = load_tensorrt()
    if trt is None:
        pytest.skip("TensorRT is not installed")
    if reason := unsupported_here(trt):
        pytest.skip(reason)
    pytest.importorskip("pycuda.driver", reason="pycuda is not installed")


@pytest.mark.gpu
@pytest.mark.usefixtures("real_gpu")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_real_engine_scores_as_onnx_runtime_does(bundle: Path, precision: Any) -> None:
    opened = read_bundle(bundle)
    lines: list[str] = []
    with (
        open_tensorrt(opened, precision, lines.append) as engine,
        OnnxScorer(opened.graph("fp32")) as reference,
    ):
        for count in range(1, 41):
            poses = windows(count)
            np.testing.assert_allclose(engine.score(poses), reference.score(poses), rtol=5e-3, atol=5e-3)
        wrong: list[int] = []

        def work(seed: int) -> None:
            poses = windows(seed + 1)
            expected = reference.score(poses)
            scored = [engine.score(poses) for _ in range(50)]
            wrong.extend(seed for nll in scored if not np.allclose(nll, expected, rtol=5e-3, atol=5e-3))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
    built = len(lines)
    with open_tensorrt(opened, precision, lines.append):
        assert len(lines) == built

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from daflow.bundle import Bundle, Engine, read_bundle, write_manifest
from daflow.errors import InputError
from daflow.files import sha256
from daflow.nvidia import gpu_target, load_tensorrt
from daflow.onnx_scorer import OnnxScorer
from daflow.synthetic import Scene, generate_clip
from daflow.windows import make_windows
from runtime import tensorrt_scorer
from runtime.scorers import open_scorer
from runtime.tensorrt_scorer import TensorRTScorer, pick_engine


def engine(**fields: Any) -> Engine:
    usual = {
        "file": "engines/a.engine", "precision": "fp16", "flavour": "tensorrt", "version": "10.3.0",
        "target": "sm87", "graph": "0" * 64, "max_batch": 64,
    }  # fmt: skip
    return Engine(**{**usual, **fields})


HERE: dict[str, Any] = {"flavour": "tensorrt", "version": "10.3.0", "target": "sm87"}


def test_the_engine_for_this_gpu_and_this_tensorrt_is_picked() -> None:
    fits = engine(file="engines/fits.engine")
    others = [
        engine(target="sm86"),
        engine(version="10.3.1"),
        engine(flavour="tensorrt_rtx"),
    ]
    assert pick_engine([*others, fits], **HERE, precision=None) is fits
    for other in others:
        with pytest.raises(InputError):
            pick_engine([other], **HERE, precision=None)


def test_the_precision_is_the_one_that_was_asked_for() -> None:
    engines = [engine(precision="fp16"), engine(precision="fp32")]
    assert pick_engine(engines, **HERE, precision="fp32") is engines[1]
    assert pick_engine(engines, **HERE, precision="fp16") is engines[0]
    assert pick_engine(engines, **HERE, precision=None) is engines[0]
    with pytest.raises(InputError, match="has no fp32 engine for sm87 and tensorrt"):
        pick_engine(engines[:1], **HERE, precision="fp32")


def test_the_message_says_what_is_there_and_what_to_do() -> None:
    with pytest.raises(InputError) as error:
        pick_engine([engine(target="sm86"), engine(version="8.5.2")], **HERE, precision=None)
    assert error.value.message == (
        "The bundle has no fp32 or fp16 engine for sm87 and tensorrt 10.3.0. It has: fp16 for sm86 by tensorrt "
        "10.3.0; fp16 for sm87 by tensorrt 8.5.2. Run daflow-export on this device."
    )
    with pytest.raises(InputError, match="It has: none"):
        pick_engine([], **HERE, precision=None)


def test_without_a_gpu_one_sentence_says_so(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_scorer, "gpu_target", lambda: None)
    with pytest.raises(InputError) as error:
        open_scorer(bundle, "tensorrt")
    assert error.value.message == "No NVIDIA GPU is here for the scorer tensorrt; use --scorer onnxruntime."


def test_without_tensorrt_one_sentence_says_so(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_scorer, "gpu_target", lambda: "sm87")
    monkeypatch.setattr(tensorrt_scorer, "load_tensorrt", lambda: None)
    with pytest.raises(InputError, match="TensorRT is not installed; it comes with JetPack"):
        TensorRTScorer(bundle)


def test_without_pycuda_the_extra_is_named(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    trt = SimpleNamespace(__name__="tensorrt", __version__="10.3.0")
    monkeypatch.setattr(tensorrt_scorer, "gpu_target", lambda: "sm87")
    monkeypatch.setattr(tensorrt_scorer, "load_tensorrt", lambda: trt)
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(InputError, match=r"pycuda is not installed; .* 'daflow\[jetson\]'"):
        TensorRTScorer(bundle)


@pytest.mark.gpu
def test_the_engine_scores_as_onnxruntime_does(bundle: Bundle, tmp_path: Path) -> None:
    target, trt = gpu_target(), load_tensorrt()
    if target is None or trt is None:
        pytest.skip("there is no NVIDIA GPU with TensorRT here")
    pytest.importorskip("pycuda", reason="pycuda is not installed")
    from export.engine import build_engine

    graph = tmp_path / "scorer.fp32.onnx"
    graph.write_bytes(bundle.graph("fp32").read_bytes())
    entry = build_engine(trt, graph, tmp_path / "engines", "fp32", target, False, bundle.manifest.window)
    files = {name: sha256(tmp_path / name) for name in (graph.name, entry.file)}
    write_manifest(tmp_path, bundle.manifest.model_copy(update={"engines": (entry,), "files": files}))
    clip, _ = generate_clip("clip", 3, Scene(frames=150, event="fall"))
    poses = make_windows([clip]).poses
    with OnnxScorer(graph) as reference, TensorRTScorer(read_bundle(tmp_path)) as scorer:
        for count in (0, 1, 3, 64, len(poses)):  # the last one is more than the engine takes in a call
            scores = scorer.score(poses[:count])
            assert scores.shape == (count,)
            np.testing.assert_allclose(scores, reference.score(poses[:count]), atol=1e-2)

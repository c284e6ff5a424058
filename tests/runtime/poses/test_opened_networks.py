"""Cameras share the networks of a pose bundle, and the last one closes them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daflow.core.errors import InputError
from runtime.poses import opened_networks
from runtime.poses.opened_networks import finds_joints, open_detector, open_networks


class Runner:
    """A runner that notes when it is closed."""

    name, row = "fake fp32", (256, 256, 3)

    def __init__(self) -> None:
        self.closed = 0

    def run(self, batch: Any) -> Mapping[str, Any]:
        raise NotImplementedError

    def close(self) -> None:
        self.closed += 1


@dataclass(frozen=True)
class Bundle:
    """A pose bundle of networks that say what they are."""

    folder: Path
    networks: Mapping[str, SimpleNamespace]

    @property
    def manifest(self) -> SimpleNamespace:
        return SimpleNamespace(networks=self.networks)

    def network(self, name: str) -> SimpleNamespace:
        return self.networks[name]

    def missed_limits(self, *_: object) -> tuple[str, ...]:
        return ()

    def graph(self, name: str, precision: str) -> Path:
        return self.folder / f"{name}.{precision}.onnx"


def make_bundle(folder: Path, *names: str, **facts: object) -> Any:
    usual = {
        "joints": 33, "width": 256, "height": 256, "row": (256, 256, 3), "stride": 32,
        "precisions": {"fp32": "a.onnx", "fp16": "b.onnx"},
    }  # fmt: skip
    return Bundle(folder, {name: SimpleNamespace(**usual | facts) for name in names or BOTH})


BOTH = ("detector", "landmarks")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Runner]:
    """The runners of ONNX Runtime that were opened."""
    made: list[Runner] = []

    def make(*_: object, **__: object) -> Runner:
        made.append(Runner())
        return made[-1]

    monkeypatch.setattr(opened_networks, "OnnxRunner", make)
    return made


def closed(runners: list[Runner]) -> list[int]:
    return [runner.closed for runner in runners]


def test_the_last_camera_closes_the_networks(opened: list[Runner], tmp_path: Path) -> None:
    first = open_networks(make_bundle(tmp_path), "onnxruntime")
    second = open_networks(make_bundle(tmp_path / "."), "onnxruntime", "fp32")
    assert len(opened) == 2
    assert first.tiling.stride == 32
    first.close()
    first.close()
    assert closed(opened) == [0, 0]
    second.close()
    assert closed(opened) == [1, 1]
    open_networks(make_bundle(tmp_path), "onnxruntime").close()
    assert len(opened) == 4


def test_another_precision_is_another_network(opened: list[Runner], tmp_path: Path) -> None:
    both = [open_networks(make_bundle(tmp_path), "onnxruntime", precision) for precision in ("fp32", "int8")]
    assert len(opened) == 4
    for networks in both:
        networks.close()


def test_threads_that_open_and_close_leave_nothing_open(opened: list[Runner], tmp_path: Path) -> None:
    def work() -> None:
        for _ in range(50):
            open_networks(make_bundle(tmp_path), "onnxruntime").close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(closed(opened)) == {1}
    assert opened_networks._opened == {}


def test_a_detector_that_finds_joints_is_opened_alone(opened: list[Runner], tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path, "detector", joints=17)
    assert finds_joints(bundle)
    assert not finds_joints(make_bundle(tmp_path, joints=17))
    assert not finds_joints(make_bundle(tmp_path, "detector", joints=0))
    open_detector(bundle, "onnxruntime").close()
    assert closed(opened) == [1]


def test_tensorrt_without_a_gpu_says_what_else_to_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: None)
    with pytest.raises(InputError, match=r"needs an NVIDIA GPU, .* Use --pose-engine onnxruntime"):
        open_networks(make_bundle(tmp_path), "tensorrt")
    assert opened_networks._opened == {}


def test_on_a_gpu_the_engine_of_each_network_is_loaded_or_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = SimpleNamespace(options=SimpleNamespace(batch=(1, 4, 16)))
    asked: list[tuple[str, str, str]] = []

    def engine_key(name: str, precision: str, flavour: str, version: str, target: str, device: str) -> object:
        asked.append((name, precision, f"{flavour} {version} {target} {device}"))
        return key

    bundle = make_bundle(tmp_path)
    monkeypatch.setattr(Bundle, "engine_key", staticmethod(engine_key), raising=False)
    folders: list[list[Path]] = []

    def obtain(where: list[Path], wanted: object, build: Any, load: Any, verify: Any, report: Any) -> Runner:
        assert (wanted, build()) == (key, (b"plan", 2.0))
        folders.append(where)
        return load(b"plan")  # type: ignore[no-any-return]

    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: SimpleNamespace(target="sm87", name="Orin"))
    trt = SimpleNamespace(__name__="tensorrt", __version__="10.3")
    monkeypatch.setattr("daflow.core.gpu.load_tensorrt", lambda: trt)
    monkeypatch.setattr(
        opened_networks, "build_plan", lambda trt, request: SimpleNamespace(data=b"plan", seconds=2.0)
    )
    monkeypatch.setattr(opened_networks, "obtain_engine", obtain)
    monkeypatch.setattr("runtime.networks.tensorrt.TensorRTRunner", lambda trt, data, batch, name: Runner())
    networks = open_networks(bundle, "tensorrt")
    assert networks.tiling.stride is None, "an engine takes pictures of one size"
    networks.close()
    assert asked == [(name, "fp16", "tensorrt 10.3 sm87 Orin") for name in ("detector", "landmarks")]
    assert [where[0] for where in folders] == [
        tmp_path / "engines" / name for name in ("detector", "landmarks")
    ]


def test_a_detector_of_boxes_alone_follows_nobody(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has a detector of boxes alone"):
        open_networks(make_bundle(tmp_path, "detector", joints=0), "onnxruntime")


def test_a_detector_of_pictures_that_are_not_square_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"takes pictures of 64 x 32, .* searched in squares\. Export it"):
        open_networks(make_bundle(tmp_path, width=64, height=32), "onnxruntime")
    assert opened_networks._opened == {}


@pytest.mark.parametrize("wrong", BOTH)
def test_a_graph_of_other_pictures_than_the_manifest_says_is_refused_and_all_are_closed(
    opened: list[Runner], tmp_path: Path, wrong: str
) -> None:
    bundle = make_bundle(tmp_path)
    bundle.networks[wrong].width = bundle.networks[wrong].height = 128
    bundle.networks[wrong].row = (128, 128, 3)
    with pytest.raises(
        InputError, match=f"The fp32 graph of {wrong} in .* does not take pictures of 128 x 128"
    ):
        open_networks(bundle, "onnxruntime", "fp32")
    assert closed(opened) == [1] * len(opened)
    assert opened_networks._opened == {}

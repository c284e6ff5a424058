"""Cameras share the networks of a pose bundle, and the last one closes them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daflow.core.errors import InputError
from runtime.poses import opened_networks
from runtime.poses.opened_networks import open_networks
from runtime.poses.pose_networks import BundleNetworks


class Runner:
    """A runner that notes when it is closed."""

    name, row = "fake fp32", (256, 256, 3)

    def __init__(self) -> None:
        self.closed = 0

    def run(self, batch: Any) -> Mapping[str, Any]:
        raise NotImplementedError

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[BundleNetworks]:
    made: list[BundleNetworks] = []

    def make(*_: object) -> BundleNetworks:
        made.append(BundleNetworks(Runner(), Runner(), 33))
        return made[-1]

    monkeypatch.setattr(opened_networks, "read_pose_bundle", lambda folder: folder)
    monkeypatch.setattr(opened_networks, "_open", make)
    return made


def closed(networks: BundleNetworks) -> list[int]:
    return [part.closed for part in networks.parts[:2]]  # type: ignore[attr-defined]


def test_the_last_camera_closes_the_networks(opened: list[BundleNetworks], tmp_path: Path) -> None:
    first, second = open_networks(tmp_path, "onnxruntime"), open_networks(tmp_path / ".", "onnxruntime")
    assert len(opened) == 1
    assert first.parts == second.parts
    first.close()
    first.close()
    assert closed(opened[0]) == [0, 0]
    second.close()
    assert closed(opened[0]) == [1, 1]
    open_networks(tmp_path, "onnxruntime").close()
    assert len(opened) == 2


def test_another_precision_is_another_network(opened: list[BundleNetworks], tmp_path: Path) -> None:
    both = [open_networks(tmp_path, "onnxruntime", precision) for precision in ("fp32", "int8")]
    assert len(opened) == 2
    for networks in both:
        networks.close()


def test_threads_that_open_and_close_leave_nothing_open(opened: list[BundleNetworks], tmp_path: Path) -> None:
    def work() -> None:
        for _ in range(50):
            open_networks(tmp_path, "onnxruntime").close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(closed(networks) == [1, 1] for networks in opened)
    assert opened_networks._opened == {}


def test_tensorrt_without_a_gpu_says_what_else_to_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    network = SimpleNamespace(joints=33, width=256, height=256, precisions={"fp32": "a.onnx"})
    manifest = SimpleNamespace(networks={"detector": network, "landmarks": network})
    bundle = SimpleNamespace(
        folder=tmp_path, manifest=manifest, network=lambda name: network, missed_limits=lambda *_: ()
    )
    monkeypatch.setattr(opened_networks, "read_pose_bundle", lambda folder: bundle)
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: None)
    with pytest.raises(InputError, match=r"needs an NVIDIA GPU, .* Use --pose-engine onnxruntime"):
        open_networks(tmp_path, "tensorrt")
    assert opened_networks._opened == {}


def test_on_a_gpu_the_engine_of_each_network_is_loaded_or_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    network = SimpleNamespace(
        joints=33, width=256, height=256, precisions={"fp32": "a.onnx", "fp16": "b.onnx"}
    )
    key = SimpleNamespace(options=SimpleNamespace(batch=(1, 4, 16)))
    asked: list[tuple[str, str, str]] = []

    def engine_key(name: str, precision: str, flavour: str, version: str, target: str, device: str) -> object:
        asked.append((name, precision, f"{flavour} {version} {target} {device}"))
        return key

    bundle = SimpleNamespace(
        folder=tmp_path, manifest=SimpleNamespace(networks={"detector": network, "landmarks": network}),
        network=lambda name: network, missed_limits=lambda *_: (), engine_key=engine_key,
        graph=lambda name, precision: tmp_path / f"{name}.{precision}.onnx",
    )  # fmt: skip
    folders: list[list[Path]] = []

    def obtain(where: list[Path], wanted: object, build: Any, load: Any, verify: Any, report: Any) -> Runner:
        assert (wanted, build()) == (key, (b"plan", 2.0))
        folders.append(where)
        return load(b"plan")  # type: ignore[no-any-return]

    monkeypatch.setattr(opened_networks, "read_pose_bundle", lambda folder: bundle)
    monkeypatch.setattr("daflow.core.gpu.find_gpu", lambda: SimpleNamespace(target="sm87", name="Orin"))
    trt = SimpleNamespace(__name__="tensorrt", __version__="10.3")
    monkeypatch.setattr("daflow.core.gpu.load_tensorrt", lambda: trt)
    monkeypatch.setattr(
        opened_networks, "build_plan", lambda trt, request: SimpleNamespace(data=b"plan", seconds=2.0)
    )
    monkeypatch.setattr(opened_networks, "obtain_engine", obtain)
    monkeypatch.setattr("runtime.networks.tensorrt.TensorRTRunner", lambda trt, data, batch, name: Runner())
    open_networks(tmp_path, "tensorrt").close()
    assert asked == [(name, "fp16", "tensorrt 10.3 sm87 Orin") for name in ("detector", "landmarks")]
    assert [where[0] for where in folders] == [
        tmp_path / "engines" / name for name in ("detector", "landmarks")
    ]


def test_a_detector_alone_follows_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = SimpleNamespace(folder=tmp_path, manifest=SimpleNamespace(networks={"detector": None}))
    monkeypatch.setattr(opened_networks, "read_pose_bundle", lambda folder: bundle)
    with pytest.raises(InputError, match="has a detector alone"):
        open_networks(tmp_path, "onnxruntime")


def test_a_detector_of_pictures_that_are_not_square_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    network = SimpleNamespace(joints=33, width=64, height=32)
    manifest = SimpleNamespace(networks={"detector": network, "landmarks": network})
    bundle = SimpleNamespace(folder=tmp_path, manifest=manifest, network=lambda name: network)
    monkeypatch.setattr(opened_networks, "read_pose_bundle", lambda folder: bundle)
    with pytest.raises(InputError, match=r"takes pictures of 64 x 32, .* searched in squares\. Export it"):
        open_networks(tmp_path, "onnxruntime")
    assert opened_networks._opened == {}


@pytest.mark.parametrize("wrong", ["detector", "landmarks"])
def test_a_graph_of_other_pictures_than_the_manifest_says_is_refused_and_all_are_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: str
) -> None:
    networks = {name: SimpleNamespace(joints=33, width=256, height=256) for name in ("detector", "landmarks")}
    networks[wrong].width = networks[wrong].height = 128
    bundle = SimpleNamespace(
        folder=tmp_path, manifest=SimpleNamespace(networks=networks), network=networks.__getitem__,
        missed_limits=lambda *_: (), graph=lambda name, precision: tmp_path / f"{name}.{precision}.onnx",
    )  # fmt: skip
    runners: list[Runner] = []

    def open_runner(*_: object, **__: object) -> Runner:
        runners.append(Runner())
        return runners[-1]

    monkeypatch.setattr(opened_networks, "read_pose_bundle", lambda folder: bundle)
    monkeypatch.setattr(opened_networks, "OnnxRunner", open_runner)
    with pytest.raises(
        InputError, match=f"The fp32 graph of {wrong} in .* does not take pictures of 128 x 128"
    ):
        open_networks(tmp_path, "onnxruntime", "fp32")
    assert [runner.closed for runner in runners] == [1] * len(runners)
    assert opened_networks._opened == {}

"""Engines are built once, stored, and never loaded when they are stale."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from daflow.core.engines import cache
from daflow.core.engines.cache import engine_folder, engine_folders, obtain_engine
from daflow.core.engines.file import BuildOptions, EngineHeader, EngineKey, read_engine, write_engine
from daflow.core.errors import CheckFailed, InputError
from daflow.core.scoring.limits import Verdict

PLAN = b"the bytes of an engine"
KEY = EngineKey(
    graph="a" * 64, precision="fp16", flavour="tensorrt", version="10.3.0", target="sm87", device="Orin",
    options=BuildOptions(),
)  # fmt: skip


class Workshop:
    """Builds, loads and verifies, and remembers how often."""

    def __init__(self) -> None:
        self.built: list[bytes] = []
        self.lines: list[str] = []

    def build(self) -> tuple[bytes, float]:
        self.built.append(PLAN)
        return PLAN, 1.0

    def verify(self, loaded: str) -> Verdict | None:
        return None

    def load(self, plan: bytes) -> str:
        return plan.decode()

    def obtain(self, *folders: Path, key: EngineKey = KEY, rebuild: bool = False) -> str:
        return obtain_engine(
            list(folders), key, self.build, self.load, self.verify, self.lines.append, rebuild
        )


@pytest.fixture
def shop() -> Workshop:
    return Workshop()


def test_an_engine_is_built_once_and_then_loaded(shop: Workshop, tmp_path: Path) -> None:
    assert shop.obtain(tmp_path) == PLAN.decode()
    assert shop.obtain(tmp_path) == PLAN.decode()
    assert len(shop.built) == 1
    (line,) = shop.lines
    assert "there is no engine yet; building it with tensorrt 10.3.0 for sm87" in line
    assert read_engine(tmp_path / KEY.file_name)[0].key == KEY


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"graph": "b" * 64}, "stale: it was built from another graph"),
        ({"version": "8.6.1"}, "stale: it is for version 8.6.1, not 10.3.0"),
        ({"device": "Thor"}, "stale: it is for device Thor"),
        ({"target": "sm86"}, "stale: it is for target sm86"),
        ({"options": BuildOptions(batch=(1, 1, 1))}, "stale: it was built with batch 1,1,1"),
    ],
)
def test_a_stale_engine_is_built_again_with_a_line_that_says_why(
    shop: Workshop, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    shop.obtain(tmp_path)
    path = tmp_path / KEY.file_name
    header = read_engine(path)[0]
    stale = header.model_copy(update={"key": header.key.model_copy(update=change)})
    write_engine(path, stale, PLAN)
    shop.lines.clear()
    assert shop.obtain(tmp_path) == PLAN.decode()
    (line,) = shop.lines
    assert words in line
    assert len(shop.built) == 2
    assert read_engine(path)[0].key == KEY


def test_a_corrupt_engine_is_built_again(shop: Workshop, tmp_path: Path) -> None:
    shop.obtain(tmp_path)
    path = tmp_path / KEY.file_name
    path.write_bytes(path.read_bytes()[:-3])
    assert shop.obtain(tmp_path) == PLAN.decode()
    assert len(shop.built) == 2
    assert "cannot be used" in shop.lines[-1]
    assert "damaged" in shop.lines[-1]


def test_what_tensorrt_refuses_to_load_is_built_again(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.obtain(tmp_path)
    refusals = iter([True, True, False])

    def load(plan: bytes) -> str:
        if next(refusals):
            raise InputError("TensorRT says no")
        return plan.decode()

    monkeypatch.setattr(shop, "load", load)
    assert shop.obtain(tmp_path) == PLAN.decode()
    assert len(shop.built) == 2
    assert "TensorRT says no" in shop.lines[-1]


def test_an_engine_that_misses_its_limits_is_not_kept(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verify(loaded: str) -> Verdict | None:
        raise CheckFailed("it ranks otherwise")

    monkeypatch.setattr(shop, "verify", verify)
    with pytest.raises(CheckFailed, match="ranks otherwise"):
        shop.obtain(tmp_path)
    assert not (tmp_path / KEY.file_name).exists()


def test_a_full_disk_does_not_stop_the_scoring(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, header: EngineHeader, plan: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache, "write_engine", write)
    assert shop.obtain(tmp_path) == PLAN.decode()
    assert "cannot be stored (No space left on device)" in shop.lines[-1]


def test_a_new_engine_can_be_requested(shop: Workshop, tmp_path: Path) -> None:
    shop.obtain(tmp_path)
    shop.obtain(tmp_path, rebuild=True)
    assert len(shop.built) == 2
    assert "a new engine was requested" in shop.lines[-1]


def test_the_bundles_own_folder_comes_first_and_the_last_keeps(shop: Workshop, tmp_path: Path) -> None:
    own, other = tmp_path / "bundle", tmp_path / "cache"
    shop.obtain(own)
    assert shop.obtain(own, other) == PLAN.decode()
    assert len(shop.built) == 1
    shop.obtain(own, other, key=KEY.model_copy(update={"precision": "fp32"}))
    assert [path.name for path in other.glob("*.engine")] == ["fp32.sm87.tensorrt.engine"]


def test_a_bundle_that_cannot_be_written_has_its_engines_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "bundle").mkdir()
    assert engine_folder(tmp_path / "bundle") == tmp_path / "bundle" / "engines"
    assert engine_folders(tmp_path / "bundle", "net") == [tmp_path / "bundle" / "engines" / "net"]
    (tmp_path / "read-only").mkdir()
    (tmp_path / "read-only" / "engines").write_text("in the way, as for a folder that forbids writing")
    cached = engine_folder(tmp_path / "read-only")
    assert cached.is_relative_to(tmp_path / "cache" / "daflow" / "engines")
    assert engine_folders(tmp_path / "read-only") == [tmp_path / "read-only" / "engines", cached]


def _build_slowly(folder: Path, lines: multiprocessing.Queue[str]) -> None:
    def build() -> tuple[bytes, float]:
        lines.put("built")
        time.sleep(1.0)
        return PLAN, 1.0

    loaded = obtain_engine([folder], KEY, build, bytes.decode, lambda _: None, lines.put)
    lines.put(loaded)


def test_of_two_processes_one_builds_and_the_other_waits(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    lines = context.Queue()
    processes = [context.Process(target=_build_slowly, args=(tmp_path, lines)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    found = []
    while not lines.empty():
        found.append(lines.get())
    assert found.count("built") == 1
    assert found.count(PLAN.decode()) == 2
    assert read_engine(tmp_path / KEY.file_name)[1] == PLAN


def test_the_lock_of_a_killed_process_blocks_nobody(shop: Workshop, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    lines = context.Queue()
    process = context.Process(target=_build_slowly, args=(tmp_path, lines))
    process.start()
    while lines.get(timeout=60) != "built":
        pass
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    assert shop.obtain(tmp_path) == PLAN.decode()
    assert len(shop.built) == 1

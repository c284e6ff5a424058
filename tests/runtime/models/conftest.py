"""A file server that breaks off, as those of the official models sometimes do, and clients of packages."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

CONTENT = bytes(range(251)) * 400


class FileServer:
    """Serves files over HTTP.

    Attributes:
        files: the content by path.
        tag: the ETag of every file.
        cut_after: how many bytes of a body are sent before the connection ends, one number for each answer; afterwards
            everything is sent.
        ranges: whether it sends the rest of a file.
        asked: the path and the range of each request.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.tag: str | None = '"1"'
        self.cut_after: list[int] = []
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request, with a part of the file if that is asked and the version is the same."""
        content, asked = self.files.get(request.path), request.headers["Range"]
        self.asked.append((request.path, asked))
        if content is None:
            request.send_error(404)
            return
        begin = 0
        if asked and self.ranges and request.headers["If-Range"] in (None, self.tag):
            match = re.fullmatch(r"bytes=(\d+)-", asked)
            assert match
            begin = int(match[1])
        if begin and begin >= len(content):
            request.send_error(416)
            return
        request.send_response(206 if begin else 200)
        if begin:
            request.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        if self.tag:
            request.send_header("ETag", self.tag)
        request.send_header("Content-Length", str(len(content) - begin))
        request.end_headers()
        end = begin + self.cut_after.pop(0) if self.cut_after else len(content)
        with contextlib.suppress(OSError):
            request.wfile.write(content[begin:end])

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server with `CONTENT` at /model.task."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = FileServer()
    server.files["/model.task"] = CONTENT
    yield server
    server.close()


@pytest.fixture
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that makes a Python script take the place of both pip and npm.

    The script gets the folder of the archive as `folder` and the package as `package`. It runs in a folder of its own.
    """
    programs = tmp_path / "programs"
    programs.mkdir()

    def install(script: str) -> Path:
        text = (
            f"#!{sys.executable}\nimport os, sys\nfolder, package = sys.argv[-2:]\n{textwrap.dedent(script)}"
        )
        for name in ("npm", "pip"):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        return programs

    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr("runtime.models.packages.python_module", lambda name: [str(programs / name)])
    return install


def digest(content: bytes) -> str:
    """The SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def silent(_: str) -> Any:
    """A report for nobody."""

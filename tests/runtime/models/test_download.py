from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daflow.core.errors import InputError
from runtime.models import download as download_module
from runtime.models.download import Part, download

from .conftest import CONTENT, FileServer, digest, silent


def get(server: FileServer, target: Path, report: Callable[[str], object] = silent) -> None:
    download(f"{server.url}/model.task", target, digest(CONTENT), len(CONTENT), report)


def broken_off(server: FileServer, target: Path, bytes_each: int = 10_000) -> bytes:
    """Let a download break off for good, and return what has arrived."""
    server.cut_after = [bytes_each] * download_module._ATTEMPTS
    with pytest.raises(InputError, match="The download broke off 4 times"):
        get(server, target)
    server.asked.clear()
    return Part.of(target).path.read_bytes()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_arrives_and_nothing_else_is_left(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "model.task").write_bytes(b"an older one")
    get(server, tmp_path / "model.task")
    assert (tmp_path / "model.task").read_bytes() == CONTENT
    assert names(tmp_path) == {"model.task"}


def test_a_download_that_breaks_off_goes_on_at_once(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = [30_000, 1]
    lines: list[str] = []
    get(server, tmp_path / "model.task", lines.append)
    assert (tmp_path / "model.task").read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=30000-", "bytes=30001-"]
    assert lines[0] == f"The download broke off (30000 of {len(CONTENT)} bytes arrived); it goes on"


def test_a_second_call_goes_on_where_the_first_one_stopped(server: FileServer, tmp_path: Path) -> None:
    target = tmp_path / "model.task"
    assert broken_off(server, target) == CONTENT[:40_000]
    assert not target.exists()
    get(server, target)
    assert server.asked == [("/model.task", "bytes=40000-")]
    assert target.read_bytes() == CONTENT
    assert names(tmp_path) == {"model.task"}


def test_a_server_without_ranges_sends_everything_again(server: FileServer, tmp_path: Path) -> None:
    server.ranges = False
    assert broken_off(server, tmp_path / "model.task", 50_000) == CONTENT[:50_000]
    get(server, tmp_path / "model.task")
    assert (tmp_path / "model.task").read_bytes() == CONTENT


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_what_has_no_version_is_not_continued(server: FileServer, tmp_path: Path, tag: str | None) -> None:
    server.tag = tag
    broken_off(server, tmp_path / "model.task")
    get(server, tmp_path / "model.task")
    assert server.asked == [("/model.task", None)]
    assert (tmp_path / "model.task").read_bytes() == CONTENT


def test_a_file_that_changed_in_between_begins_anew(server: FileServer, tmp_path: Path) -> None:
    server.files["/model.task"] = bytes(len(CONTENT))
    assert broken_off(server, tmp_path / "model.task") == bytes(40_000)
    server.files["/model.task"], server.tag = CONTENT, '"2"'
    get(server, tmp_path / "model.task")
    assert server.asked == [("/model.task", "bytes=40000-")]
    assert (tmp_path / "model.task").read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server: FileServer, tmp_path: Path) -> None:
    part = Part.of(tmp_path / "model.task")
    part.path.write_bytes(bytes(len(CONTENT) + 1))
    part.begin('"1"')
    get(server, tmp_path / "model.task")
    assert [asked for _, asked in server.asked] == [f"bytes={len(CONTENT) + 1}-", None]
    assert (tmp_path / "model.task").read_bytes() == CONTENT


def test_a_part_with_other_bytes_is_found_out_by_the_hash(server: FileServer, tmp_path: Path) -> None:
    part = Part.of(tmp_path / "model.task")
    part.path.write_bytes(b"x" * 1000)
    part.begin('"1"')
    with pytest.raises(InputError, match=r"model\.task was rejected: its SHA-256 is"):
        get(server, tmp_path / "model.task")
    assert names(tmp_path) == set()
    get(server, tmp_path / "model.task")
    assert (tmp_path / "model.task").read_bytes() == CONTENT


def test_a_complete_part_needs_no_server(server: FileServer, tmp_path: Path) -> None:
    Part.of(tmp_path / "model.task").path.write_bytes(CONTENT)
    get(server, tmp_path / "model.task")
    assert server.asked == []
    assert names(tmp_path) == {"model.task"}


@pytest.mark.parametrize("version", ["", '"1"\r\nX-Other: 1', "\x00", "é"])
def test_a_version_that_is_no_header_is_not_sent(server: FileServer, tmp_path: Path, version: str) -> None:
    part = Part.of(tmp_path / "model.task")
    part.path.write_bytes(CONTENT[:10])
    part.begin(version)
    get(server, tmp_path / "model.task")
    assert server.asked == [("/model.task", None)]


def test_a_wrong_hash_is_refused_and_leaves_nothing(server: FileServer, tmp_path: Path) -> None:
    server.files["/model.task"] = CONTENT[:-1] + b"!"
    with pytest.raises(InputError, match="instead of"):
        get(server, tmp_path / "model.task")
    assert names(tmp_path) == set()


def test_a_file_that_is_much_too_large_is_not_received(server: FileServer, tmp_path: Path) -> None:
    server.files["/model.task"] = CONTENT * 3
    with pytest.raises(InputError, match=r"rejected: it is to have about 0\.1 MB"):
        get(server, tmp_path / "model.task")
    assert names(tmp_path) == set()


def test_a_missing_file_is_one_sentence_and_leaves_nothing(server: FileServer, tmp_path: Path) -> None:
    server.files.clear()
    with pytest.raises(InputError, match=r"^The download failed \(HTTP 404\)\.$"):
        get(server, tmp_path / "model.task")
    assert names(tmp_path) == set()


def test_no_server_is_one_sentence_and_keeps_what_has_arrived(server: FileServer, tmp_path: Path) -> None:
    arrived = broken_off(server, tmp_path / "model.task")
    server.close()
    with pytest.raises(InputError, match=r"The download failed \(Connection refused\)"):
        get(server, tmp_path / "model.task")
    assert Part.of(tmp_path / "model.task").path.read_bytes() == arrived


def test_a_link_in_place_of_the_part_is_not_followed(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    Part.of(tmp_path / "model.task").path.symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic links"):
        get(server, tmp_path / "model.task")
    assert (tmp_path / "other").read_bytes() == b""


@pytest.mark.parametrize(
    "at_once",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["headers", "body", "length of a chunk"],
)
def test_a_download_that_drips_is_given_up(
    dripping_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at_once: bytes
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download_module, "patience", lambda _: 0.5)
    url = f"http://127.0.0.1:{dripping_server(at_once).port}/model.task"
    with pytest.raises(InputError, match=r"The download failed .*timed out|rejected"):
        download(url, tmp_path / "model.task", digest(CONTENT), len(CONTENT), silent)

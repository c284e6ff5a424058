from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daflow.core.errors import InputError
from daflow.core.files import parse_json, read_text, sha256, write_text, written_whole


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def break_off(path: Path, error: type[BaseException]) -> None:
    """Fail in the middle of writing."""
    with written_whole(path) as temporary:
        temporary.write_text("half of the n")
        raise error


def test_the_file_appears_when_the_block_ends_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "scores.txt"
    with written_whole(path) as temporary:
        temporary.write_text("all of it")
        assert not path.exists()
        assert temporary.parent == path.parent, "a rename is atomic only inside one file system"
        assert temporary.suffix == path.suffix, "numpy and torch look at the suffix"
    assert path.read_text() == "all of it"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_error_keeps_the_old_content(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "scores.txt"
    path.write_text("old")
    with pytest.raises(error):
        break_off(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_no_file_where_there_was_none(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        break_off(tmp_path / "scores.txt", RuntimeError)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_replacement_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        write_text(path, "text")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("mask", "mode"), [(0o000, 0o666), (0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_permissions_follow_the_umask_from_the_first_moment(tmp_path: Path, mask: int, mode: int) -> None:
    path = tmp_path / "scores.txt"
    path.write_text("old")
    path.chmod(0o604)
    with umask(mask), written_whole(path) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) == mode
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_the_umask_is_never_changed_as_other_threads_write_files_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(mask: int) -> int:
        raise AssertionError(f"umask({mask:o})")

    monkeypatch.setattr(os, "umask", refuse)
    write_text(tmp_path / "scores.txt", "text")
    assert (tmp_path / "scores.txt").read_text() == "text"


def test_text_is_utf_8(tmp_path: Path) -> None:
    write_text(tmp_path / "name", "Größe 日本")
    assert (tmp_path / "name").read_bytes() == "Größe 日本".encode()


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, (1 << 20) + 1])
def test_the_hash_is_that_of_all_bytes(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "file").write_bytes(content[:size])
    assert sha256(tmp_path / "file") == hashlib.sha256(content[:size]).hexdigest()


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff\r")))
def test_a_text_is_the_same_with_and_without_a_byte_order_mark(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text"
        for encoding in ("utf-8", "utf-8-sig"):
            path.write_bytes(text.encode(encoding))
            assert read_text(path) == text


@given(
    value=st.recursive(
        st.none() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_json_is_the_same_with_and_without_a_byte_order_mark(value: object) -> None:
    text = json.dumps(value)
    for given_text in (text, "\ufeff" + text, text.encode(), text.encode("utf-8-sig")):
        assert parse_json(given_text) == value


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 1}', '[{"b": {"c": 1, "a": 2, "c": 3}}]', "[" * 10**5, "", b"\xff"]
)
def test_json_that_says_a_thing_twice_or_is_broken_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the kinds have different words
        parse_json(text)


def test_the_name_that_appears_twice_is_named() -> None:
    with pytest.raises(ValueError, match='the name "c" appears twice'):
        parse_json('{"a": 1, "c": {}, "c": {}}')


@pytest.mark.parametrize("letter", ["a", "ä", "走"])
def test_any_name_that_the_file_system_takes_is_written_and_no_longer_one(
    tmp_path: Path, letter: str
) -> None:
    longest = letter * (251 // len(letter.encode())) + ".txt"
    write_text(tmp_path / longest, "text")
    assert [path.name for path in tmp_path.iterdir()] == [longest]
    with pytest.raises(InputError, match="bytes"):
        write_text(tmp_path / (letter * 5 + longest), "text")
    assert [path.name for path in tmp_path.iterdir()] == [longest]

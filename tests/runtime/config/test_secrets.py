from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from daflow.core.errors import InputError
from runtime.config.secrets import Secret, read_secret


def test_a_secret_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv("THE_SECRET", " from the environment ")
    from_file = read_secret("the token", tmp_path / "secret")
    from_environment = read_secret("the token", variable="THE_SECRET")
    assert from_file is not None
    assert from_environment is not None
    assert (from_file.reveal(), from_environment.reveal()) == ("from the file", "from the environment")
    assert read_secret("the token") is None


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("hunter2")
    for text in (str(secret), repr(secret), f"{secret} {secret!r}", f"{[secret]}"):
        assert "hunter2" not in text
    for copied in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="not be pickled"):
            copied(secret)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"\n", "is empty"),
        (b"\xffhunter2", "not text"),
        (b"x" * 70_000, "larger than"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_not_shown(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(InputError) as error:
        read_secret("the token", tmp_path / "secret")
    assert said in error.value.message
    assert "the token" in error.value.message
    assert str(tmp_path / "secret") in error.value.message
    assert "hunter2" not in repr((error.value, error.value.__cause__))


def test_a_variable_must_be_set_and_be_the_only_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("THE_SECRET", raising=False)
    with pytest.raises(InputError, match="THE_SECRET with the token is not set"):
        read_secret("the token", variable="THE_SECRET")
    with pytest.raises(InputError, match="name one of them"):
        read_secret("the token", tmp_path / "secret", "THE_SECRET")

"""Engine files: a header that says what an engine is tied to, and bytes that are those that were written."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from daflow.core.engines.file import (
    MAGIC,
    BuildOptions,
    EngineHeader,
    EngineKey,
    read_engine,
    write_engine,
)
from daflow.core.errors import InputError

PLAN = bytes(range(256)) * 4
KEY = EngineKey(
    graph="a" * 64, precision="fp16", flavour="tensorrt", version="10.3.0", target="sm87", device="Orin",
    options=BuildOptions(),
)  # fmt: skip


def header(key: EngineKey = KEY, plan: bytes = PLAN) -> EngineHeader:
    return EngineHeader(
        key=key, plan=hashlib.sha256(plan).hexdigest(), size=len(plan), created="2026-01-01T00:00:00+00:00", seconds=1.5
    )  # fmt: skip


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    path = tmp_path / "fp16.engine"
    write_engine(path, header(), PLAN)
    return path


def test_what_is_written_is_read(engine: Path) -> None:
    assert read_engine(engine) == (header(), PLAN)


def test_the_header_is_a_readable_line(engine: Path) -> None:
    magic, line = engine.read_bytes().split(b"\n")[:2]
    assert magic + b"\n" == MAGIC
    assert json.loads(line)["key"]["target"] == "sm87"


def test_an_engine_of_an_earlier_version_has_two_more_options_and_fits(engine: Path) -> None:
    former = engine.read_bytes().replace(
        b'"workspace":256}', b'"workspace":256,"version_compatible":false,"hardware_compatible":false}', 1
    )
    assert former != engine.read_bytes()
    engine.write_bytes(former)
    assert read_engine(engine) == (header(), PLAN)


def damaged(content: bytes) -> dict[str, bytes]:
    middle = len(content) - 100
    return {
        "empty": b"",
        "magic": b"daflow-engine 9\n" + content[len(MAGIC) :],
        "tensorrt's own": PLAN,
        "cut": content[:-1],
        "longer": content + b"x",
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "header only": content[: content.index(b"\n", len(MAGIC)) + 1],
        "no header": MAGIC,
        "not json": MAGIC + b"{\n" + PLAN,
        "not text": MAGIC + b"\xff\xfe\n" + PLAN,
        "unknown field": content.replace(b'"key":{', b'"surprise":1,"key":{', 1),
    }


@pytest.mark.parametrize("kind", damaged(MAGIC + b"{}\n" + PLAN))
def test_each_damage_is_one_sentence_with_the_file(engine: Path, kind: str) -> None:
    engine.write_bytes(damaged(engine.read_bytes())[kind])
    with pytest.raises(InputError, match=r"fp16\.engine") as caught:
        read_engine(engine)
    assert "\n" not in caught.value.message


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.engine", tmp_path):
        with pytest.raises(InputError, match="There is no engine file"):
            read_engine(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.one_of(st.binary(max_size=300), st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "plan", "size"]), inner),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_any_header_gives_nothing_but_input_errors(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "wild.engine"
    path.write_bytes(MAGIC + line + b"\n" + PLAN)
    with pytest.raises(InputError):
        read_engine(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"size":', b'"size":1' + b"0" * 30),
        (b'"size":', b'"size":1' + b"0" * 5000),
        (b'"size":', b'"size":-'),
        (b'"seconds":', b'"seconds":1e999,"x":'),
        (b'"seconds":', b'"seconds":NaN,"x":'),
        (b'"key":{', b'"key":' + b"[" * 100_000),
        (b'"created":"', b'"created":"' + b"x" * (2 << 20)),
    ],
)
def test_a_header_of_any_size_is_one_sentence_before_the_engine_is_read(
    engine: Path, monkeypatch: pytest.MonkeyPatch, old: bytes, new: bytes
) -> None:
    content = engine.read_bytes()
    assert old in content
    engine.write_bytes(content.replace(old, new, 1))
    hashed: list[bytes] = []
    monkeypatch.setattr(hashlib, "sha256", lambda data: hashed.append(data) or FakeHash())
    with pytest.raises(InputError, match=r"fp16\.engine") as caught:
        read_engine(engine)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400 + len(str(engine))
    assert hashed in ([], [b""])


class FakeHash:
    def hexdigest(self) -> str:
        return ""


def test_no_more_is_read_than_the_header_says(engine: Path) -> None:
    with engine.open("ab") as file:
        file.truncate(1 << 36)  # 64 GB of nothing
    with pytest.raises(InputError, match="is damaged"):
        read_engine(engine)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"graph": "b" * 64}, "built from another graph"),
        ({"precision": "int8"}, "for precision int8, not fp16"),
        ({"flavour": "tensorrt_rtx"}, "for flavour tensorrt_rtx, not tensorrt"),
        ({"version": "8.6.1"}, r"for version 8\.6\.1, not 10\.3\.0"),
        ({"target": "sm86"}, "for target sm86, not sm87"),
        ({"device": "Thor"}, "for device Thor, not Orin"),
        ({"options": BuildOptions(batch=(1, 8, 64))}, "with batch 1,8,64, not 1,4,32"),
        ({"options": BuildOptions(workspace=64)}, "with workspace 64, not 256"),
    ],
)
def test_every_difference_is_reported(change: dict[str, object], words: str) -> None:
    (reason,) = KEY.differences(KEY.model_copy(update=change))
    assert re.search(words, reason)


def test_the_same_key_differs_in_nothing_and_ahead_of_time_fits_every_device() -> None:
    assert KEY.differences(KEY) == []
    assert KEY.differences(KEY.model_copy(update={"device": None})) == []
    assert KEY.differences(KEY.model_copy(update={"device": None, "target": "sm86"}))


@pytest.mark.parametrize("batch", [(4, 2, 8), (1, 8, 4), (0, 1, 2), (1, 2, 5000)])
def test_strange_batches_are_refused(batch: tuple[int, int, int]) -> None:
    with pytest.raises(ValidationError):
        BuildOptions(batch=batch)


@pytest.mark.parametrize(
    "field", [{"target": "../../x"}, {"flavour": "os"}, {"precision": "fp8"}, {"graph": "zz"}]
)
def test_a_key_cannot_name_a_path(field: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        EngineKey.model_validate({**KEY.model_dump(), **field})

"""What the schemas of files share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from daflow.core.schema import MAX_DEPTH, MAX_VALUES, Count, FileName, PlainValues, problem, require_plain

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_what_json_holds_is_plain(value: object) -> None:
    assert require_plain(value) is value


def nested(depth: int) -> list[object]:
    value: list[object] = [1]
    for _ in range(depth):
        value = [value]
    return value


def shared(depth: int) -> list[object]:
    """A hundred lists, in each of which the one below is a hundred times."""
    value: list[object] = [1] * 100
    for _ in range(depth):
        value = [value] * 100
    return value


def in_itself() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        nested(MAX_DEPTH + 1), nested(100_000), in_itself(), shared(9), [0] * (MAX_VALUES + 1), 2**63, 10**4000,
        "\ud800", {"\ud800": 1}, {1: 2}, b"bytes", {1}, 1j, object(), [{"a": [object]}],
    ],
)  # fmt: skip
def test_all_else_is_refused_before_anything_walks_through_it(value: object) -> None:
    with pytest.raises(ValueError, match=r"cannot be used|nested more|holds more|not a text"):
        require_plain(value)


@pytest.mark.parametrize("name", ["scorer.fp32.onnx", "Küche", "...", "a b", "x" * 255])
def test_the_name_of_a_file_in_a_folder_is_taken(name: str) -> None:
    assert TypeAdapter(FileName).validate_python(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/", "/etc/hostname", "../x", "sub/x", "./x", "x/", "sub\\x", "x\0", "\ud800", "x" * 256,
     "ü" * 128],
)  # fmt: skip
def test_a_name_that_leaves_the_folder_or_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="plain name of a file"):
        TypeAdapter(FileName).validate_python(name)


@pytest.mark.parametrize("count", [-1, 2**63, 10**400, float("inf"), float("nan"), 1.5, "x"])
def test_a_count_has_bounds(count: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Count).validate_python(count)


def test_a_problem_is_one_short_phrase() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, PlainValues]).validate_python({"k" * 10_000: {1: "v" * 10_000}})
    phrase = problem(caught.value)
    assert phrase.startswith("kkk")
    assert phrase.endswith("...: a name in it is not a text of UTF-8")
    assert len(phrase) < 200

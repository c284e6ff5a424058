"""Inputs of the fuzzers: files that were valid, with bytes, values and lines replaced by wild ones."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st


@dataclass(frozen=True)
class Input:
    """A file that somebody hands to the toolkit.

    Attributes:
        name: its name in the corpus; what follows the first dot says how it is read.
        content: its bytes.
    """

    name: str
    content: bytes

    @property
    def kind(self) -> str:
        """What follows the first dot of the name, such as `json` or `sizes.json`."""
        return self.name.partition(".")[2]

    @property
    def is_valid(self) -> bool:
        """Whether it must be accepted."""
        return self.name.startswith("valid")


@dataclass(frozen=True)
class Raw:
    """Text that stands in JSON as it is."""

    text: str


NESTED = tuple(
    opening * depth + closing * depth for opening, closing in ("[]",) for depth in (30, 300, 3_000)
)
OBJECTS = tuple('{"a":' * depth + "0" + "}" * depth for depth in (30, 300, 3_000))
NUMBERS = (
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    "-Infinity",
    "1" * 401,
    "-" + "1" * 401,
    "1" * 5_000,
    "-0",
    "1E-400",
)

WILD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 17, 24, 60_000, 2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 0.5, -0.0,
    1e-320, 1e38, 1e39, 1e308, "", "0", "1e3", "nan", "\x00", "line\nbreak", "\x1b[31m", "\ud800", "\u0661",
    "\u202e", "../../x", "/dev/null", "a" * 300, "a" * 70_000, [], {}, [[]], [None], {"": {}}, [0] * 1_000,
    *map(Raw, (*NUMBERS, *NESTED, *OBJECTS)),
)  # fmt: skip
"""Values that no honest file has where they are put."""

WILD_BYTES = (
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\n", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"{", b"}",
    b"[" * 300, b'"', b"'", b"\\", b"\\ud800", b"9" * 401, b"-1", b"1e400", b"nan", b"\xf0\x9f\x98\x80",
    b"\x1b[2J", b".", b",", b":", b"\xed\xa0\x80", b"\x80\x04\x95", b"a" * 1_000,
)  # fmt: skip


def mutated_bytes(contents: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return files of these contents that were cut, overwritten or joined with another one."""

    @st.composite
    def draw_bytes(draw: st.DrawFn) -> bytes:
        content = draw(st.sampled_from(contents))
        for _ in range(draw(st.integers(1, 3))):
            first = draw(st.integers(0, len(content)))
            last = min(len(content), first + draw(st.sampled_from((0, 1, 2, 4, 8, 64, 1_000, len(content)))))
            new = draw(st.sampled_from(WILD_BYTES) | st.binary(max_size=8) | _parts(contents))
            content = content[:first] + new + content[last:]
        return content

    return draw_bytes()


def _parts(contents: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    @st.composite
    def draw_part(draw: st.DrawFn) -> bytes:
        content = draw(st.sampled_from(contents))
        first = draw(st.integers(0, len(content)))
        return content[first : first + draw(st.integers(0, 2_000))]

    return draw_part()


def mutated_trees(trees: Sequence[Any], wild: Sequence[Any] = WILD_VALUES) -> st.SearchStrategy[Any]:
    """Return these trees of dicts and lists with a few parts replaced, removed, renamed, copied or nested."""
    values = st.sampled_from(wild)
    names = st.sampled_from(
        ("", "a", "-1", "0", "00", "1e3", "\u0661", "a/b", "a" * 300, "\ud800", "9" * 30, "9" * 5_000)
    )

    @st.composite
    def draw_tree(draw: st.DrawFn) -> Any:
        tree = [copy.deepcopy(draw(st.sampled_from(trees)))]
        for _ in range(draw(st.integers(1, 3))):
            holder, key = draw(st.sampled_from(list(_places(tree))))
            change = draw(
                st.sampled_from(("replace", "replace", "remove", "rename", "copy", "nest", "repeat"))
            )
            if change == "replace":
                holder[key] = copy.deepcopy(draw(values))
            elif change == "remove" and holder is not tree:
                del holder[key]
            elif change == "rename" and isinstance(holder, dict):
                holder[draw(names)] = holder.pop(key)
            elif change == "copy":
                other, its_key = draw(st.sampled_from(list(_places(tree))))
                holder[key] = copy.deepcopy(other[its_key])
            elif change == "nest":
                holder[key] = draw(st.sampled_from(([holder[key]], {"a": holder[key]})))
            elif change == "repeat" and isinstance(holder[key], list):
                holder[key] = holder[key] * draw(st.sampled_from((2, 30)))
        return tree[0]

    return draw_tree()


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the container and the key of each part; of a long list only some."""
    keys = list(tree)[:40] if isinstance(tree, dict) else range(min(len(tree), 6))
    for key in keys:
        yield tree, key
        if isinstance(tree[key], (dict, list)):
            yield from _places(tree[key])


def to_json(tree: Any) -> bytes:
    """Return a tree as JSON, in which numbers may be as JSON cannot have them."""
    if isinstance(tree, Raw):
        return tree.text.encode()
    if isinstance(tree, dict):
        return (
            b"{"
            + b",".join(json.dumps(key).encode() + b":" + to_json(part) for key, part in tree.items())
            + b"}"
        )
    if isinstance(tree, (list, tuple)):
        return b"[" + b",".join(map(to_json, tree)) + b"]"
    return json.dumps(tree).encode()


WILD_TOML = (
    "", "true", "0", "-1", "1e400", "nan", "-inf", "9" * 401, "1" * 5_000, "0x" + "f" * 400, '""', '"\\u0000"',
    '"a\\nb"', '"\\u001b[2J"', "'''\na\n'''", "1979-05-27T07:32:00Z", "07:32:00", "[]", "{}", "[[[]]]",
    "[" * 300 + "]" * 300, "[" * 20_000, "{a=" * 300 + "1" + "}" * 300, "{" + ".".join("a" * 1_100) + " = 1}",
    '"' + "a" * 70_000 + '"', '"${HOME}"', '"${NO_SUCH}"', '"rtsp://user:secret@[::1"', '"gst:"',
    '"synthetic:seed=9,seed=nan"', '"tracks:"', '"http://[/"', '"127.0.0.1:99999"', '["a", 1]', '"/dev/null"',
    '"../../x"', "\ufeff", "= =",
)  # fmt: skip
WILD_LINES = (
    *WILD_TOML, ".".join("a" * 1_100) + " = 1", "[" + ".".join("a" * 1_100) + "]", "[[cameras]]", "[cameras]",
    '[cameras."a\\u0000"]', "cameras = 1", "[mqtt]", "[serve]", "hosts = 1", '"" = 1', "\x00", "\x1b[2J = 1",
    "a.b = {}",
)  # fmt: skip


def mutated_lines(texts: Sequence[str]) -> st.SearchStrategy[bytes]:
    """Return TOML of which a few values or lines are replaced, removed, moved or repeated."""

    @st.composite
    def draw_lines(draw: st.DrawFn) -> bytes:
        lines = draw(st.sampled_from(texts)).splitlines()
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(lines) - 1))
            change = draw(st.sampled_from(("value", "value", "line", "remove", "repeat", "move")))
            if change == "value":
                lines[at] = re.sub(r"=.*", lambda _: "= " + draw(st.sampled_from(WILD_TOML)), lines[at])
            elif change == "line":
                lines.insert(at, draw(st.sampled_from(WILD_LINES)))
            elif change == "remove" and len(lines) > 1:
                del lines[at]
            elif change == "repeat":
                lines.insert(at, lines[at])
            elif change == "move":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
        return "\n".join(lines).encode("utf-8", "surrogatepass")

    return draw_lines()


def named(name: str, contents: st.SearchStrategy[bytes]) -> st.SearchStrategy[Input]:
    """Return inputs of one name."""
    return contents.map(lambda content: Input(name, content))


def mutated(
    inputs: Sequence[Input], structured: Callable[[str, list[bytes]], st.SearchStrategy[bytes] | None]
) -> st.SearchStrategy[Input]:
    """Return these inputs with their bytes changed, or with what their kind of file holds changed.

    Args:
        inputs: valid ones, and those of the corpus.
        structured: returns changed files, given a kind and files of it; None if it knows no other way than bytes.
    """
    kinds: dict[str, list[bytes]] = {}
    for each in inputs:
        kinds.setdefault(each.kind, []).append(each.content)
    ways = []
    for kind, contents in kinds.items():
        ways.append(named(f"found.{kind}", mutated_bytes(contents)))
        if (more := structured(kind, contents)) is not None:
            ways.append(named(f"found.{kind}", more))
    return st.one_of(ways)


def json_trees(contents: Sequence[bytes]) -> list[Any]:
    """Return what these files hold, without those that are not JSON or nested too deep to change."""
    trees = []
    for content in contents:
        try:
            tree = json.loads(content)
            copy.deepcopy(tree)
        except (ValueError, RecursionError):
            continue
        if content.count(b"[") + content.count(b"{") < 20_000:
            trees.append(tree)
    return trees

"""Every text that a person or another program may have saved: with a byte order mark, and with a name twice."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.int8_ranges import Ranges, read_ranges
from daflow.core.bundle import MANIFEST, Manifest, read_bundle, write_manifest
from daflow.core.data.clip_tables import FRAME_RATES, FRAME_SIZES, read_frame_rates, read_frame_sizes
from daflow.core.data.frame_masks import read_masks
from daflow.core.data.label_table import read_labels
from daflow.core.data.tracks import SUFFIX, read_clip
from daflow.core.errors import InputError
from daflow.core.files import sha256
from daflow.core.toml_file import read_toml
from daflow.evaluation.score_files import read_scores
from runtime.config.secrets import read_secret
from runtime.profiling.profile import read_profile

NUMBERS = st.floats(0, 2000, allow_nan=False, width=32)
NAMES = st.text("abcdefgh-_0123456789Ω", min_size=1, max_size=8)
LINE_END = st.sampled_from(["\n", "\r\n"])


@st.composite
def tracks(draw: st.DrawFn) -> str:
    pose = st.fixed_dictionaries({"keypoints": st.lists(NUMBERS, min_size=51, max_size=51)})
    frames = st.dictionaries(st.integers(0, 99).map(str), pose, min_size=1, max_size=2)
    return json.dumps(draw(st.dictionaries(st.integers(1, 9).map(str), frames, max_size=2)))


@st.composite
def labels(draw: st.DrawFn) -> str:
    rows = draw(st.dictionaries(st.tuples(NAMES, st.integers(0, 99)), st.sampled_from("01"), min_size=1))
    lines = ["clip,frame,label", *(f"{clip},{frame},{label}" for (clip, frame), label in rows.items())]
    return draw(LINE_END).join(lines)


@st.composite
def intervals(draw: st.DrawFn) -> str:
    spans = draw(st.lists(st.tuples(st.integers(0, 50), st.integers(50, 99)), max_size=3))
    return draw(LINE_END).join(f"1,{first},{last}" for first, last in spans)


def sizes() -> st.SearchStrategy[str]:
    pixels = st.integers(1, 9999)
    return st.dictionaries(NAMES, st.tuples(pixels, pixels)).map(json.dumps)


def rates() -> st.SearchStrategy[str]:
    return st.dictionaries(NAMES, st.floats(1, 100)).map(json.dumps)


def config() -> st.SearchStrategy[str]:
    return st.dictionaries(NAMES, NUMBERS, max_size=3).map(
        lambda tree: "".join(f"{json.dumps(name)} = {value}\n" for name, value in tree.items())
    )


def secrets() -> st.SearchStrategy[str]:
    letters = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff")
    return st.text(letters, min_size=1).filter(str.strip)


def ranges() -> st.SearchStrategy[str]:
    tensors = st.dictionaries(NAMES, st.floats(0.1, 9))
    return tensors.map(
        lambda found: Ranges(
            graph=sha256(Path(__file__)), method="minmax", windows=1, origin="x", tensors=found
        ).model_dump_json()
    )


def manifests() -> st.SearchStrategy[str]:
    def text(notes: dict[str, str]) -> str:
        manifest = Manifest(
            daflow="1", created="2025", model={}, parameters=1, window=24, max_missing=2, precisions={}, files={},
            training=notes,
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            write_manifest(Path(folder), manifest)
            return (Path(folder) / MANIFEST).read_text(encoding="utf-8")

    return st.dictionaries(NAMES, NAMES, max_size=2).map(text)


def profiles() -> st.SearchStrategy[str]:
    path = Path(__file__).parent / "runtime/profiling/profile_written_by_0.1.json"
    return st.just(path.read_text(encoding="utf-8"))


def plain(value: object) -> str:
    """All that was read, as text that can be compared; NaN equals NaN."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.tolist()}"
    if isinstance(value, dict):
        return str({name: plain(inner) for name, inner in value.items()})
    if isinstance(value, tuple):
        return str([plain(inner) for inner in value])
    if hasattr(value, "__dataclass_fields__"):
        return plain(vars(value))
    return str(value)


Read = Callable[[Path], Any]
READERS: dict[str, tuple[str, st.SearchStrategy[str], Read]] = {
    "pose tracks": (f"a{SUFFIX}", tracks(), read_clip),
    "frame sizes": (FRAME_SIZES, sizes(), lambda path: read_frame_sizes(path.parent)),
    "frame rates": (FRAME_RATES, rates(), lambda path: read_frame_rates(path.parent)),
    "labels": ("labels.csv", labels(), read_labels),
    "scores": ("scores.csv", labels().map(lambda text: text.replace("label", "score")), read_scores),
    "UBnormal's intervals": ("a_tracks.txt", intervals(), lambda path: read_masks(path.parent)),
    "manifest": (MANIFEST, manifests(), lambda path: read_bundle(path.parent)),
    "calibration cache": ("ranges.json", ranges(), lambda path: read_ranges(path, Path(__file__))),
    "configuration": ("edge.toml", config(), read_toml),
    "secret": ("password", secrets(), lambda path: getattr(read_secret("x", path), "reveal")()),  # noqa: B009
    "profile": ("profile.json", profiles(), read_profile),
}
JSON = [name for name, (file, _, _) in READERS.items() if file.endswith(".json")]


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_byte_order_mark_changes_nothing(kind: str, data: st.DataObject) -> None:
    name, texts, read = READERS[kind]
    text = data.draw(texts)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text.encode())
        without = plain(read(path))
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert plain(read(path)) == without


@pytest.mark.parametrize("kind", READERS)
def test_a_text_of_another_encoding_is_refused_by_name_and_never_shown(kind: str, tmp_path: Path) -> None:
    name, _, read = READERS[kind]
    path = tmp_path / name
    path.write_bytes("{geheim}".encode("utf-16"))
    with pytest.raises(InputError) as error:
        read(path)
    assert str(path) in error.value.message
    assert "codec" not in error.value.message
    assert "geheim" not in error.value.message


@pytest.mark.parametrize("kind", JSON)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_name_that_is_there_twice_is_refused(kind: str, data: st.DataObject) -> None:
    name, texts, read = READERS[kind]
    content = json.loads(data.draw(texts.filter(lambda text: len(text) > 2)))
    twin = data.draw(st.sampled_from(list(content)))
    text = f"{{{json.dumps(twin)}: {json.dumps(content[twin])}, {json.dumps(content)[1:]}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="appears twice") as error:
            read(path)
        assert str(path) in error.value.message
        assert json.dumps(twin) in error.value.message


def test_two_masks_of_one_clip_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(5, dtype=np.int64))
    (tmp_path / "a_tracks.txt").write_text("1,2,3\n")
    with pytest.raises(InputError, match=r"two masks of clip a: a\.npy and a_tracks\.txt"):
        read_masks(tmp_path)

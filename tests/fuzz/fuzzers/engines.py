"""Engine files: headers with other values, and broken bytes. TensorRT gets none of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from daflow.core.engines.file import MAGIC, BuildOptions, EngineHeader, EngineKey, read_engine, write_engine
from export.commands.inspect import describe

from ..fuzzer import Check, Fuzzer
from ..inputs import Input, mutated, mutated_trees, to_json

_PLAN = bytes(range(256))
_KEY = EngineKey(
    graph="a" * 64, precision="fp16", flavour="tensorrt", version="10.3.0", target="sm87", device="Orin",
    options=BuildOptions(),
)  # fmt: skip
_HEADER = EngineHeader(
    key=_KEY,
    plan=hashlib.sha256(_PLAN).hexdigest(),
    size=len(_PLAN),
    created="2026-01-01T00:00:00+00:00",
    seconds=1.5,
)


def _file(header: bytes) -> bytes:
    return MAGIC + header + b"\n" + _PLAN


def _seeds() -> list[Input]:
    return [
        Input("valid.engine", _file(_HEADER.model_dump_json().encode())),
        Input("endless.engine", MAGIC + b"[" * 2_000_000),
    ]


def _mutated(inputs: Sequence[Input]) -> st.SearchStrategy[Input]:
    headers = mutated_trees([json.loads(_HEADER.model_dump_json())]).map(to_json).map(_file)
    return mutated([each for each in inputs if len(each.content) < 100_000], lambda kind, _: headers)


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    path = folder / "fp16.sm87.tensorrt.engine"

    def check(given: Input) -> None:
        path.write_bytes(given.content)
        header, plan = read_engine(path)
        _KEY.differences(header.key)
        json.dumps(describe(path))
        write_engine(path, header, plan)
        assert read_engine(path) == (header, plan)

    yield check


FUZZER = Fuzzer(_seeds, _mutated, _opened)

"""Checkpoints of this toolkit and of STG-NF: archives of torch with other values, other tensors and broken bytes."""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from daflow.core.errors import InputError
from daflow.core.evidence import CHANNELS
from daflow.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from daflow.model.evidence import Evidence, Motion
from daflow.model.flow import DAFlow, ModelConfig
from daflow.model.stgnf import read_stgnf
from daflow.model.torch_scorer import judge

from ...daflow.model.test_stgnf import write
from ..fuzzer import Check, Fuzzer
from ..inputs import WILD_VALUES, Input, Raw, mutated, mutated_trees


def _content(evidence: Evidence | None = None) -> dict[str, Any]:
    """Return what a small checkpoint holds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        model = DAFlow(ModelConfig(steps=1, window=4), torch.Generator()).eval()
        save_checkpoint(
            path,
            Checkpoint(model, {"data": "generated", "epochs": 3, "losses": [1.5, 1.25]}, 25.0, evidence),
        )
        content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def _with_evidence() -> dict[str, Any]:
    """Return what a small checkpoint with evidence beside its flow holds."""
    evidence = Evidence.unfitted(CHANNELS, windows=100, lag=2, levels=3)
    evidence.surprise.levels += torch.arange(3)
    evidence.surprise.slopes += 1
    motion = evidence.others["motion"]
    assert isinstance(motion, Motion)
    motion.travel += 1
    return _content(evidence)


def _theirs() -> dict[str, Any]:
    """Return what a small checkpoint of STG-NF holds, with its options as a dictionary."""
    with tempfile.TemporaryDirectory() as folder:
        config = ModelConfig(block="tcn", steps=1, window=4)
        path = write(Path(folder) / "theirs.tar", DAFlow(config, torch.Generator()).eval(), K=1)
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, weights_only=True)
    return {**content, "state_dict": dict(content["state_dict"]), "args": vars(content["args"])}


def _with_namespace(content: Any) -> Any:
    """Turn the options of STG-NF into what holds them in a checkpoint, where they are still options."""
    if not isinstance(content, dict) or not isinstance(content.get("args"), dict):
        return content
    options = argparse.Namespace()
    vars(options).update(content["args"])
    return {**content, "args": options}


def saved(content: Any) -> bytes:
    """Return a file as torch writes it."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _seeds() -> list[Input]:
    content = _content()
    return [
        Input("valid.pt", saved(content)),
        Input("valid-evidence.pt", saved(_with_evidence())),
        Input("valid-stgnf.pt", saved(_with_namespace(_theirs()))),
        Input("old-form.pt", _old_form(content)),
        *(
            Input(f"training-{type(wild).__name__}.pt", saved({**content, "training": wild}))
            for wild in (3, "text", [1])
        ),
    ]


def _old_form(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def wild_values() -> tuple[Any, ...]:
    """Return tensors and values that no honest file of torch has where they are put."""
    tensors = (
        torch.zeros(()), torch.zeros(0), torch.full((3,), float("nan")), torch.zeros(2, 2, dtype=torch.complex64),
        torch.zeros(3, dtype=torch.float64), torch.zeros(1, dtype=torch.int64), torch.zeros(1).expand(10**12),
        torch.zeros(1).expand(10**6, 10**6), torch.zeros(2, 2).to_sparse(), torch.tensor(True),
        torch.nn.Parameter(torch.zeros(1, 2, 1, 1)), torch.zeros(1, 2, 1, 1, device="meta"), torch.float16,
        torch.Size([3]), torch.zeros(1, 2, 1, 1, dtype=torch.int8), torch.zeros(1, 2, 1, 1, requires_grad=True),
    )  # fmt: skip
    deep: Any = 0
    for _ in range(200):
        deep = {"a": deep}
    plain = (value for value in WILD_VALUES if not isinstance(value, Raw))
    return (
        *plain,
        *tensors,
        deep,
        float("nan"),
        float("inf"),
        10**400,
        (1, 2),
        b"bytes",
        {1: 2},
        {None: 1},
        {(1, 2): 3},
    )


def _mutated(inputs: Sequence[Input]) -> st.SearchStrategy[Input]:
    trees = mutated_trees([_content(), _with_evidence(), _theirs()], wild_values()).map(_with_namespace)
    return mutated(inputs, lambda kind, _: trees.map(saved))


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    path = folder / "model.pt"

    def check(given: Input) -> None:
        path.write_bytes(given.content)
        try:
            checkpoint = load_checkpoint(path)
            poses = np.zeros((1, 2, checkpoint.model.config.window, 18), dtype=np.float32)
            judge(checkpoint.model, checkpoint.evidence, poses)
            save_checkpoint(folder / "again.pt", checkpoint)
            load_checkpoint(folder / "again.pt")
        except InputError:
            save_checkpoint(folder / "again.pt", read_stgnf(path))
            load_checkpoint(folder / "again.pt")

    yield check


FUZZER = Fuzzer(_seeds, _mutated, _opened)

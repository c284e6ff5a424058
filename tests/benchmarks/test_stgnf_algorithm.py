"""The model of STG-NF's algorithm does the same work: the same windows, scores and AUC."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmarks.stgnf_algorithm import Samples, main, plain_flow
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import STGNF_FRAME_SIZE, make_windows
from daflow.model.flow import DAFlow, ModelConfig


@pytest.mark.parametrize("stride", [1, 6])
def test_its_samples_are_our_windows_by_its_rule(dataset: Path, stride: int) -> None:
    samples = Samples(dataset / "test", stride, mirror=False)
    ours = make_windows(read_clips(dataset / "test", STGNF_FRAME_SIZE), stride=stride, rule="stgnf")
    assert len(samples) == len(ours)
    assert [row[2] for row in samples.metadata] == ours.start.tolist()
    theirs = np.stack([samples[index].numpy() for index in range(len(samples))])
    assert np.allclose(theirs, ours.poses, atol=1e-4)


@pytest.mark.parametrize("block", ["dam", "tcn"])
def test_the_plain_flow_gives_the_same_scores(block: str) -> None:
    torch.manual_seed(0)
    flow = DAFlow(ModelConfig(block="tcn" if block == "tcn" else "dam")).eval()
    x = torch.randn(4, 2, 24, 18)
    flow.initialise(x)
    expected = flow.nll(x)
    assert torch.allclose(plain_flow(flow).nll(x), expected, atol=1e-4)


def test_it_prints_both_and_their_ratio(dataset: Path) -> None:
    words = ["--train", dataset / "train", "--test", dataset / "test", "--masks", dataset / "masks"]
    result = CliRunner().invoke(main, [str(word) for word in [*words, "--rounds", 1, "--loaders", 0]])
    assert result.exit_code == 0, result.output
    one, other = re.findall(r"AUC of both ([\d.]+) and ([\d.]+) %", result.output)[0]
    assert float(one) == pytest.approx(float(other), abs=0.1)
    assert len(re.findall(r"\d+\.\d\dx", result.output)) == 4

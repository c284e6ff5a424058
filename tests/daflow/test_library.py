"""The public library: its names, the page docs/library.md, and that it gives what the commands give."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import daflow
from daflow.cli import main
from daflow.commands.train import train as train_command
from daflow.core.data.tracks import Clip
from daflow.core.version import __version__
from daflow.model.checkpoint import load_checkpoint
from daflow.training.train import TrainedModel, train

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "library.md"
NAMES = {
    "__version__", "read_tracks", "train", "evaluate", "score", "load", "export", "Clip", "Track", "ScoringModel",
    "TrainedModel", "Evaluation", "Figures", "FrameResult", "watch", "DaflowError", "InputError", "CheckFailed",
}  # fmt: skip


@pytest.fixture(scope="module")
def clips(dataset: Path) -> list[Clip]:
    return daflow.read_tracks(dataset / "train")


@pytest.fixture(scope="module")
def test_clips(dataset: Path) -> list[Clip]:
    return daflow.read_tracks(str(dataset / "test"))


@pytest.fixture(scope="module")
def model(clips: list[Clip]) -> TrainedModel:
    return daflow.train(clips, epochs=2, seed=3)


def same(one: TrainedModel, other: TrainedModel) -> bool:
    states = [trained.checkpoint.model.state_dict().values() for trained in (one, other)]
    return one.history == other.history and all(torch.equal(a, b) for a, b in zip(*states, strict=True))


def test_the_public_names_are_these() -> None:
    assert set(daflow.__all__) == NAMES
    assert set(dir(daflow)) >= NAMES
    assert all(getattr(daflow, name) is not None for name in NAMES)
    assert daflow.__version__ == __version__
    with pytest.raises(AttributeError, match="no attribute 'judge'"):
        daflow.judge  # noqa: B018


def test_type_checkers_know_the_same_names() -> None:
    stub = ast.parse((ROOT / "daflow" / "__init__.pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    places = {
        alias.asname or alias.name: f"{node.module}:{alias.name}" for node in imports for alias in node.names
    }
    assert places == {"__version__": "daflow.core.version:__version__", **daflow._PLACES}
    assert set(places) == NAMES


def test_importing_the_library_brings_no_heavy_package() -> None:
    code = (
        "import sys, daflow\n"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'pydantic', 'click'} & set(sys.modules)\n"
        "daflow.read_tracks, daflow.load, daflow.Clip\n"
        "sys.exit(f'{heavy}' if heavy or 'torch' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_missing_extra_is_named() -> None:
    code = "import sys; sys.modules['torch'] = None; import daflow; daflow.train"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "InputError: The package torch is not installed. Install it with: pip install" in done.stderr


QUICK = {"epochs=48": "epochs=1", "range(3)": "range(1)", "engine=False": "engine=False, fp16=False"}
"""What makes the blocks of the page quick."""


@pytest.mark.usefixtures("no_drawings")
def test_the_page_runs(
    dataset: Path,
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(exported, tmp_path / "bundle")
    (tmp_path / "data").symlink_to(dataset)
    from calibration.cli import main as calibrate

    words = ["alarm", "--bundle", tmp_path / "bundle", "--poses", dataset / "train", "--quantile", "0.999"]
    calibrated = CliRunner().invoke(calibrate, [str(word) for word in words])
    assert calibrated.exit_code == 0, calibrated.output
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 7
    blocks = [block for block in blocks if block.startswith("# runnable\n")]
    assert len(blocks) == 6  # the other one fetches from the network
    for block in blocks:
        code = block
        for long, quick in QUICK.items():
            code = code.replace(long, quick)
        exec(compile(code, str(PAGE), "exec"), {})  # noqa: S102
    output = capsys.readouterr().out
    assert len(re.findall(r"^01_000[123] \S+ \S+$", output, re.MULTILINE)) == 3
    assert "{'clip': 600, 'frame': 600, 'score': 600}" in output


def test_the_library_trains_what_the_command_trains(
    dataset: Path, model: TrainedModel, tmp_path: Path
) -> None:
    words = ["train", "--poses", dataset / "train", "-o", tmp_path / "m.pt", "--epochs", 2, "--seed", 3]
    assert CliRunner().invoke(main, [str(word) for word in words]).exit_code == 0
    model.save(str(tmp_path / "library.pt"))
    one, other = load_checkpoint(tmp_path / "m.pt"), load_checkpoint(tmp_path / "library.pt")
    states = (checkpoint.model.state_dict() for checkpoint in (one, other))
    assert all(torch.equal(a, b) for a, b in zip(*(state.values() for state in states), strict=True))
    own = {"data", "seconds"}
    assert {k: v for k, v in one.training.items() if k not in own} == {
        k: v for k, v in other.training.items() if k not in own
    }
    assert len(model.history) == 2
    assert model.history[model.best].held_out == other.training["nll_held_out"]


def test_the_library_and_the_command_have_the_same_defaults() -> None:
    options = {
        {"share": "hold_out"}.get(str(option.name), str(option.name)): option.default
        for option in train_command.params
    }
    for name, parameter in inspect.signature(train).parameters.items():
        if name != "clips":
            assert parameter.default == options[name], name


def test_the_library_evaluates_as_the_command_does(
    dataset: Path, model: TrainedModel, test_clips: list[Clip], tmp_path: Path
) -> None:
    model.save(tmp_path / "m.pt")
    words = [
        "evaluate",
        "--poses",
        dataset / "test",
        "--masks",
        dataset / "masks",
        "--model",
        tmp_path / "m.pt",
    ]
    result = CliRunner().invoke(main, [str(word) for word in [*words, "--json", "-"]])
    figures = json.loads(result.stdout)
    of_model = daflow.evaluate(model, test_clips, masks=dataset / "masks")
    assert {name: figures[name] for name in of_model.as_dict()} == of_model.as_dict()
    of_path = daflow.evaluate(tmp_path / "m.pt", test_clips, masks=str(dataset / "masks"))
    assert of_path == of_model


def test_scores_of_frames_evaluate_as_the_model_does(
    dataset: Path, model: TrainedModel, test_clips: list[Clip]
) -> None:
    masks = {path.stem: np.load(path) for path in (dataset / "masks").glob("*.npy")}
    expected = daflow.evaluate(model, test_clips, masks=masks).micro
    found = daflow.evaluate(model.score(test_clips), masks=masks).micro
    assert found.auc == pytest.approx(expected.auc, abs=1e-4)
    assert found.frames == expected.frames
    perfect = {name: mask.astype(float) for name, mask in masks.items()}
    assert daflow.evaluate(perfect, masks=masks, smooth=False).micro.auc == 1
    for values in daflow.evaluate(perfect, masks=masks).frame_scores.values():
        assert ((values > 0.01) & (values < 0.99)).any()  # smoothed where an event begins


def test_scores_shorter_than_the_mask_end_with_nobody_and_longer_ones_are_cut() -> None:
    mask = np.repeat([1, 0], 10)
    short = daflow.evaluate({"a": np.ones(10)}, masks={"a": mask}, smooth=False)
    assert short.micro.auc == 0.5  # nobody counts as the most normal score, which is the only one
    long = daflow.evaluate({"a": [*[2.0] * 10, *[1.0] * 10, *[9.0] * 30]}, masks={"a": mask}, smooth=False)
    assert long.micro.auc == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": {"a": [1.0, np.inf]}, "masks": {"a": [0, 1]}}, "Clip a has an infinite score"),
        ({"model": {"a": [[1.0, 2.0]]}, "masks": {"a": [0, 1]}}, "one number for each frame"),
        ({"model": {"a": [1.0, 2.0]}, "masks": {"a": [0, 2]}}, "one value of -1, 0 or 1"),
        ({"model": {"a": [1.0, 2.0]}, "masks": {"b": [0, 1]}}, "No clip has a frame mask"),
        ({"model": {"a": [1.0, 2.0]}, "masks": "missing"}, "missing"),
        ({"model": "none.pt", "clips": [], "masks": {"a": [0, 1]}}, "There is no checkpoint none.pt"),
        ({"model": "untrained", "clips": [], "masks": {"a": [0, 1]}}, "gives no window"),
        ({"model": "untrained", "masks": {"a": [0, 1]}}, "needs clips"),
        ({"model": {"a": [1.0]}, "clips": [], "masks": {"a": [0]}}, "without clips"),
    ],
)
def test_what_cannot_be_evaluated_is_explained(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(daflow.InputError, match=message):
        daflow.evaluate(**arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"lr": float("nan")}, "lr must be a positive number"),
        ({"stride": 0}, "stride must be at least 1"),
        ({"window": 1}, "window is 1"),
        ({"block": "gru"}, "block is 'gru'"),
        ({"hold_out": 0.6}, "from 0 to 0.5"),
        ({"device": "nonsense"}, "nonsense"),
    ],
)
def test_values_out_of_range_are_explained(clips: list[Clip], options: dict[str, Any], message: str) -> None:
    with pytest.raises(daflow.InputError, match=message):
        daflow.train(clips, **options)


def test_clips_that_cannot_be_used_are_explained(clips: list[Clip], model: TrainedModel) -> None:
    with pytest.raises(daflow.InputError, match="gives 0 windows of 12 poses: too few poses"):
        daflow.train([])
    with pytest.raises(daflow.InputError, match=f"2 clips are named {clips[0].name}"):
        model.score([clips[0], clips[0]])


def test_a_checkpoint_a_bundle_and_no_training_score_alike(
    checkpoint_file: Path, exported: Path, test_clips: list[Clip]
) -> None:
    names: list[Path | str] = [checkpoint_file, str(exported), "untrained"]
    of_checkpoint, of_bundle, untrained = (daflow.load(name).score(test_clips) for name in names)
    for clip in test_clips:
        frames = max(int(track.frames[-1]) + 1 for track in clip.tracks)
        for scores in (of_checkpoint, of_bundle, untrained):
            assert scores[clip.name].shape == (frames,)
            assert np.isnan(scores[clip.name][:12]).all()  # the first window counts at frame 12
            assert np.isfinite(scores[clip.name]).any()
        assert np.allclose(of_checkpoint[clip.name], of_bundle[clip.name], atol=1e-3, equal_nan=True)
    assert daflow.load(exported).alarm is None
    assert daflow.load(exported, precision="fp16").name.endswith("fp16)")


@pytest.mark.usefixtures("no_drawings")
def test_a_model_is_exported_and_what_is_no_flow_is_not(
    model: TrainedModel, test_clips: list[Clip], tmp_path: Path
) -> None:
    daflow.export(model, str(tmp_path / "bundle"), fp16=False, engine=False, verify_on=test_clips)
    bundle = daflow.load(tmp_path / "bundle")
    name = test_clips[0].name
    expected = model.score(test_clips)[name]
    assert np.allclose(bundle.score(test_clips)[name], expected, atol=1e-3, equal_nan=True)
    with pytest.raises(daflow.InputError, match="cannot be exported"):
        daflow.export(daflow.load("untrained"), tmp_path / "other")


def threads_of_a_new_thread() -> int:
    found: list[int] = []
    asking = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    asking.start()
    asking.join()
    return found[0]


def test_training_and_scoring_leave_the_state_of_torch_as_it_was(
    clips: list[Clip], dataset: Path, tmp_path: Path
) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        model = daflow.train(clips, epochs=1, block="tcn")
        model.save(tmp_path / "m.pt")
        daflow.load(tmp_path / "m.pt").score(clips)
        daflow.load("untrained").score(clips)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.get_num_threads() == threads_of_a_new_thread() == 3
    finally:
        torch.set_num_threads(threads)


def test_two_trainings_at_once_train_what_they_train_alone(clips: list[Clip]) -> None:
    alone = [daflow.train(clips, epochs=epochs, seed=epochs) for epochs in (2, 6)]
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    together: dict[int, TrainedModel] = {}
    start = threading.Barrier(2)

    def run(epochs: int) -> None:
        start.wait()
        together[epochs] = daflow.train(clips, epochs=epochs, seed=epochs)

    try:
        torch.set_num_threads(3)
        running = [threading.Thread(target=run, args=(epochs,)) for epochs in (2, 6)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.get_num_threads() == threads_of_a_new_thread() == 3
    finally:
        torch.set_num_threads(threads)
    assert same(alone[0], together[2])
    assert same(alone[1], together[6])

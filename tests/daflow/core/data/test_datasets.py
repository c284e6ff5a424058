"""The benchmarks' loaders, on generated poses and, where it is here, the published ground truth."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from daflow.cli import main
from daflow.core.data.datasets import BENCHMARKS, open_benchmark
from daflow.core.data.frame_masks import read_masks
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import write_clips
from daflow.core.errors import InputError

HUMAN = ["01_0014", "12_0151"]
NOT_HUMAN = "01_0130"
UBNORMAL = [
    "abnormal_scene_1_scenario_1",
    "abnormal_scene_5_scenario_2_smoke",
    "normal_scene_7_scenario_4_fog",
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def write_poses(root: Path, names: list[str]) -> dict[str, np.ndarray]:
    masks = {}
    for seed, name in enumerate(names):
        clip, masks[name] = generate_clip(name, seed, Scene(frames=120, event="fall"))
        write_clips(root / "pose/test", [clip])
    return masks


def shanghaitech(root: Path) -> Path:
    masks = write_poses(root / "ShanghaiTech", [*HUMAN, NOT_HUMAN])
    (root / "ShanghaiTech/gt/test_frame_mask").mkdir(parents=True)
    for name, mask in masks.items():
        np.save(root / f"ShanghaiTech/gt/test_frame_mask/{name}.npy", mask)
    return root


def ubnormal(root: Path) -> Path:
    masks = write_poses(root, UBNORMAL)
    (root / "gt").mkdir(parents=True)
    for name, mask in masks.items():
        with (root / f"gt/{name}_tracks.txt").open("wb") as file:
            np.save(file, 1.0 - mask)  # 1 is normal there
    (root / "gt/abnormal_scene_10_scenario_2_tracks.txt").write_text("1,0,450\n\n")  # of the training split
    (root / "gt/abnormal_test_video_names.txt").write_text("abnormal_scene_1_scenario_1\n")
    return root


def evaluate(name: str, root: Path, target: Path, *options: object) -> Result:
    return run(
        "evaluate", "--benchmark", name, "--root", root, "--model", "untrained", "--json", target, *options
    )


@pytest.mark.parametrize(
    ("name", "clips", "published"),
    [("shanghaitech", {*HUMAN, NOT_HUMAN}, 86.5), ("shanghaitech-hr", set(HUMAN), 87.8)],
)
def test_shanghaitech(tmp_path: Path, name: str, clips: set[str], published: float) -> None:
    result = evaluate(name, shanghaitech(tmp_path), tmp_path / "figures.json")
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures["clips"]) == clips
    assert figures["frames"] == 120 * len(clips)
    assert figures["published"]["DA-Flow"] == published
    assert f"published: DA-Flow {published}" in result.output


def test_ubnormal_masks_are_turned_round_and_training_clips_left_out(tmp_path: Path) -> None:
    result = evaluate("ubnormal", ubnormal(tmp_path), tmp_path / "figures.json")
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures["clips"]) == set(UBNORMAL)
    expected = write_poses(tmp_path / "again", UBNORMAL)
    assert figures["abnormal"] == sum(int(mask.sum()) for mask in expected.values())
    assert "DA-Flow 74.1, STG-NF 71.8" in result.output
    assert "The paper's windows have" not in result.output  # untrained takes the paper's 16


def test_a_model_of_another_window_is_said(tmp_path: Path, checkpoint_file: Path) -> None:
    result = run(
        "evaluate", "--benchmark", "ubnormal", "--root", ubnormal(tmp_path), "--model", checkpoint_file
    )
    assert result.exit_code == 0, result.output
    assert "The paper's windows have 16 poses here, this model's 24" in result.output


def ped2(root: Path, form: str) -> dict[str, np.ndarray]:
    """The test split of Ped2 with poses, and its ground truth in one of its forms."""
    masks = write_poses(root, ["Test001", "Test002"])
    for name, mask in masks.items():
        mask[-30:] = 1
        (root / "Test" / name).mkdir(parents=True)  # its pictures
        if form == "published":
            folder = root / "Test" / f"{name}_gt"
            folder.mkdir(parents=True)
            for frame, label in enumerate(mask.tolist(), start=1):
                colours = np.zeros((4, 4, 3), dtype=np.uint8)
                colours[2, 3] = 255 * label
                header = struct.pack("<2sIHHIIiiHHI24x", b"BM", 102, 0, 0, 54, 40, 4, 4, 1, 24, 0)
                (folder / f"{frame:03d}.bmp").write_bytes(header[:54] + colours.tobytes())
    if form == "table":
        rows = [f"{name},{frame},{label}" for name, mask in masks.items() for frame, label in enumerate(mask)]
        (root / "test_labels.csv").write_text("\n".join(["clip,frame,abnormal", *rows]))
    return masks


@pytest.mark.parametrize("form", ["published", "table"])
@pytest.mark.parametrize("folder", [".", "UCSDped2"])
def test_ped2_is_read_as_it_is_published(tmp_path: Path, form: str, folder: str) -> None:
    masks = ped2(tmp_path / folder, form)
    data = open_benchmark(BENCHMARKS["ped2"], tmp_path)
    assert {name: mask.tolist() for name, mask in data.masks.items()} == {
        name: mask.tolist() for name, mask in masks.items()
    }
    result = evaluate("ped2", tmp_path, tmp_path / "figures.json")
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["frames"] == sum(map(len, masks.values()))
    assert figures["abnormal"] == sum(int(mask.sum()) for mask in masks.values())


def test_ped2_without_poses_says_how_they_are_made(tmp_path: Path) -> None:
    (tmp_path / "Test" / "Test001").mkdir(parents=True)
    result = evaluate("ped2", tmp_path, tmp_path / "figures.json")
    assert result.exit_code == 2
    assert "daflow poses --source Test -o pose/test --fps 10 --estimator bundle" in result.output


@pytest.mark.parametrize("name", ["ubnormal-hr", "ped2"])
def test_where_no_list_is_published_masks_say_what_to_ignore(tmp_path: Path, name: str) -> None:
    masks = write_poses(tmp_path, ["a", "b"])
    folder = tmp_path / "own"
    folder.mkdir()
    for clip, mask in masks.items():
        mask[:30] = -1
        np.save(folder / f"{clip}.npy", mask)
    missing = evaluate(name, tmp_path, tmp_path / "figures.json")
    assert missing.exit_code == 2
    assert "-1" in missing.output
    result = evaluate(name, tmp_path, tmp_path / "figures.json", "--masks", folder)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "figures.json").read_text())["frames"] == 2 * 90
    assert "published: none known" in result.output


def test_missing_poses_are_counted_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = shanghaitech(tmp_path)
    next((root / "ShanghaiTech/pose/test").glob("12_0151*")).unlink()
    result = evaluate("shanghaitech", root, tmp_path / "figures.json")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "figures.json").read_text())["without_poses"] == ["12_0151"]
    assert "1 of 3 clips have no poses" in caplog.text
    assert "ShanghaiTech has 107 test clips; 3 masks" in caplog.text
    assert "github.com/orhir/STG-NF" in caplog.text


@pytest.mark.parametrize("name", list(BENCHMARKS))
def test_an_empty_root_is_told_where_to_get_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"its poses must be in .*pose/test.*Source: "):
        open_benchmark(BENCHMARKS[name], tmp_path)


@pytest.mark.parametrize(
    "words", [["--benchmark", "ped2"], ["--poses", "p"], ["--poses", "p", "--masks", "m", "--root", "r"]]
)
def test_half_of_the_options_is_not_enough(words: list[str]) -> None:
    result = run("evaluate", "--model", "untrained", *words)
    assert result.exit_code == 2
    assert "Give --poses and --masks, or --videos and --labels, or --benchmark and --root." in result.output


def test_the_published_ground_truth_is_read(shared: Path) -> None:
    folder = shared / "data/benchmarks"
    campus = read_masks(folder / "ShanghaiTech/gt/test_frame_mask")
    assert len(campus) == BENCHMARKS["shanghaitech"].clips
    assert BENCHMARKS["shanghaitech-hr"].excluded < set(campus)
    test = read_masks(folder / "UBnormal/gt", intervals=False)
    assert len(test) == BENCHMARKS["ubnormal"].clips
    assert all(mask.max() == 0 for name, mask in test.items() if name.startswith("normal"))
    assert all(mask.max() == 1 for name, mask in test.items() if name.startswith("abnormal"))
    everything = read_masks(folder / "UBnormal/gt")
    assert len(everything) == 331
    training = {name: mask for name, mask in everything.items() if name not in test}
    assert all(name.startswith("abnormal") and mask.any() for name, mask in training.items())
    listed = (folder / "UBnormal/gt/abnormal_training_video_names.txt").read_text().split()
    assert set(listed) <= set(training)


@pytest.mark.parametrize("text", ["1,2", "a,b,c", "1,5,2", "1,0,1e30", "1,-4,9"])
def test_strange_intervals_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a_tracks.txt").write_text(text)
    with pytest.raises(InputError, match="is not a list of abnormal frames"):
        read_masks(tmp_path)

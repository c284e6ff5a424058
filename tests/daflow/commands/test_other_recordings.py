"""`--poses` takes what other pose estimators wrote: the same figures as after `daflow convert`, and one line of it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from daflow.cli import main
from daflow.core.data.tracks import read_clips
from daflow.model.checkpoint import load_checkpoint

from .convert_files import results, save

SIZE = ("--frame-size", "1280x720")


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def done(*words: object) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def recordings(dataset: Path, tmp_path: Path) -> dict[str, Path]:
    """The test clips as AlphaPose writes them, and those made into pose tracks by `daflow convert`."""
    folders = {"foreign": tmp_path / "foreign", "tracks": tmp_path / "tracks"}
    done("convert", dataset / "test", "-o", folders["foreign"], "--to", "alphapose")
    done("convert", folders["foreign"], "-o", folders["tracks"], "--fps", 25, *SIZE)
    return folders


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary folders, which must be empty after each command."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_score_gives_the_same_files(
    recordings: dict[str, Path], checkpoint_file: Path, tmp_path: Path, temporary: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    words = ("--model", checkpoint_file, "--workers", 1, "--fps", 25, *SIZE)
    for name, folder in recordings.items():
        done("score", "--poses", folder, "-o", tmp_path / f"scores-{name}", *words)
    one, other = (sorted((tmp_path / f"scores-{name}").iterdir()) for name in recordings)
    assert [path.name for path in one] == [path.name for path in other] != []
    for left, right in zip(one, other, strict=True):
        assert pq.read_table(left).equals(pq.read_table(right))
    said = "clips converted for this run: 3 of AlphaPose results, COCO joints, numbers of the file"
    assert caplog.text.count(said) == 1
    assert not list(temporary.iterdir())


def test_evaluate_writes_clean_json_and_counts_what_is_broken(
    recordings: dict[str, Path], dataset: Path, checkpoint_file: Path
) -> None:
    save(recordings["foreign"] / "odd.json", "{")
    words = ("--model", checkpoint_file, "--masks", dataset / "masks", "--json", "-", "--fps", 25, *SIZE)
    figures = {}
    for name, folder in recordings.items():
        result = run("evaluate", "--poses", folder, *words)
        assert result.exit_code == 0, result.output
        figures[name] = json.loads(result.stdout)
    assert [figures[name].pop("broken_files") for name in ("foreign", "tracks")] == [1, 0]
    assert figures["foreign"] == figures["tracks"]


def test_train_keeps_the_name_of_the_place(recordings: dict[str, Path], tmp_path: Path) -> None:
    save(recordings["foreign"] / "odd.json", "{")
    done(
        "train", "--poses", recordings["foreign"], "-o", tmp_path / "m.pt", "--epochs", 1, "--fps", 25, *SIZE
    )
    summary = load_checkpoint(tmp_path / "m.pt").training
    assert (summary["data"], summary["clips"], summary["broken_files"]) == ("foreign", 3, 1)


def test_study_takes_them_too(recordings: dict[str, Path], dataset: Path, tmp_path: Path) -> None:
    folders = (
        "--poses",
        recordings["foreign"],
        "--test",
        recordings["foreign"],
        "--masks",
        dataset / "masks",
    )
    done("study", "untrained", "-o", tmp_path / "out", *folders, "--quick", "--workers", 1, *SIZE)
    assert (tmp_path / "out" / "untrained.md").is_file()


def refusal(*words: object) -> str:
    result = run(*words)
    assert result.exit_code == 2, result.output
    return result.output.splitlines()[-1]


def train(place: Path, *words: object) -> tuple[object, ...]:
    return ("train", "--poses", place, "-o", place.parent / "m.pt", "--epochs", 1, *words)


def test_what_a_recording_does_not_say_is_asked_for_with_the_command(tmp_path: Path) -> None:
    place = tmp_path / "a shop"
    save(place / "hall.json", results(40))
    error = refusal(*train(place))
    assert f"{place / 'hall.json'} is a recording of another pose estimator (AlphaPose results)" in error
    command = f"daflow convert '{place}' -o FOLDER --frame-size WIDTHxHEIGHT --fps RATE"
    assert error.endswith(f"Make pose tracks of it with: {command}")
    assert refusal(*train(place, *SIZE)).endswith("-o FOLDER --fps RATE")
    assert refusal(*train(place, "--fps", 25)).endswith("-o FOLDER --frame-size WIDTHxHEIGHT")


def test_the_tables_beside_a_recording_say_it_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("trackers")
    place = tmp_path / "shop"
    save(place / "hall.json", results(40))
    save(place / "frame_sizes.json", {"hall": [1280, 720]})
    save(place / "frame_rates.json", {"hall": 12.5})
    run(*train(place))
    assert "tracked by ByteTrack at 12.5 frames per second" in caplog.text


def test_what_only_an_option_of_convert_decides_names_the_command(tmp_path: Path) -> None:
    place = tmp_path / "arrays"
    place.mkdir()
    np.save(place / "hall.npy", np.ones((2, 30, 17, 3)))
    error = refusal(*train(place, *SIZE))
    assert "give --axes ntvc or tpvc" in error
    assert f"daflow convert {place} -o FOLDER" in error


def test_a_file_is_a_place_too(tmp_path: Path, checkpoint_file: Path) -> None:
    entries: list[dict[str, Any]] = results(40, idx=3)[::2]
    source = save(tmp_path / "hall" / "alphapose-results.json", entries)
    words = ("--model", checkpoint_file, "-o", tmp_path / "out", "--workers", 1, *SIZE)
    done("score", "--poses", source, *words)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "hall.frames.parquet", "hall.windows.parquet",
    ]  # fmt: skip


@pytest.mark.parametrize("content", [{}, {"film.mp4": "x"}])
def test_a_place_of_neither_is_told_as_before(tmp_path: Path, content: dict[str, str]) -> None:
    place = tmp_path / "videos"
    place.mkdir()
    for name, text in content.items():
        save(place / name, text)
    assert f"{place} holds no pose tracks" in refusal(*train(place))
    assert "There is no folder" in refusal(*train(tmp_path / "nothing"))


def test_pose_tracks_are_not_looked_at_twice(recordings: dict[str, Path], checkpoint_file: Path, tmp_path: Path,
                                             caplog: pytest.LogCaptureFixture) -> None:  # fmt: skip
    """A recording beside pose tracks is passed over, as ever."""
    save(recordings["tracks"] / "other.json", results(40, idx=1)[::2])
    done(
        "score",
        "--poses",
        recordings["tracks"],
        "--model",
        checkpoint_file,
        "-o",
        tmp_path / "out",
        "--workers",
        1,
    )
    assert "converted for this run" not in caplog.text
    assert (
        len(list((tmp_path / "out").glob("*.frames.parquet"))) == len(read_clips(recordings["tracks"])) == 3
    )

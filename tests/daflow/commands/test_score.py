"""`daflow score`: the right numbers, the same bytes anywhere, resumable, and no broken file stops it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner, Result

from daflow.cli import main
from daflow.core.data.synthetic import Scene, generate_dataset
from daflow.core.data.tracks import read_clips
from daflow.core.data.windows import make_windows
from daflow.model.checkpoint import Checkpoint, save_checkpoint
from daflow.model.flow import DAFlow
from daflow.model.frame_scores import frame_scores
from daflow.model.torch_scorer import score


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["score", *(str(argument) for argument in arguments)])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def tracks(dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset / "test", tmp_path / "tracks"))


def test_every_window_and_frame_has_its_score(
    tracks: Path, checkpoint_file: Path, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    result = run("--poses", tracks, "--model", checkpoint_file, "-o", tmp_path / "out", "--workers", 1)
    assert result.exit_code == 0, result.output
    for clip in read_clips(tracks):
        windows = make_windows([clip])
        expected = score(checkpoint.model, windows.poses).numpy()
        table = pq.read_table(tmp_path / "out" / f"{clip.name}.windows.parquet").to_pydict()
        assert table["person"] == windows.person.tolist()
        assert table["start"] == windows.start.tolist()
        assert table["middle"] == (windows.start + 12).tolist()
        assert np.allclose(table["score"], expected, atol=1e-5)
        frames = pq.read_table(tmp_path / "out" / f"{clip.name}.frames.parquet").to_pydict()
        worst = frame_scores(np.float32(table["score"]), windows.middle, len(frames["frame"]))
        assert frames["frame"] == list(range(int(max(track.frames[-1] for track in clip.tracks)) + 1))
        for frame, value, person in zip(
            *(frames[name] for name in ("frame", "score", "person")), strict=True
        ):
            if value is None:
                assert person is None
                assert worst[frame] == -np.inf
            else:
                assert value == worst[frame]
                row = (windows.person == person) & (windows.start + 12 == frame)
                assert np.float32(table["score"])[row] == [np.float32(value)]


def test_a_bundle_gives_nearly_the_same(
    tracks: Path, checkpoint_file: Path, exported: Path, tmp_path: Path
) -> None:
    for name, model in (("a", checkpoint_file), ("b", exported)):
        assert run("--poses", tracks, "--model", model, "-o", tmp_path / name, "--workers", 1).exit_code == 0
    a, b = (
        pq.read_table(tmp_path / name / "01_0001.windows.parquet")["score"].to_numpy() for name in ("a", "b")
    )
    assert np.allclose(a, b, atol=1e-4)


def test_one_worker_and_two_write_the_same_bytes(tracks: Path, checkpoint_file: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        words = ["--poses", tracks, "--model", checkpoint_file, "-o", tmp_path / str(workers)]
        assert run(*words, "--workers", workers).exit_code == 0
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_a_broken_file_is_reported_and_the_rest_scored(
    tracks: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    (tracks / "00_0001_alphapose_tracked_person.json").write_text("{")
    (tracks / "00_0002_alphapose_tracked_person.json").write_text("{}")  # nobody is no error
    summary = tmp_path / "summary.json"
    words = ["--poses", tracks, "--model", checkpoint_file, "-o", tmp_path / "out", "--json", summary]
    result = run(*words, "--workers", 2)
    assert result.exit_code == 0, result.output
    assert "4 clips scored (0 of them before), 1 failed" in result.output
    content = json.loads(summary.read_text())
    assert set(content["failed"]) == {"00_0001"}
    assert "is not valid JSON" in content["failed"]["00_0001"]
    assert len(contents(tmp_path / "out")) == 8


def test_a_second_run_does_what_is_left(tracks: Path, checkpoint_file: Path, tmp_path: Path) -> None:
    words = ["--poses", tracks, "--model", checkpoint_file, "-o", tmp_path / "out", "--workers", 1]
    assert run(*words).exit_code == 0
    first = contents(tmp_path / "out")
    (tmp_path / "out/01_0002.frames.parquet").unlink()
    (tmp_path / "out/01_0003.windows.parquet").write_bytes(first["01_0003.windows.parquet"][:100])
    untouched = (tmp_path / "out/01_0001.windows.parquet").stat().st_mtime_ns
    assert "3 clips scored (1 of them before)" in run(*words).output
    assert contents(tmp_path / "out") == first
    assert (tmp_path / "out/01_0001.windows.parquet").stat().st_mtime_ns == untouched
    torch.manual_seed(5)
    save_checkpoint(tmp_path / "other.pt", Checkpoint(DAFlow().eval()))
    words[3] = tmp_path / "other.pt"
    assert "3 clips scored (0 of them before)" in run(*words).output
    assert contents(tmp_path / "out") != first


def test_a_model_that_is_none_fails_at_once(tracks: Path, tmp_path: Path) -> None:
    result = run("--poses", tracks, "--model", tmp_path / "none.pt", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "There is no checkpoint" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["untrained", "none.pt"])
def test_only_what_is_a_file_can_score(tracks: Path, tmp_path: Path, name: str) -> None:
    result = run("--poses", tracks, "--model", name, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "There is no checkpoint" in result.output


def test_a_made_up_frame_number_takes_no_memory(tracks: Path, checkpoint_file: Path, tmp_path: Path) -> None:
    pose = {"keypoints": [1.0] * 51, "scores": 1.0}
    (tracks / "99_0001_alphapose_tracked_person.json").write_text(json.dumps({"1": {"999999999999": pose}}))
    result = run("--poses", tracks, "--model", checkpoint_file, "-o", tmp_path / "out", "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "3 clips scored (0 of them before), 1 failed" in result.output


def test_nothing_that_can_be_read_is_an_error(tracks: Path, checkpoint_file: Path, tmp_path: Path) -> None:
    for path in tracks.glob("*tracked_person.json"):
        path.write_text("[]")
    result = run("--poses", tracks, "--model", checkpoint_file, "-o", tmp_path / "out", "--workers", 1)
    assert result.exit_code == 2
    assert "No clip of" in result.output


def test_a_cluster_that_is_not_there_is_one_sentence(
    tracks: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    words = ["--poses", tracks, "--model", checkpoint_file, "-o", tmp_path / "out", "--ray", "127.0.0.1:1"]
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert "There is no Ray cluster at 127.0.0.1:1" in result.output
    assert "Traceback" not in result.output


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A Ray cluster on this machine: two nodes of one worker process each."""
    pytest.importorskip("ray")
    ray = Path(sys.executable).with_name("ray")
    address = "127.0.0.1:46379"
    common = ["--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats"]
    environment = {
        **os.environ,
        "RAY_TMPDIR": "/tmp/daflow-ray",  # noqa: S108  sockets want short paths
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    head = ["start", "--head", "--port=46379", "--include-dashboard=false", "--node-ip-address=127.0.0.1"]
    for words in (head, ["start", f"--address={address}", "--node-ip-address=127.0.0.1"]):
        done = subprocess.run(
            [str(ray), *words, *common], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    yield address
    subprocess.run([str(ray), "stop", "--force"], capture_output=True, env=environment, check=False)
    shutil.rmtree("/tmp/daflow-ray", ignore_errors=True)  # noqa: S108


@pytest.mark.everything
def test_a_cluster_that_loses_a_worker_writes_the_same_bytes(
    cluster: str, checkpoint_file: Path, tmp_path: Path
) -> None:
    generate_dataset(
        tmp_path / "data", seed=3, train_clips=12, test_clips=1, scene=Scene(frames=900, people=4)
    )
    tracks, output = tmp_path / "data/train", tmp_path / "cluster"
    words = [
        sys.executable,
        "-m",
        "daflow.cli",
        "score",
        "--poses",
        tracks,
        "--model",
        checkpoint_file,
        "-o",
        output,
    ]
    running = subprocess.Popen(
        [*map(str, words), "--ray", cluster], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    while running.poll() is None and len(list(output.glob("*.frames.parquet"))) < 2:
        time.sleep(0.01)
    killed = _workers()[0]
    os.kill(killed, signal.SIGKILL)
    left = 12 - len(list(output.glob("*.frames.parquet")))
    text, _ = running.communicate(timeout=240)
    assert running.returncode == 0, text
    assert left > 2  # it was in the middle
    assert "12 clips scored (0 of them before), 0 failed" in text
    local = run("--poses", tracks, "--model", checkpoint_file, "-o", tmp_path / "local", "--workers", 2)
    assert local.exit_code == 0, local.output
    assert contents(output) == contents(tmp_path / "local")


def _workers() -> list[int]:
    """The processes that run a task of ours just now."""
    found = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"ray::guarded" in status.read_bytes():
                found.append(int(status.parent.name))
        except OSError:
            continue  # ended meanwhile
    assert found
    return found


def test_the_surprise_of_each_channel_is_beside_the_score(
    tracks: Path, evidence_file: Path, tmp_path: Path
) -> None:
    assert (
        run("--poses", tracks, "--model", evidence_file, "-o", tmp_path / "out", "--workers", 1).exit_code
        == 0
    )
    table = pq.read_table(next((tmp_path / "out").glob("*.windows.parquet"))).to_pydict()
    assert list(table) == ["person", "start", "middle", "score", "flow", "shape", "motion"]
    total = np.sum([table[channel] for channel in ("flow", "shape", "motion")], axis=0)
    assert np.allclose(table["score"], total, rtol=1e-4, atol=1e-4)

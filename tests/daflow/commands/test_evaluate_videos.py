"""`daflow evaluate --videos` and `daflow train --normal-only` as a user meets them, without a pose model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from daflow.cli import main
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import read_clips, write_clips
from daflow.core.data.windows import make_windows
from daflow.model.checkpoint import load_checkpoint
from daflow.training.labelled_windows import normal_throughout

FRAMES = 120


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def write_video(path: Path, frames: int = FRAMES) -> None:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), dtype=np.uint8), format="rgb24")
        for index in range(frames):
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Two videos of falls, labels, and the tracks that a pose model would have found in them."""
    clips, rows = [], []
    for name, seed in (("fall-1", 1), ("fall-2", 2)):
        write_video(tmp_path / "videos" / f"{name}.mp4")
        clip, mask = generate_clip(name, seed, Scene(frames=FRAMES, people=1, event="fall"))
        clips.append(clip)
        rows += [(name, frame, 0 if label else -1) for frame, label in enumerate(mask.tolist())]
    write_clips(tmp_path / "tracks", clips)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("clip", "frame", "posture"), *rows])
    return tmp_path


def words(folder: Path) -> list[object]:
    return [
        "evaluate",
        "--videos",
        folder / "videos",
        "--labels",
        folder / "labels.csv",
        "--tracks",
        folder / "tracks",
    ]


def test_videos_are_evaluated_from_their_tracks_and_the_alarm_too(
    recordings: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    target = tmp_path / "figures.json"
    ran = run(*words(recordings), "--model", checkpoint_file, "--threshold", -1000, "--json", target)
    assert ran.exit_code == 0, ran.output
    assert "2 of 2 clips already have their tracks" in ran.output
    figures = json.loads(target.read_text())
    assert figures["frames"] == 2 * FRAMES
    alarms = figures["causal"]["alarms"]
    assert alarms["rule"]["threshold"] == -1000
    # Everything is above that threshold: each clip has one alarm, as soon as there is a score for 0.1 s, and no other.
    assert [clip["begins"] for clip in alarms["clips"].values()] == [[26], [26]]
    assert alarms["events"] == alarms["events_on_before"] == alarms["false_alarms"] == 2
    assert alarms["median_delay_seconds"] is None
    assert "on before" in ran.output
    quiet = run(*words(recordings), "--model", checkpoint_file, "--threshold", 1000)
    assert "an alarm in 0 of 2 abnormal events; 0 false alarms" in quiet.output


def test_the_figures_are_those_of_the_tracks_themselves(
    recordings: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    figures = []
    for index, source in enumerate(
        (words(recordings)[1:], ["--poses", recordings / "tracks", *words(recordings)[3:5]])
    ):
        target = tmp_path / f"{index}.json"
        ran = run("evaluate", *source, "--model", checkpoint_file, "--json", target)
        assert ran.exit_code == 0, ran.output
        figures.append(json.loads(target.read_text()))
    seen = figures[0].pop("causal")
    assert figures[0] == figures[1]
    assert seen["alarms"] is None
    assert seen["scored"]["frames"] < seen["micro"]["frames"] == figures[0]["frames"]


def test_a_bundle_brings_its_own_alarm(recordings: Path, bundle_copy: Path, tmp_path: Path) -> None:
    calibrated = CliRunner().invoke(
        main, [*map(str, words(recordings)), "--model", str(bundle_copy), "--json", str(tmp_path / "a.json")]
    )
    assert calibrated.exit_code == 0, calibrated.output
    assert json.loads((tmp_path / "a.json").read_text())["causal"]["alarms"] is None
    assert "the alarm was not evaluated" in calibrated.output


def test_clips_are_chosen_by_pattern_and_what_is_missing_is_said(
    recordings: Path, checkpoint_file: Path
) -> None:
    chosen = run(*words(recordings), "--model", checkpoint_file, "--clips", "fall-[1]")
    assert chosen.exit_code == 0, chosen.output
    assert "fall-1 " in chosen.output
    assert "fall-2" not in chosen.output
    nothing = run(*words(recordings), "--model", checkpoint_file, "--clips", "walk*")
    assert nothing.exit_code == 2
    assert "--clips walk* matches the name of no clip with a label" in nothing.output
    (recordings / "videos" / "fall-2.mp4").unlink()
    one = run(*words(recordings), "--model", checkpoint_file)
    assert one.exit_code == 0, one.output
    assert "fall-2 " not in one.stdout
    (recordings / "videos" / "fall-1.mp4").rename(recordings / "videos" / "other.mp4")
    none = run(*words(recordings), "--model", checkpoint_file)
    assert none.exit_code == 2
    assert "has labels; a clip has the name of its video" in none.output


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--poses", "x"], "Give --poses and --masks"),
        (["--protocol", "stgnf"], "--protocol stgnf is for --poses"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(
    extra: list[str], message: str, recordings: Path, checkpoint_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recordings)
    ran = run(*words(recordings), "--model", checkpoint_file, *extra)
    assert ran.exit_code == 2
    assert message in ran.output
    assert "Traceback" not in ran.output


def test_a_missing_pose_model_is_named(recordings: Path, checkpoint_file: Path, tmp_path: Path) -> None:
    ran = run(
        "evaluate", "--videos", recordings / "videos", "--labels", recordings / "labels.csv", "--model",
        checkpoint_file, "--tracks", tmp_path / "new", "--pose-model", "nothing.task",
    )  # fmt: skip
    assert ran.exit_code == 2
    assert "nothing.task; 'daflow models fetch' downloads one" in ran.output


def test_offline_the_command_that_fetches_a_pose_model_is_named(
    recordings: Path, checkpoint_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAFLOW_MODELS", str(tmp_path / "models"))
    ran = run(
        "evaluate", "--videos", recordings / "videos", "--labels", recordings / "labels.csv", "--model",
        checkpoint_file, "--tracks", tmp_path / "new", "--offline",
    )  # fmt: skip
    assert ran.exit_code == 2
    assert "MB, licence Apache-2.0). Fetch with 'daflow models fetch pose-lite'" in ran.output
    assert not (tmp_path / "models").exists()


def test_tracks_by_hand_need_no_pose_model(
    recordings: Path, checkpoint_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAFLOW_MODELS", str(tmp_path / "models"))
    ran = run(*words(recordings), "--model", checkpoint_file, "--offline")
    assert ran.exit_code == 0, ran.output


def test_an_option_of_videos_without_videos_is_refused(dataset: Path, checkpoint_file: Path) -> None:
    ran = run(
        "evaluate", "--poses", dataset / "test", "--masks", dataset / "masks", "--model", checkpoint_file,
        "--max-people", 3,
    )  # fmt: skip
    assert ran.exit_code == 2
    assert "--max-people needs --videos" in ran.output


def test_labels_and_video_may_differ_in_length(
    recordings: Path, checkpoint_file: Path, tmp_path: Path
) -> None:
    with (recordings / "labels.csv").open("a") as file:
        file.writelines(f"fall-1,{frame},1\n" for frame in range(FRAMES, FRAMES + 30))
    ran = run(*words(recordings), "--model", checkpoint_file, "--json", tmp_path / "f.json")
    assert ran.exit_code == 0, ran.output
    assert json.loads((tmp_path / "f.json").read_text())["frames"] == 2 * FRAMES


def test_normal_windows_touch_no_frame_that_is_not_labelled_normal(recordings: Path) -> None:
    clips = read_clips(recordings / "tracks")
    windows = make_windows(clips)
    masks = {"fall-1": np.r_[np.zeros(60), np.ones(10), np.zeros(50)].astype(np.int64)}
    kept = normal_throughout(windows, [clip.name for clip in clips], masks)
    first = windows.clip == 0
    assert not kept[~first].any()
    start = windows.start[kept]
    assert (start.min(), start.max()) == (windows.start[first].min(), windows.start[first].max())
    assert not np.isin(start, np.arange(60 - 24 + 1, 70)).any()
    assert len(start) > 40


def test_training_on_the_normal_parts_of_labelled_recordings(recordings: Path, tmp_path: Path) -> None:
    options = [
        "--poses",
        recordings / "tracks",
        "-o",
        tmp_path / "m.pt",
        "--epochs",
        1,
        "--stride",
        1,
        "--hold-out",
        0,
    ]
    everything = run("train", *options)
    assert everything.exit_code == 0, everything.output
    whole = load_checkpoint(tmp_path / "m.pt").training["windows"]
    ran = run("train", *options, "--normal-only", recordings / "labels.csv")
    assert ran.exit_code == 0, ran.output
    summary = load_checkpoint(tmp_path / "m.pt").training
    assert 0 < summary["left_out"]["not_normal"] == whole - summary["windows"]
    assert (
        f"{summary['windows']} windows are normal throughout; {whole - summary['windows']} others"
        in ran.output
    )
    assert "99 % of the normal windows score below" in ran.output
    one = run("train", *options, "--normal-only", recordings / "labels.csv", "--clips", "fall-1")
    assert one.exit_code == 0, one.output
    assert 0 < load_checkpoint(tmp_path / "m.pt").training["windows"] < summary["windows"]
    (recordings / "abnormal.csv").write_text("clip,frame,label\nfall-1,5,1\n")
    none = run("train", *options, "--normal-only", recordings / "abnormal.csv")
    assert none.exit_code == 2
    assert "gives 0 windows of 12 poses: none is normal throughout" in none.output

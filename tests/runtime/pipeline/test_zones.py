"""Where people are scored on a camera with zones, and that calibration replays it in the same way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from calibration.cli import main as calibrate
from calibration.recordings import replay
from calibration.zones_file import read_zones
from daflow.core.alarms.rule import AlarmRule
from daflow.core.alarms.zones import Zone
from daflow.core.bundle import Bundle, read_bundle, write_manifest
from daflow.core.data.clip import Clip
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import read_clips, write_clips
from daflow.core.data.windows import LENGTH, MAX_MISSING
from daflow.core.errors import InputError
from daflow.core.scoring.onnx import open_graph
from daflow.core.scoring.scorer import Scorer
from runtime.cli import main
from runtime.config.schema import AlarmOptions, Config
from runtime.doctor.config_checks import bundle_files
from runtime.pipeline.alarm_rule import alarm_rule
from runtime.pipeline.camera_pipeline import CameraPipeline
from runtime.pipeline.results import FrameResult
from runtime.pipeline.watch import watch
from runtime.poses.people import PeopleFinder
from runtime.scorers.registry import open_scorer
from runtime.service.service import Service
from runtime.sources.frames import Frame, Keypoints
from runtime.sources.recorded_tracks import ClipSource
from runtime.stage_clock import StageClock

RULE = AlarmRule(100, 100, begin_seconds=0, end_seconds=0, hold_seconds=0)
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
DESK = {"desk": Zone(kind="ignore", points=LEFT)}
TABLE = {"desk": {"kind": "ignore", "points": [list(corner) for corner in LEFT]}}
WALK = "synthetic:seed=3,people=2,frames=150"


def pipeline_of(scorer: Scorer, zones: dict[str, Zone], fps: float = 25) -> CameraPipeline:
    finder = PeopleFinder(None, fps)
    return CameraPipeline(scorer, finder, RULE, LENGTH, MAX_MISSING, StageClock(), fps=25.0, zones=zones)


def results_of(clip: Clip, scorer: Scorer, zones: dict[str, Zone]) -> Iterator[FrameResult]:
    fps = clip.rate.fps if clip.rate else 25
    pipeline = pipeline_of(scorer, zones, fps)
    yield from (pipeline.process(frame) for frame in ClipSource(clip, fps))


def test_who_leaves_what_is_ignored_is_scored_with_the_poses_from_there(
    fake_scorer: Any, walking: Callable[[int], Keypoints]
) -> None:
    pipeline = pipeline_of(fake_scorer(), DESK)

    def moved(index: int) -> Keypoints:
        pose = walking(index).copy()
        pose[:, 0] += (300 if index < 40 else 900) - pose[:, 0].mean()
        return pose

    found = [
        pipeline.process(Frame(index, index / 25, (1280, 720), people={1: moved(index)}))
        for index in range(80)
    ]
    ignored = [result.people[0].ignored for result in found]
    scored = [result.people[0].score is not None for result in found]
    # On the other side from the frame 40 on, and there for half a second in the first frame at 40 / 25 + 0.5.
    assert ignored == [index < 53 for index in range(80)]
    assert scored == [index >= 53 for index in range(80)]
    assert all(len(result.people) == 1 for result in found), "they are followed and recorded all the same"
    assert pipeline.unusable == 0


@pytest.mark.parametrize("fps", [25.0, 10.0])
def test_calibration_scores_whom_the_edge_scores(bundle: Bundle, at_rate: Any, fps: float) -> None:
    zones = {
        "street": Zone(kind="ignore", points=((0, 0), (1, 0), (1, 0.45), (0.3, 0.6))),
        "hall": Zone(kind="watch", points=((0.2, 0), (0.8, 0.1), (0.9, 1), (0.1, 1))),
    }
    clip, _ = generate_clip("clip", 4, Scene(frames=500, people=4, event="run", missed_poses=0.05))
    clip = at_rate(clip, fps)
    with open_scorer(bundle, "onnxruntime") as scorer:
        results = [list(results_of(clip, scorer, chosen)) for chosen in ({}, zones)]
    everywhere, edge = (
        [person.smoothed for result in found for person in result.people if person.smoothed is not None]
        for found in results
    )
    with open_graph(bundle) as graph:
        signal, reason = replay(clip, graph.score, bundle, RULE, zones)
    assert (signal is not None, reason) == (True, None)
    assert 100 < len(edge) < 0.9 * len(everywhere)
    assert signal is not None
    assert sorted(signal.people.tolist()) == pytest.approx(sorted(edge), abs=1e-3)
    replayed = [score for score in signal.scores.tolist() if not np.isnan(score)]
    assert replayed == pytest.approx([r.score for r in results[1] if r.score is not None], abs=1e-3)


# Configuration


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ('kind = "ignore"\npoints = [[0, 0], [1, 1], [1, 0], [0, 1]]', "crosses or touches itself"),
        ('kind = "ignore"\npoints = [[0, 0], [1, 1]]', "it has 2 corners, and at least three are needed"),
        ('kind = "watch"\npoints = [[0, 0], [1.5, 0], [1, 1]]', "corner 2 is at 1.5, 0"),
        ('kind = "watch"\npoints = [[0, 0], [nan, 0], [1, 1]]', "should be a finite number"),
        ('kind = "blur"\npoints = [[0, 0], [1, 0], [1, 1]]', "should be 'ignore' or 'watch'"),
        ("points = [[0, 0], [1, 0], [1, 1]]", "zones.street.kind: "),
        ('kind = "watch"\npoints = [[0, 0], [1, 0], [1, 1]]\ncolour = "red"', "street.colour: "),
        (f'kind = "watch"\npoints = {[[0, 0]] * 65}', "at most 64"),
    ],
)
def test_a_wrong_zone_is_one_sentence_with_the_camera_and_the_zone(
    tmp_path: Path, zone: str, said: str
) -> None:
    path = tmp_path / "edge.toml"
    text = f'[cameras."front door"]\nsource = "0"\n[cameras."front door".zones.street]\n{zone}\n'
    path.write_text(f'bundle = "b"\n{text}')
    edge = CliRunner().invoke(main, ["--config", str(path), "--check-config"])
    with pytest.raises(InputError) as calibration:
        read_zones(path, "front door")
    assert edge.exit_code == 2
    for sentence in (edge.stderr.removeprefix("Error: ").strip(), calibration.value.message):
        assert len(sentence.splitlines()) == 1
        assert sentence.startswith(f"{path}: cameras.")
        assert "front door" in sentence
        assert "zones.street" in sentence
        assert said in sentence


def test_a_polygon_of_many_corners_on_one_line_is_read_and_printed(tmp_path: Path, bundle: Bundle) -> None:
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    points = [[0.5 + 0.4 * float(np.cos(a)), 0.5 + 0.4 * float(np.sin(a))] for a in angles]
    path = tmp_path / "edge.toml"
    zones = f'[cameras.door.zones."main hall"]\nkind = "watch"\npoints = {json.dumps(points)}\n'
    path.write_text(f'bundle = "{bundle.folder}"\n[cameras.door]\nsource = "{WALK}"\n{zones}')
    printed = CliRunner().invoke(main, ["--config", str(path), "--print-config"])
    assert printed.exit_code == 0, printed.stderr
    again = tmp_path / "again.toml"
    again.write_text(printed.stdout)
    assert CliRunner().invoke(main, ["--config", str(again), "--print-config"]).stdout == printed.stdout
    assert json.dumps(points) in printed.stdout


# The calibration and its zones


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "poses"
    write_clips(
        folder, [generate_clip(f"clip_{n}", 50 + n, Scene(frames=800, people=3))[0] for n in range(2)]
    )
    return folder


def calibrated(bundle: Bundle, poses: Path, folder: Path, *words: object) -> tuple[Bundle, str]:
    copy = Path(shutil.copytree(bundle.folder, folder))
    options = ["--bundle", copy, "--poses", poses, "--quantile", "0.99", *words]
    result = CliRunner().invoke(calibrate, ["alarm", *map(str, options)])
    assert result.exit_code == 0, result.output
    return read_bundle(copy), result.output


def config_file(path: Path, bundle: Path, zones: str = "") -> Path:
    path.write_text(f'bundle = "{bundle}"\n[cameras.door]\nsource = "{WALK}"\n{zones}')
    return path


IGNORE_LEFT = '[cameras.door.zones.desk]\nkind = "ignore"\npoints = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]\n'


def test_a_calibration_keeps_its_zones_and_counts_only_people_in_them(
    bundle: Bundle, recordings: Path, tmp_path: Path
) -> None:
    zones = config_file(tmp_path / "edge.toml", bundle.folder, IGNORE_LEFT)
    everybody, _ = calibrated(bundle, recordings, tmp_path / "all")
    right, output = calibrated(bundle, recordings, tmp_path / "right", "--zones", zones, "--camera", "door")
    kept = right.manifest.cameras["door"]
    assert everybody.manifest.alarm is not None
    assert everybody.manifest.alarm.zones == {}
    assert kept.zones == DESK
    assert 0 < kept.windows < everybody.manifest.alarm.windows
    assert kept.hours == everybody.manifest.alarm.hours
    assert "desk (ignore)" in output
    words = [
        "check",
        "--bundle",
        str(right.folder),
        "--poses",
        str(recordings),
        "--camera",
        "door",
        "--json",
        "-",
    ]
    checked = CliRunner().invoke(calibrate, words)
    assert checked.exit_code == 0, checked.output
    alone = tmp_path / "zones.toml"
    alone.write_text('[zones.shelf]\nkind = "watch"\npoints = [[0, 0], [0.5, 0], [0.5, 1]]\n')
    other = CliRunner().invoke(calibrate, [*words, "--zones", str(alone)])
    assert "are not those of its calibration" in other.stderr
    assert json.loads(checked.stdout)["clips"] != json.loads(other.stdout)["clips"]


def test_which_file_and_which_camera_have_the_zones_is_said(
    bundle: Bundle, recordings: Path, tmp_path: Path
) -> None:
    path = config_file(tmp_path / "edge.toml", bundle.folder, IGNORE_LEFT)
    two = tmp_path / "two.toml"
    two.write_text(path.read_text() + '[cameras.yard]\nsource = "0"\n')
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    everywhere = tmp_path / "nowhere.toml"
    everywhere.write_text('[zones.all]\nkind = "ignore"\npoints = [[0, 0], [1, 0], [1, 1], [0, 1]]\n')
    for file, words, said in (
        (two, [], "has 2 cameras. Say with --camera"),
        (path, ["--camera", "gate"], "has no camera gate; it has: door"),
        (empty, [], "has neither cameras nor zones"),
        (everywhere, [], "nobody is where the zones let people be scored"),
    ):
        options = ["--bundle", bundle.folder, "--poses", recordings, "--zones", file, *words]
        result = CliRunner().invoke(calibrate, ["alarm", *map(str, options)])
        assert result.exit_code == 2, result.output
        assert said in result.stderr


def test_a_calibration_for_other_zones_is_provisional_there_and_says_so(
    bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = {"door": {"source": WALK, "zones": TABLE}, "hall": {"source": WALK}}
    config = Config.model_validate({"bundle": bundle.folder, "cameras": source})
    with Service(config) as service:
        service.run()
        door, hall = (service.health()["cameras"][name] for name in ("door", "hall"))
    assert (door["provisional"], hall["provisional"]) == (True, False)
    assert door["misfit"] == "the calibration was made without zones, and the camera has zones (desk)"
    assert hall["misfit"] is None
    assert door["zones"] == TABLE
    assert "camera door: the calibration was made without zones" in caplog.text
    finding = bundle_files(bundle.folder, config)
    assert finding.state == "warning"
    assert "Camera door: the calibration was made without zones" in finding.advice
    assert "Camera hall" not in finding.advice
    assert not alarm_rule(bundle, "door", AlarmOptions(threshold=3.0), DESK).provisional, "it is one's own"


def test_the_zones_of_the_calibration_make_it_fit(bundle: Bundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))
    alarm = bundle.manifest.alarm
    assert alarm is not None
    zoned = alarm.model_copy(update={"zones": DESK})
    write_manifest(folder, bundle.manifest.model_copy(update={"cameras": {"door": zoned}}))
    again = read_bundle(folder)
    assert not alarm_rule(again, "door", AlarmOptions(), DESK).provisional
    assert alarm_rule(again, "door", AlarmOptions()).provisional
    assert "and the camera has none" in (again.manifest.cameras["door"].misfit({}) or "")
    results = list(watch(WALK, again, camera="door", zones=TABLE))
    assert not results[0].provisional
    assert results[0].zones == DESK
    assert any(person.ignored for result in results for person in result.people)


def test_a_recording_keeps_everybody(bundle: Bundle, tmp_path: Path) -> None:
    recorded = []
    for name, zones in (("all", ""), ("zoned", IGNORE_LEFT)):
        path = config_file(tmp_path / f"{name}.toml", bundle.folder, zones)
        words = ["--config", str(path), "--record", str(tmp_path / name)]
        assert CliRunner().invoke(main, words).exit_code == 0
        (clip,) = read_clips(tmp_path / name)
        recorded.append({track.person: track.frames.tolist() for track in clip.tracks})
    assert recorded[0] == recorded[1]
    assert recorded[0]


def test_zones_are_checked_by_the_library_too(bundle: Bundle) -> None:
    with pytest.raises(InputError, match="it has 1 corners"):
        next(watch(WALK, bundle, zones={"desk": {"kind": "ignore", "points": [[0, 0]]}}))

"""Commissioning as a mode of the service: cameras are recorded, and their bundle is taken while they are watched."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from daflow.core.bundle import read_bundle, update_manifest
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import write_clips
from daflow.core.errors import CheckFailed, InputError
from daflow.core.files import locked
from runtime.commissioning import bundle_maker, commissioner, needs, progress
from runtime.commissioning.bundle_maker import CameraResult, Commissioned
from runtime.commissioning.commissioner import Commissioner
from runtime.commissioning.folder import bundle_of, is_commissioned, known_cameras, write_records
from runtime.commissioning.recordings import Recordings
from runtime.config.schema import Config
from runtime.service.service import Service

from .test_service import NORMAL, camera, running, wait_for

PER_DAY = 1440.0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is needed, and it is measured all the time; generated people count as a camera."""
    monkeypatch.setattr(bundle_maker, "_TRAINING", ("no_such_package",))
    monkeypatch.setattr(needs, "MIN_HOURS", 0.01)
    monkeypatch.setattr(needs, "MIN_PEOPLE", 2)
    monkeypatch.setattr(progress, "MEASURE_SECONDS", 0.2)
    monkeypatch.setattr(commissioner, "is_live", lambda uri: True)
    monkeypatch.setattr("runtime.outputs.track_recorder._WRITE_SECONDS", 5.0)


def config_of(folder: Path, base: Path, cameras: dict[str, dict[str, Any]], **fields: Any) -> Config:
    commissioning = {"folder": folder, "false_alarms_per_day": PER_DAY, **fields}
    return Config.model_validate({"bundle": base, "cameras": cameras, "commissioning": commissioning})


class Maker:
    """In the place of what makes a bundle: fails as often as asked, then calibrates cameras with a threshold."""

    def __init__(self, failures: int = 0, promised: bool = True, leaves_out: str = "") -> None:
        self.failures, self.promised, self.leaves_out = failures, promised, leaves_out
        self.asked: list[Sequence[str | None]] = []

    def __call__(
        self, folder: Path, per_day: float, run: Any, store: Path | None, cameras: Sequence[str | None]
    ) -> Commissioned:
        self.asked.append(cameras)
        if self.failures:
            self.failures -= 1
            raise CheckFailed("Commissioning stopped at 'train': the disk is full.")
        cameras = [camera for camera in cameras if camera != self.leaves_out]
        bundle = read_bundle(bundle_of(folder))
        assert bundle.manifest.alarm is not None
        alarm = bundle.manifest.alarm.model_copy(
            update={"threshold": 123.0, "promised": self.promised, "target_per_day": per_day}
        )
        change: dict[str, Any] = {"cameras": dict.fromkeys(map(str, cameras), alarm)}
        update_manifest(bundle, lambda now: {"alarm": alarm} if None in cameras else change)
        total = Recordings(folder).total
        write_records(
            folder,
            {
                name: {
                    "recorded_seconds": total(name).seconds,
                    "recorded_people": total(name).people,
                    "requested_per_day": per_day,
                }
                for name in cameras
            },
            several=None not in cameras,
        )
        result = CameraResult(self.promised, None, 0, 1.0)
        return Commissioned("torch is not installed", True, dict.fromkeys(cameras, result))


def facts(service: Service, name: str) -> dict[str, Any]:
    return camera(service, name)["commissioning"] or {}


def test_a_camera_arms_when_its_recordings_are_enough_and_others_go_on(
    quick: None, tmp_path: Path, evidence_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = Maker()
    monkeypatch.setattr(bundle_maker, "make_bundle", maker)
    cameras: dict[str, dict[str, Any]] = {
        "door": {"source": NORMAL},
        "hall": {"source": "synthetic:frames=0,people=1,event=none", "realtime": True},
        "till": {"source": NORMAL, "realtime": True, "commission": False},
    }
    config = config_of(tmp_path / "house", evidence_bundle, cameras)
    with running(Service(config)) as service:
        workers = {name: slot.worker for name, slot in service._manager._slots.items()}
        wait_for(lambda: camera(service, "door")["threshold"] == 123.0, 120)
        assert not camera(service, "door")["provisional"]
        assert (facts(service, "door")["state"], facts(service, "door")["share"]) == ("done", 1.0)
        hall = facts(service, "hall")
        assert (hall["state"], hall["trains"], hall["error"]) == ("recording", False, None)
        assert hall["missing"]
        assert camera(service, "hall")["threshold"] != 123.0
        assert camera(service, "till")["commissioning"] is None
        assert {name: slot.worker for name, slot in service._manager._slots.items()} == workers, "no gap"
        assert service.bundle.folder == bundle_of(tmp_path / "house")
    assert maker.asked == [["door"]]
    assert known_cameras(tmp_path / "house") == ["door", "hall"]
    assert Recordings(tmp_path / "house").cameras() <= {"door", "hall"}
    # A restart goes on where it was, and a camera that is commissioned is no longer recorded.
    before = Recordings(tmp_path / "house").total("door")
    with running(Service(config)) as service:
        assert camera(service, "door")["threshold"] == 123.0
        assert facts(service, "door")["state"] == "done"
        wait_for(lambda: camera(service, "door")["frames"] > 300)
    assert Recordings(tmp_path / "house").total("door") == before
    assert maker.asked == [["door"]]


def test_what_fails_is_told_and_tried_again_later_while_cameras_are_watched(
    quick: None,
    tmp_path: Path,
    evidence_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    maker = Maker(failures=1)
    monkeypatch.setattr(bundle_maker, "make_bundle", maker)
    config = config_of(tmp_path / "house", evidence_bundle, {"door": {"source": NORMAL}})
    with running(Service(config)) as service:
        wait_for(lambda: facts(service, "door")["state"] == "failed", 120)
        assert facts(service, "door")["error"] == "Commissioning stopped at 'train': the disk is full."
        assert "tried again in an hour" in caplog.text
        frames = camera(service, "door")["frames"]
        wait_for(lambda: camera(service, "door")["frames"] > frames + 100)
        assert maker.asked == [[None]], "the only camera of its folder, once"
        assert service.commissioner is not None
        monkeypatch.setattr(service.commissioner, "_not_before", 0.0)
        wait_for(lambda: camera(service, "door")["threshold"] == 123.0)
        assert facts(service, "door")["state"] == "done"
        assert facts(service, "door")["error"] is None


def test_recordings_that_do_not_support_the_rate_grow_before_it_is_tried_again(
    quick: None, tmp_path: Path, evidence_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = Maker(promised=False)
    monkeypatch.setattr(bundle_maker, "make_bundle", maker)
    config = config_of(tmp_path / "house", evidence_bundle, {"door": {"source": NORMAL}})
    needed: list[float] = []
    with running(Service(config)) as service:
        for times in (1, 2):
            wait_for(lambda times=times: len(maker.asked) == times, 120)  # type: ignore[misc]
            wait_for(lambda: facts(service, "door")["state"] == "recording")
            needed.append(facts(service, "door")["needed_seconds"])
            assert camera(service, "door")["provisional"]
    assert needed[1] >= 1.5 * needed[0] > 1.5 * 36


def test_a_camera_whose_recordings_cannot_be_split_waits(
    quick: None, tmp_path: Path, evidence_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = Maker(leaves_out="hall")
    monkeypatch.setattr(bundle_maker, "make_bundle", maker)
    cameras = {"door": {"source": NORMAL}, "hall": {"source": NORMAL, "commission": False}}
    config = config_of(tmp_path / "house", evidence_bundle, cameras)
    with running(Service(config)):
        wait_for(lambda: len(maker.asked) == 1, 120)
    config = config_of(
        tmp_path / "house", evidence_bundle, {"door": {"source": NORMAL}, "hall": {"source": NORMAL}}
    )
    with running(Service(config)) as service:
        wait_for(lambda: len(maker.asked) == 2 and facts(service, "hall")["state"] == "recording", 120)
        assert maker.asked[1] == ["door", "hall"], "one that is commissioned is so again with the new model"
        assert service.commissioner is not None
        assert service.commissioner._not_before > 0.0
        assert facts(service, "door")["state"] == "done"


def test_a_reload_commissions_cameras_that_come(quick: None, tmp_path: Path, evidence_bundle: Path) -> None:
    house = tmp_path / "house"
    slow = {"source": NORMAL, "realtime": True}
    first = config_of(house, evidence_bundle, {"door": slow})
    second = config_of(house, evidence_bundle, {"door": slow, "hall": slow})
    with running(Service(first, lambda: second)) as service:
        assert known_cameras(house) == [None]
        wait_for(lambda: facts(service, "door").get("state") == "recording")
        service.reload()
        wait_for(lambda: "hall" in service.health()["cameras"] and facts(service, "hall") != {})
        assert known_cameras(house) == ["door", "hall"]
        wait_for(lambda: camera(service, "hall")["frames"] > 30)
    assert Recordings(house).cameras() == {"door", "hall"}


def test_two_services_cannot_commission_in_one_folder(tmp_path: Path, evidence_bundle: Path) -> None:
    config = config_of(tmp_path / "house", evidence_bundle, {"door": {"source": NORMAL}})
    with (
        locked(tmp_path / "house" / "recordings"),
        pytest.raises(InputError, match="by another process"),
        Service(config),
    ):
        pass
    assert not bundle_of(tmp_path / "house").exists()


def test_a_recording_in_the_place_of_a_camera_is_there_once_it_has_ended(
    tmp_path: Path, evidence_bundle: Path
) -> None:
    cameras = {name: {"source": f"synthetic:frames={frames},people=2,event=none"} for name, frames in
               (("short", 200), ("long", 0))}  # fmt: skip
    house = tmp_path / "house"
    config = config_of(house, evidence_bundle, cameras)
    with running(Service(config)) as service:
        wait_for(lambda: camera(service, "short")["state"] == "ended")
        wait_for(lambda: camera(service, "long")["frames"] > 200)
    assert Recordings(house).cameras() == {"short", "long"}
    Recordings(house).new_run()
    assert Recordings(house).cameras() == {"short"}, "the long one was interrupted"
    assert [span.live for span in Recordings(house).spans()] == [False]


def test_cameras_that_come_while_the_bundle_is_made_wait_until_it_is_there(
    quick: None, tmp_path: Path, evidence_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker, begun, go_on = Maker(), threading.Event(), threading.Event()

    def make(*arguments: Any) -> Commissioned:
        begun.set()
        assert go_on.wait(120)
        return maker(*arguments)

    monkeypatch.setattr(bundle_maker, "make_bundle", make)
    folder = tmp_path / "house"
    record = Recordings(folder).new_run()
    for number in range(6):
        name = f"door_2026112{number}T080500Z"
        write_clips(record, [generate_clip(name, number, Scene(frames=250))[0]])
    door = {"door": {"source": NORMAL}}
    with Commissioner(config_of(folder, evidence_bundle, door)) as commissioner_:
        assert begun.wait(60)
        commissioner_.set_cameras(config_of(folder, evidence_bundle, {**door, "hall": {"source": NORMAL}}))
        assert known_cameras(folder) == [None]
        assert commissioner_.facts("hall") is None
        go_on.set()
        wait_for(lambda: commissioner_.facts("hall") is not None, 60)
        assert known_cameras(folder) == ["door", "hall"]
        assert maker.asked == [[None]]
        assert (commissioner_.facts("door") or {})["state"] == "done", "it keeps what was made for it alone"
        assert is_commissioned(folder, "door")
        assert not is_commissioned(folder, "hall")


def test_a_recording_that_becomes_a_camera_begins_a_run_of_its_own(
    quick: None, tmp_path: Path, evidence_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commissioner, "is_live", lambda uri: uri != "tracks:a.json")
    folder = tmp_path / "house"
    with Commissioner(config_of(folder, evidence_bundle, {"door": {"source": "tracks:a.json"}})) as one:
        runs = folder / "recordings"
        assert [mark.name for mark in runs.glob("*/INCOMPLETE*")] == ["INCOMPLETE.door"]
        one.set_cameras(config_of(folder, evidence_bundle, {"door": {"source": NORMAL}}))
        assert [run.is_dir() for run in runs.glob("0*")] == [True], "the other one held nothing"
        assert not list(runs.glob("*/INCOMPLETE*"))

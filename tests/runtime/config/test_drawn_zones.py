"""Zones that were drawn on the page are kept in a file of their own, and win over those of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calibration.zones_file import read_zones
from daflow.core.alarms.zones import Zone
from daflow.core.errors import InputError
from runtime.config.drawn_zones import DrawnZones
from runtime.config.schema import Config

SQUARE = [[0.1, 0.1], [0.4, 0.1], [0.4, 0.4], [0.1, 0.4]]
TILL = Zone.model_validate({"kind": "watch", "points": SQUARE})
STREET = Zone.model_validate({"kind": "ignore", "points": [[0, 0], [1, 0], [1, 0.3]]})


def config(**cameras: dict[str, Any]) -> Config:
    return Config.model_validate(
        {"cameras": {name: {"source": "0", **more} for name, more in cameras.items()}}
    )


def test_a_camera_in_the_file_has_these_zones_and_the_others_their_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = {"zones": {"street": STREET.model_dump()}}
    before = config(door=own, hall=own, gate={})
    drawn = DrawnZones(tmp_path / "zones.json")
    assert drawn.apply(before) == before
    drawn.save("door", {"till": TILL})
    drawn.save("gate", {"Küche": TILL})
    drawn.save("gone", {"till": TILL})
    after = drawn.apply(before)
    assert {name: dict(after.camera(name).zones) for name in after.cameras} == {
        "door": {"till": TILL}, "hall": {"street": STREET}, "gate": {"Küche": TILL},
    }  # fmt: skip
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said.startswith("camera door: the zones of ")
    assert "are used, and not those of the configuration" in said
    drawn.save("door", {})
    assert drawn.apply(before).camera("door").zones == {}


def test_calibration_reads_what_was_drawn(tmp_path: Path) -> None:
    path = tmp_path / "zones.json"
    DrawnZones(path).save("door", {"till": TILL})
    assert read_zones(path) == {"till": TILL}
    DrawnZones(path).save("hall", {"street": STREET})
    assert read_zones(path, "hall") == {"street": STREET}
    with pytest.raises(InputError, match="has 2 cameras"):
        read_zones(path)
    path.write_text("[1]", encoding="utf-8")
    with pytest.raises(InputError, match="neither cameras nor zones"):
        read_zones(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="is not JSON"):
        read_zones(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        (
            '{"cameras": {"door": {"zones": {"x": {"kind": "watch", "points": [[0, 0], [1, 1]]}}}}}',
            "are needed",
        ),
        ('{"cameras": {"door": {"zones": {}, "source": "0"}}}', "cameras.door.source"),
        ("[]", "Mend it, or remove it"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_words(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "zones.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        DrawnZones(path).apply(config(door={}))
    with pytest.raises(InputError):
        DrawnZones(path).save("door", {"till": TILL})
    assert path.read_text(encoding="utf-8") == content


def test_the_file_is_beside_the_store_unless_it_is_named(tmp_path: Path) -> None:
    cameras = {"door": {"source": "0"}}
    stored = Config.model_validate({"cameras": cameras, "store": {"path": tmp_path / "events.db"}})
    named = Config.model_validate({"cameras": cameras, "zones_file": tmp_path / "my.json"})
    assert (stored.drawn_zones, named.drawn_zones) == (tmp_path / "zones.json", tmp_path / "my.json")
    assert config(door={}).drawn_zones is None
    with pytest.raises(InputError, match=r"set zones_file, or store\.path"):
        DrawnZones(None).save("door", {})


def test_a_save_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = DrawnZones(tmp_path / "zones.json")
    drawn.save("door", {"till": TILL})
    before = (tmp_path / "zones.json").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        drawn.save("door", {})
    assert (tmp_path / "zones.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["zones.json"]

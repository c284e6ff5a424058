from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from daflow.core.alarms.calibration import AlarmCalibration, NormalScores
from daflow.core.alarms.rule import AlarmRule
from daflow.core.bundle import Bundle, Int8, Manifest, read_bundle, update_manifest, write_manifest
from daflow.core.engines.file import BuildOptions
from daflow.core.errors import InputError
from daflow.core.files import sha256
from daflow.core.scoring.comparison import Comparison
from daflow.core.scoring.limits import LIMITS, Verdict, check_limits

GRAPHS = {
    "scorer.fp32.onnx": b"not a graph, but bytes", "scorer.fp16.onnx": b"half of it", "verification.html": b"a page",
    "int8.ranges.json": b"{ranges}",
}  # fmt: skip
ENGINE = "engines/fp32.sm86.tensorrt.engine"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A bundle with all parts that a bundle can have, by hand."""
    return make_bundle(tmp_path / "tiny")


@pytest.fixture(scope="session")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose manifest a test may overwrite again and again."""
    return make_bundle(tmp_path_factory.mktemp("fuzzed") / "tiny")


def make_bundle(folder: Path) -> Path:
    (folder / "engines").mkdir(parents=True)
    for name, content in {**GRAPHS, ENGINE: b"an engine"}.items():
        (folder / name).write_bytes(content)
    write_manifest(folder, make_manifest(folder))
    return folder


def make_manifest(folder: Path) -> Manifest:
    files = {name: sha256(folder / name) for name in GRAPHS}
    return Manifest(
        daflow="0.1.0",
        created="2025-01-01T00:00:00Z",
        model={"steps": 8},
        parameters=488,
        window=24,
        max_missing=2,
        precisions={"fp32": "scorer.fp32.onnx", "fp16": "scorer.fp16.onnx"},
        files=files,
        training={"data": "generated", "losses": [1.5, 1.25]},
        nodes={"fp32": 171},
        verification={"fp32": verdict(1.0), "fp16": verdict(0.5)},
        int8=Int8(ranges="int8.ranges.json", method="minmax", windows=9, quantised=("a",), kept=("b",)),
        alarm=AlarmCalibration(threshold=1.75, quantile=0.999, windows=1000, precision="fp32"),
        cameras={"door": door_alarm()},
    )


def door_alarm() -> AlarmCalibration:
    return AlarmCalibration(
        threshold=2.5, method="pot", begin_seconds=0.2, end_seconds=1, cool_down_seconds=30, smoothing_seconds=2,
        target_per_day=1, expected_per_day=1, interval_per_day=(0.5, 1.75), promised=True, hours=30, fps=12.5,
        windows=1000, precision="fp16", normal=NormalScores(size=9, scores=(0.5, 1, 2), at_least=(9, 4, 1)),
    )  # fmt: skip


def verdict(spearman: float) -> Verdict:
    figures = Comparison(
        windows=9, median_abs=0.0, p99_abs=1e-6, p999_abs=1e-6, max_abs=1e-6, max_error=1e-6, spearman=spearman,
        tail_spearman=1.0, alarm_threshold=2.0, alarm_agreement=1.0, non_finite=0,
    )  # fmt: skip
    return check_limits(figures, LIMITS["fp16"])


def content_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return content


def sign(folder: Path, content: dict[str, Any]) -> None:
    """Write a manifest whose checksum is right, whatever else it says."""
    content = {key: value for key, value in content.items() if key != "checksum"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    content["checksum"] = hashlib.sha256(canonical.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(content))


def assert_refused(folder: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_bundle(folder)
    for word in (str(folder), *words):
        assert word in caught.value.message


def test_what_was_written_is_read_again(tiny: Path) -> None:
    bundle = read_bundle(tiny)
    assert bundle == Bundle(tiny, make_manifest(tiny))
    assert bundle.graph("fp32").read_bytes() == GRAPHS["scorer.fp32.onnx"]
    assert bundle.graph("fp16").read_bytes() == GRAPHS["scorer.fp16.onnx"]
    assert bundle.manifest.alarm is not None
    assert bundle.manifest.alarm.threshold == 1.75


def add_cameras(folder: Path, names: list[str], start: threading.Barrier) -> None:
    """Add cameras one after the other, as other processes do it at the same time."""
    bundle = read_bundle(folder)
    start.wait()
    for name in names:
        update_manifest(bundle, lambda now, name=name: {"cameras": {**now.cameras, name: door_alarm()}})


def test_what_several_processes_add_at_once_is_all_there(tiny: Path) -> None:
    spawn = multiprocessing.get_context("fork")
    start = spawn.Barrier(3)
    names = [[f"hall{process}-{index}" for index in range(5)] for process in range(3)]
    processes = [spawn.Process(target=add_cameras, args=(tiny, some, start)) for some in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert set(read_bundle(tiny).manifest.cameras) == {"door"}.union(*names)


def test_a_change_keeps_what_others_changed_since_the_bundle_was_read(tiny: Path) -> None:
    bundle = read_bundle(tiny)
    options = BuildOptions(batch=(1, 2, 3))
    update_manifest(bundle, lambda _: {"engine_options": options})
    changed = update_manifest(bundle, lambda _: {"alarm": door_alarm()})
    assert changed == read_bundle(tiny)
    assert changed.manifest.engine_options == options
    assert changed.manifest.alarm == door_alarm()


def test_a_result_for_a_bundle_that_was_exported_again_is_not_written(tiny: Path) -> None:
    bundle = read_bundle(tiny)
    (tiny / "scorer.fp32.onnx").write_bytes(b"another model")
    manifest = make_manifest(tiny)
    write_manifest(tiny, manifest)
    with pytest.raises(InputError, match=r"exported again in the meantime.*Run the command again"):
        update_manifest(bundle, lambda _: {"alarm": door_alarm()})
    assert read_bundle(tiny).manifest == manifest


def test_a_camera_has_its_own_alarm_or_that_of_all(tiny: Path) -> None:
    bundle = read_bundle(tiny)
    assert bundle.alarm_for("door") == door_alarm()
    assert bundle.alarm_for("yard") == bundle.manifest.alarm
    without = bundle.manifest.model_copy(update={"alarm": None})
    assert Bundle(tiny, without).alarm_for("yard") is None


def test_the_rule_of_an_alarm_is_what_it_was_calibrated_with() -> None:
    assert door_alarm().rule() == AlarmRule(
        2.5, 2.5, 0.2, 1, 30, 2, hold_seconds=0
    )  # as before scores were held
    held = door_alarm().model_copy(update={"hold_seconds": 1.5})
    assert held.rule() == AlarmRule(2.5, 2.5, 0.2, 1, 30, 2, 1.5)


@pytest.mark.parametrize(
    "fields",
    [
        {"at_least": (9, 4)},
        {"at_least": (8, 4, 1)},
        {"at_least": (9, 9, 1)},
        {"at_least": (9, 4, 0)},
        {"scores": (0.5, 0.5, 2)},
        {"scores": (0.5, float("inf"), 2)},
        {"scores": (), "at_least": ()},
    ],
)
def test_normal_scores_that_are_no_sample_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NormalScores.model_validate({"size": 9, "scores": (0.5, 1, 2), "at_least": (9, 4, 1), **fields})


def test_a_bundle_may_be_moved(tiny: Path, tmp_path: Path) -> None:
    shutil.move(tiny, tmp_path / "elsewhere")
    assert read_bundle(tmp_path / "elsewhere").graph("fp32").is_file()


def test_a_precision_that_is_not_there_is_refused_by_name(tiny: Path) -> None:
    manifest = make_manifest(tiny).model_copy(update={"precisions": {"fp32": "scorer.fp32.onnx"}})
    with pytest.raises(InputError, match=r"no fp16 graph; it has fp32\."):
        Bundle(tiny, manifest).graph("fp16")


@pytest.mark.parametrize("name", GRAPHS)
def test_a_changed_byte_of_a_file_is_noticed(tiny: Path, name: str) -> None:
    content = bytearray((tiny / name).read_bytes())
    content[3] ^= 1
    (tiny / name).write_bytes(content)
    assert_refused(tiny, name, "changed")


@pytest.mark.parametrize("name", GRAPHS)
def test_a_missing_file_is_named(tiny: Path, name: str) -> None:
    (tiny / name).unlink()
    assert_refused(tiny, name, "missing")


def test_a_changed_threshold_is_noticed(tiny: Path) -> None:
    text = (tiny / "manifest.json").read_text()
    assert "1.75" in text
    (tiny / "manifest.json").write_text(text.replace("1.75", "9.75"))
    assert_refused(tiny, "manifest.json", "changed", "daflow-calibrate alarm")


def test_a_manifest_without_a_checksum_is_refused(tiny: Path) -> None:
    content = content_of(tiny)
    del content["checksum"]
    (tiny / "manifest.json").write_text(json.dumps(content))
    assert_refused(tiny, "manifest.json", "changed")


@pytest.mark.parametrize("schema", [0, 1, 2, 4, "3", None])
def test_another_schema_says_what_to_do(tiny: Path, schema: object) -> None:
    sign(tiny, {**content_of(tiny), "schema": schema})
    assert_refused(tiny, f"schema {schema!r}", "reads 3", "version of daflow")


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "null", '{"format": "zip"}', "[" * 100_000])
def test_something_else_is_no_manifest(tiny: Path, content: str) -> None:
    (tiny / "manifest.json").write_text(content)
    assert_refused(tiny, "manifest.json")


def test_json_that_is_nested_almost_too_deeply_is_refused(tiny: Path) -> None:
    for depth in range(900, 1000):
        nested = "[" * depth + "]" * depth
        (tiny / "manifest.json").write_text(f'{{"format": "daflow-bundle", "schema": 3, "model": {nested}}}')
        assert_refused(tiny, "manifest.json")


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    assert_refused(tmp_path, "not a bundle", "daflow-export")
    assert_refused(tmp_path / "missing", "not a bundle")


@pytest.mark.parametrize(
    "name", ["../outside", "engines/../../outside", "/etc/hostname", "..\\outside", "nul\0", "x" * 5000]
)
def test_a_file_name_that_leaves_the_bundle_or_cannot_be_is_refused(tiny: Path, name: str) -> None:
    (tiny.parent / "outside").write_bytes(b"secret")
    content = content_of(tiny)
    content["files"][name] = sha256(tiny.parent / "outside")
    sign(tiny, content)
    assert_refused(tiny)


@pytest.mark.parametrize("field", ["precisions", "files", "ranges"])
def test_a_file_in_a_folder_of_the_bundle_is_no_file_of_it(tiny: Path, field: str) -> None:
    shutil.copytree(tiny, tiny / "sub")
    content = content_of(tiny)
    if field == "precisions":
        content["precisions"]["fp32"] = "sub/scorer.fp32.onnx"
        content["files"]["sub/scorer.fp32.onnx"] = content["files"]["scorer.fp32.onnx"]
    elif field == "files":
        content["files"]["sub/verification.html"] = content["files"]["verification.html"]
    else:
        content["int8"]["ranges"] = "sub/int8.ranges.json"
    sign(tiny, content)
    assert_refused(tiny, "sub/", "is not the plain name of a file in the folder")


def test_what_a_link_leads_to_is_checked_too(tiny: Path) -> None:
    """A store of packages may keep the files elsewhere; what is there must have the hash of the manifest."""
    outside = tiny.parent / "outside"
    outside.write_bytes(GRAPHS["scorer.fp32.onnx"])
    (tiny / "scorer.fp32.onnx").unlink()
    (tiny / "scorer.fp32.onnx").symlink_to(outside)
    assert read_bundle(tiny).manifest == make_manifest(tiny)
    outside.write_bytes(b"something else")
    assert_refused(tiny, "scorer.fp32.onnx", "changed")
    outside.unlink()
    assert_refused(tiny, "scorer.fp32.onnx", "missing")
    (tiny / "scorer.fp32.onnx").unlink()
    (tiny / "scorer.fp32.onnx").symlink_to("/dev/zero")
    assert_refused(tiny, "scorer.fp32.onnx", "missing")


@pytest.mark.parametrize("field", ["model", "training"])
@pytest.mark.parametrize("depth", [30, 300, 900])
def test_what_is_nested_deeper_than_can_be_written_again_is_refused(
    tiny: Path, field: str, depth: int
) -> None:
    nested: dict[str, Any] = {}
    for _ in range(depth):
        nested = {"a": nested}
    sign(tiny, {**content_of(tiny), field: nested})
    assert_refused(tiny, "manifest.json")


@pytest.mark.parametrize("schema", ["x" * 10**5, [[[]]], {"a": 1}, 10**300, True])
def test_a_schema_of_any_kind_is_named_in_short(tiny: Path, schema: object) -> None:
    sign(tiny, {**content_of(tiny), "schema": schema})
    with pytest.raises(InputError, match="has bundle schema") as caught:
        read_bundle(tiny)
    assert len(caught.value.message) < 400 + len(str(tiny))


def test_engines_come_and_go_without_a_word_in_the_manifest(tiny: Path) -> None:
    (tiny / ENGINE).write_bytes(b"another engine")
    (tiny / "engines" / "fp16.sm87.tensorrt.engine").write_bytes(b"built on a device")
    assert read_bundle(tiny).manifest == make_manifest(tiny)
    shutil.rmtree(tiny / "engines")
    assert read_bundle(tiny).manifest == make_manifest(tiny)


def test_an_engine_of_the_bundle_is_tied_to_its_graph_and_options(tiny: Path) -> None:
    key = read_bundle(tiny).engine_key("fp16", "tensorrt", "10.3.0", "sm87", "Orin")
    assert key.graph == sha256(tiny / "scorer.fp16.onnx")
    assert key.options.batch == (1, 4, 32)
    assert key.file_name == "fp16.sm87.tensorrt.engine"


def test_a_bundle_of_an_earlier_version_has_two_more_engine_options(tiny: Path) -> None:
    content = content_of(tiny)
    content["engine_options"] |= {"version_compatible": False, "hardware_compatible": True}
    sign(tiny, content)
    bundle = read_bundle(tiny)
    assert bundle.manifest == make_manifest(tiny)
    write_manifest(tiny, bundle.manifest)
    assert set(content_of(tiny)["engine_options"]) == {"batch", "workspace"}


def test_a_precision_that_missed_its_limits_says_so(tiny: Path) -> None:
    bundle = read_bundle(tiny)
    assert bundle.missed_limits("fp32") == ()
    assert bundle.missed_limits("int8") == ()
    (phrase,) = bundle.missed_limits("fp16")
    assert phrase == "spearman is 0.500000, at least 0.9995 is required"


def test_a_file_without_a_hash_is_refused(tiny: Path) -> None:
    (tiny / "other").write_bytes(b"unchecked")
    content = content_of(tiny)
    content["precisions"]["fp16"] = "other"
    sign(tiny, content)
    assert_refused(tiny, "no hash of other")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("window", 1),
        ("window", "many"),
        ("max_missing", -1),
        ("joints", "coco17"),
        ("normalising", "none"),
        ("precisions", {"int2": "scorer.fp32.onnx"}),
        ("files", {"scorer.fp32.onnx": "abc"}),
        ("alarm", {"threshold": float("nan"), "quantile": 0.5, "windows": 1, "precision": "fp32"}),
        ("surprise", 1),
    ],
)
def test_a_value_that_cannot_be_is_named(tiny: Path, key: str, value: object) -> None:
    sign(tiny, {**content_of(tiny), key: value})
    assert_refused(tiny, "damaged", key)


def read_or_refuse(folder: Path) -> Bundle | None:
    try:
        return read_bundle(folder)
    except InputError:
        return None


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_manifest(fuzzed: Path, content: bytes) -> None:
    (fuzzed / "manifest.json").write_bytes(content)
    assert read_or_refuse(fuzzed) is None


@settings(deadline=None)
@given(st.integers(0), st.integers(0, 255))
def test_a_changed_byte_of_the_manifest_changes_nothing_or_is_refused(
    fuzzed: Path, position: int, value: int
) -> None:
    write_manifest(fuzzed, make_manifest(fuzzed))
    content = bytearray((fuzzed / "manifest.json").read_bytes())
    content[position % len(content)] = value
    (fuzzed / "manifest.json").write_bytes(content)
    assert read_or_refuse(fuzzed) in (None, Bundle(fuzzed, make_manifest(fuzzed)))


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
anything = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(sorted({"schema", *Manifest.model_fields} - {"schema_version"})), anything)
@example("parameters", 10**400)
@example("files", {".": "0" * 64})
@example("files", {"x" * 300: "0" * 64})
@example("daflow", "\ud800")
@example("nodes", {"fp32": 10**400})
@example("fps", 1e-320)
@example("fps", 10**400)
def test_a_signed_manifest_with_any_value_is_read_or_refused(fuzzed: Path, key: str, value: Any) -> None:
    write_manifest(fuzzed, make_manifest(fuzzed))
    sign(fuzzed, {**content_of(fuzzed), key: value})
    bundle = read_or_refuse(fuzzed)
    if bundle is not None:
        assert set(bundle.manifest.precisions.values()) <= set(bundle.manifest.files)
        assert all(sha256(fuzzed / name) == digest for name, digest in bundle.manifest.files.items())
        options = BuildOptions(batch=(1, 2, 3))
        changed = update_manifest(bundle, lambda _: {"engine_options": options})
        assert changed.manifest.engine_options == read_bundle(fuzzed).manifest.engine_options == options

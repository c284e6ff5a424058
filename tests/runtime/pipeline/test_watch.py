from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daflow.core.alarms.reasons import why
from daflow.core.bundle import Bundle
from daflow.core.errors import InputError
from runtime.pipeline.watch import watch
from runtime.sources.frames import Frame, Keypoints, SourceStatus
from runtime.sources.uri import open_source

FALL = "synthetic:seed=3,event=fall"


def test_the_alarm_of_a_generated_fall_begins_and_ends(bundle: Bundle) -> None:
    results = list(watch(FALL, str(bundle.folder)))
    assert [result.frame.index for result in results] == list(range(len(results)))
    assert bundle.manifest.alarm is not None
    assert {result.threshold for result in results} == {bundle.manifest.alarm.threshold}
    changes = [result.change for result in results if result.change]
    assert changes[:2] == ["begin", "end"]
    begin = next(result for result in results if result.change == "begin")
    assert begin.alarm
    assert begin.worst is not None
    assert begin.score is not None
    assert begin.score > begin.threshold
    on = [result.alarm for result in results]
    first, last = (
        next(i for i, r in enumerate(results) if r.change == change) for change in ("begin", "end")
    )
    assert all(on[first:last])
    assert not any(on[:first])
    assert not on[last]


def test_a_bundle_that_was_read_and_another_threshold(bundle: Bundle) -> None:
    (first, *_) = watch("synthetic:frames=30", bundle, threshold=77.0, camera="door")
    assert (first.camera, first.threshold) == ("door", 77.0)
    assert not any(result.alarm for result in watch(FALL, bundle, threshold=1000.0))


def test_without_a_bundle_the_model_of_the_package_watches(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert any(result.alarm for result in watch(FALL))
    assert "the model of the package is used" in caplog.text


class Pictures:
    """A source of pictures that counts how often it was closed."""

    fps, frames = 25.0, None
    status = SourceStatus("streaming")

    def __init__(self) -> None:
        self.closed = 0

    def __iter__(self) -> Iterator[Frame]:
        for index in range(1000):
            yield Frame(index, index / 25, (64, 48), np.zeros((48, 64, 3), dtype=np.uint8))

    def __enter__(self) -> Pictures:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed += 1


class Nobody:
    """A pose estimator that finds nobody, and counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def estimate(self, frame: Frame) -> Keypoints:
        return np.zeros((0, 17, 3), dtype=np.float32)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def estimator(monkeypatch: pytest.MonkeyPatch) -> Nobody:
    nobody = Nobody()
    monkeypatch.setattr("runtime.poses.people.open_estimator", lambda options: nobody)
    return nobody


def test_leaving_the_loop_closes_the_source_and_the_estimator(bundle: Bundle, estimator: Nobody) -> None:
    source = Pictures()
    for result in watch(source, bundle):
        assert source.closed == estimator.closed == 0
        if result.frame.index == 5:
            break
    assert (source.closed, estimator.closed) == (1, 1)


def test_an_error_closes_the_source_and_the_estimator(
    bundle: Bundle, estimator: Nobody, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(frame: Frame) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(estimator, "estimate", fail)
    source = Pictures()
    with pytest.raises(RuntimeError, match="out of memory"):
        next(watch(source, bundle))
    assert (source.closed, estimator.closed) == (1, 1)


def test_an_opened_source_is_watched_and_closed(bundle: Bundle) -> None:
    source = open_source("synthetic:frames=0,event=none")
    results = watch(source, bundle)
    assert [next(results).frame.index for _ in range(30)] == list(range(30))
    results.close()
    assert list(source) == []


def test_a_source_without_frames_has_no_results(bundle: Bundle) -> None:
    class Empty(Pictures):
        def __iter__(self) -> Iterator[Frame]:
            return iter(())

    assert list(watch(Empty(), bundle)) == []


def test_a_path_is_a_file_whatever_it_is_called(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "0"))):
        next(watch(tmp_path / "0", bundle))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"people": "crowd"}, "people: Input should be 'auto', 'one', 'few' or 'many'"),
        ({"scorer": "abacus"}, "scorer: Input should be 'onnxruntime' or 'tensorrt'"),
        ({"precision": "int8"}, "has no int8 graph; it has fp32"),
        ({"threshold": float("nan")}, "alarm.threshold: Input should be a finite number"),
    ],
)
def test_a_wrong_option_is_named(bundle: Bundle, options: dict[str, Any], words: str) -> None:
    source = Pictures()
    with pytest.raises(InputError) as caught:
        next(watch(source, bundle, **options))
    assert words in caught.value.message
    assert source.closed == 1


def test_a_generated_fall_says_why_it_is_one(evidence_bundle: Path) -> None:
    """From the graph to the words: with evidence beside the flow, a fall is told by its posture or movement."""
    results = list(watch(FALL, str(evidence_bundle)))
    begin = next(result for result in results if result.change == "begin")
    assert begin.worst is not None
    assert begin.unit == "bits"
    assert begin.worst.score == pytest.approx(
        sum(reason.surprise for reason in begin.worst.reasons), rel=1e-4
    )
    assert begin.worst.reasons[0].channel in ("shape", "motion")
    assert re.match(r"a (posture|movement) ", why(begin.worst.reasons) or "")

"""Which recordings labelled alarms are in, what each is for, and whether an alarm is raised again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.tracks import write_clips
from runtime.commissioning.labelled_alarms import RealAlarm, find_labelled
from runtime.commissioning.recordings import Recordings, Span
from runtime.json_values import iso


def span(number: int, camera: str = "camera", live: bool = True) -> Span:
    begin = 1000.0 + 300.0 * number
    return Span(f"{camera}_{number:03d}", camera, begin, begin + 299.0, 2.0, 297.0, live)


def alarm(began: float, label: str | None, camera: str = "camera", seconds: float = 5.0) -> dict[str, Any]:
    return {
        "id": f"{began}",
        "camera": camera,
        "began_utc": iso(began),
        "ended_utc": iso(began + seconds),
        "label": label,
    }


def test_an_alarm_is_in_the_recordings_of_its_camera_and_its_time() -> None:
    spans = [span(0), span(1), span(2), span(1, "gate")]
    found = find_labelled(
        [
            alarm(1100.0, "real"),
            alarm(1595.0, "false"),  # until the next recording
            alarm(1450.0, None),
            alarm(99.0, "false"),  # of which there is no recording
            alarm(1100.0, "false", "hall"),
            {"id": "x", "camera": "camera", "began_utc": None, "label": "real"},
        ],
        spans,
    )
    assert found.real_clips == {"camera_000"}
    assert found.false_clips == {"camera_001", "camera_002"}
    assert (len(found.real), found.false_alarms, found.unlabelled) == (1, 1, 1)
    both = find_labelled([alarm(1100.0, "real"), alarm(1200.0, "false")], spans)
    assert (both.real_clips, both.false_clips) == ({"camera_000"}, frozenset())
    assert find_labelled([], spans).words({}) is None


def test_false_alarms_are_calibrated_on_with_their_share_of_the_time() -> None:
    spans = [span(number) for number in range(100)]
    names = [each.clip for each in spans]
    plain = find_labelled([], spans).deal(names)
    for false in (1, 2, 3, 5, 10, 40):
        found = find_labelled([alarm(each.begin + 100, "false") for each in spans[:false]], spans)
        parts = found.deal(names)
        calibrated = Counter(parts[name] for name in found.false_clips)["calibrate"]
        assert 1 <= calibrated <= 0.4 * false + 1, "two of each five, and the first"
        others = {name: part for name, part in parts.items() if name not in found.false_clips}
        assert others == {name: plain[name] for name in others}, "the others are for what they were"
        assert f"labelled false: {false} alarm" in (found.words(parts) or "")
    few = find_labelled([alarm(spans[4].begin + 100, "false")], spans[:5])
    assert few.deal(names[:5]) == {name: plain[name] for name in names[:5]}, "one is needed to check"
    real = find_labelled([alarm(spans[7].begin + 100, "real")], spans).deal(names)
    assert real == {name: part for name, part in plain.items() if name != names[7]}


@pytest.mark.parametrize(
    ("live", "times", "raised"),
    [
        (True, [(97.0, 99.0)], True),  # 2 s of the recording are before the first person
        (True, [(10.0, 20.0)], False),
        (True, [(150.0, 160.0)], False),
        (True, [], False),
        (False, [(10.0, 20.0)], True),  # watched faster than time
        (False, [], False),
    ],
)
def test_an_alarm_is_raised_where_it_was(live: bool, times: list[tuple[float, float]], raised: bool) -> None:
    real = RealAlarm("a", 1100.0, 1105.0, (span(0, live=live),))
    assert real.is_raised({"camera_000": times, "camera_001": [(97.0, 99.0)]}) is raised


def test_recordings_say_when_they_were_made(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    names = ["camera_20261120T080500Z", "camera_20261120T080500Z-2", "other"]
    clips = [generate_clip(name, 1, Scene(frames=250, fps=25))[0] for name in names]
    write_clips(recordings.new_run(), clips[:1])
    watched = recordings.new_run(["camera"])
    write_clips(watched, clips[1:])
    recordings.complete(watched, ["camera"])
    assert recordings.new_run().name == "0003", "what is complete is kept"
    live, file = recordings.spans()
    assert (live.clip, live.camera, live.live, file.live) == (names[0], "camera", True, False)
    assert live.begin == file.begin == 1795161900.0
    assert live.seconds == pytest.approx(250 / 25, abs=1.0)
    assert live.end == pytest.approx(live.begin + live.first + live.seconds)
    assert file.end > live.end, "when its file was written"

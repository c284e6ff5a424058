from __future__ import annotations

import gzip
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from runtime.replays.skeletons import (
    MAX_BYTES,
    AlarmSkeletons,
    RecordedFrame,
    RecordedPerson,
    decode,
    encode,
)


def skeletons(frames: int = 30, people: int = 2, noise: float = 0.0) -> AlarmSkeletons:
    chance = np.random.default_rng(0)

    def person(number: int) -> RecordedPerson:
        keypoints = np.full((18, 3), 0.25, dtype=np.float32)
        keypoints += noise * chance.random((18, 3), dtype=np.float32)
        return RecordedPerson(number, 6.25 if number else None, keypoints)

    recorded = tuple(
        RecordedFrame(index / 10 - 1.0, tuple(person(number) for number in range(people)))
        for index in range(frames)
    )
    return AlarmSkeletons(
        id="a" * 32, camera="door", began_utc=1_700_000_000.25, frame_size=(640, 480), threshold=5.0, unit="bits",
        peak=0.5, seconds=1.5, complete=True, raised=frozenset({1}), frames=recorded, outline=b"png",
    )  # fmt: skip


def test_the_stored_form_is_json_that_says_who_raised_the_alarm() -> None:
    stored = encode(skeletons())
    message = json.loads(gzip.decompress(stored))
    assert message["began_utc"] == "2023-11-14T22:13:20.250+00:00"
    assert {name: message[name] for name in ("schema", "camera", "frame_size", "peak", "raised")} == {
        "schema": 1, "camera": "door", "frame_size": [640, 480], "peak": 0.5, "raised": [1],
    }  # fmt: skip
    frame = message["frames"][10]
    assert frame["time"] == 0.0
    assert [(each["person"], each["score"], each["raised"]) for each in frame["people"]] == [
        (0, None, False),
        (1, 6.25, True),
    ]
    assert frame["people"][0]["joints"] == [0.25] * 54


def test_it_comes_back_as_it_was() -> None:
    before = skeletons(noise=0.1)
    after = decode(encode(before))
    assert replace(after, frames=()) == replace(before, frames=())
    assert len(after.frames) == len(before.frames)
    for a, b in zip(after.frames, before.frames, strict=True):
        assert a.time == pytest.approx(b.time)
        for x, y in zip(a.people, b.people, strict=True):
            assert (x.person, x.score) == (y.person, y.score)
            np.testing.assert_allclose(x.keypoints, y.keypoints, atol=0.006)
    endless = replace(before, threshold=math.inf, seconds=None, peak=None, complete=False)
    assert decode(encode(endless)).threshold == math.inf
    assert decode(encode(endless)).seconds is None


def test_joints_that_are_nowhere_are_unknown() -> None:
    odd = skeletons(frames=1, people=1)
    keypoints = odd.frames[0].people[0].keypoints
    keypoints[0, 0], keypoints[1, 1], keypoints[2, 2], keypoints[3, 0] = np.nan, np.inf, np.nan, 1e6
    read = decode(encode(odd)).frames[0].people[0].keypoints
    assert (read[:4] == 0).all()
    assert (read[4:] == 0.25).all()


def test_what_would_be_too_large_is_thinned() -> None:
    large = skeletons(frames=800, people=20, noise=0.7)
    stored = encode(large)
    assert len(stored) <= MAX_BYTES
    times = [frame.time for frame in decode(stored).frames]
    assert np.diff(times) == pytest.approx(times[1] - times[0], abs=0.002)
    assert times[0] == large.frames[0].time
    assert times[-1] > large.frames[-1].time - 1

"""Whether there is enough normal data: people and minutes count, not tracks and windows."""

from __future__ import annotations

import numpy as np
import pytest

from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.data.windows import make_windows
from daflow.training.data_check import enough_data, seconds_with_people, strangest_tracks


@pytest.mark.parametrize(
    ("people", "spread", "expected"),
    [(5, 0.1, "WARNING: 5 people, 30.0 minutes are too few"), (40, 1.0, "WARNING: 40 people, 30.0 minutes are little"),
     (200, 1.0, "enough normal data: 200 people"), (20, 0.01, "10 people)")],
)  # fmt: skip
def test_enough_data_follows_from_how_much_people_differ(people: int, spread: float, expected: str) -> None:
    medians = np.random.default_rng(0).normal(0, spread, people)
    nll = np.repeat(medians, 30).astype(np.float32)
    text = enough_data(nll, np.repeat(np.arange(people), 30), people, 30.0)
    assert expected in text
    if "little" in text:
        assert needed(text) == pytest.approx((spread / 0.1) ** 2, rel=0.5)


def needed(text: str) -> int:
    return int(text.split("About ")[1].split(maxsplit=1)[0])


def test_one_extreme_window_or_person_does_not_decide() -> None:
    nll = np.repeat(np.random.default_rng(0).normal(0, 1, 40), 30).astype(np.float32)
    person = np.repeat(np.arange(40), 30)
    before = needed(enough_data(nll, person, 40, 30.0))
    nll[0] = 345
    assert needed(enough_data(nll, person, 40, 30.0)) == before
    nll[:30] = 345
    assert needed(enough_data(nll, person, 40, 30.0)) < 1.5 * before


def test_fragments_and_minutes_are_told() -> None:
    text = enough_data(np.zeros(580, np.float32), np.arange(580) % 6, 58, 1.3)
    assert (
        "58 tracks, 6 people after joining tracks that continue each other, 1.3 minutes are too few" in text
    )
    text = enough_data(np.zeros(580, np.float32), np.arange(580) % 58, 58, 1.3)
    assert "WARNING: 58 people, 1.3 minutes are too few" in text, "many people in a short time are little too"


def test_a_frame_counts_once_however_many_people_are_in_it() -> None:
    clips = [generate_clip(f"c{index}", index, Scene(frames=250, people=4))[0] for index in range(2)]
    seconds = seconds_with_people(make_windows(clips, stride=6), (25.0, 25.0))
    frames = sum(len(np.unique(np.concatenate([t.frames for t in clip.tracks]))) for clip in clips)
    assert frames / 25 - 2 < seconds <= frames / 25


def test_a_clip_of_twice_the_rate_lasts_half_as_long() -> None:
    clips = [generate_clip(f"c{index}", 3, Scene(frames=250, people=2))[0] for index in range(2)]
    windows = make_windows(clips, stride=6)
    one, both = (seconds_with_people(windows, rates) for rates in ((25.0, 1e9), (25.0, 50.0)))
    assert both == pytest.approx(1.5 * one)


def test_the_strangest_tracks_are_named_by_their_medians() -> None:
    """One window of 1000 does not make a track strange; windows that are all high do."""
    scores = np.ones((12, 5))
    scores[3, 0] = 1000
    scores[7] = 40
    clip, person = np.repeat(np.arange(12) % 3, 5), np.repeat(np.arange(12), 5)
    said = strangest_tracks(scores.ravel(), clip, person, ["a", "b", "c"], "bits")
    assert said.startswith("the strangest tracks are person 7 of b (40.00 bits), ")
    assert said.count("(1.00)") == 2
    assert strangest_tracks(scores[:9].ravel(), clip[:45], person[:45], ["a", "b", "c"], "bits") == ""

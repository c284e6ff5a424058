from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daflow.commands.demo import _without_dips

NAN = np.nan


def curve(people: list[str], scores: list[float]) -> list[float]:
    return [round(float(score), 3) for score in _without_dips(people, np.array(scores))]


def test_a_person_who_was_missed_for_some_frames_does_not_let_the_curve_drop() -> None:
    assert curve(["1", "2", "1"], [4.0, 0.5, 4.0]) == [4.0, 4.0, 4.0]
    assert curve(["1", "", "", "2", "1"], [4.0, NAN, NAN, 0.5, 4.0]) == [4.0] * 5
    assert curve(["1", "2", "1"], [4.0, 6.0, 4.0]) == [4.0, 6.0, 4.0], (
        "somebody else moves still more abnormally"
    )


def test_what_is_really_gone_is_not_drawn() -> None:
    gone = curve(["1", *[""] * 6, "1"], [4.0, *[NAN] * 6, 4.0])
    assert np.isnan(gone[1:7]).all()
    assert curve(["1", "2", "2", "3"], [4.0, 0.5, 0.5, 0.4]) == [4.0, 0.5, 0.5, 0.4]
    assert np.isnan(curve(["", "", "1"], [NAN, NAN, 4.0])[:2]).all()


@given(st.lists(st.tuples(st.sampled_from(["", "1", "2", "3"]), st.floats(-10, 10)), max_size=60))
def test_the_curve_is_never_below_the_scores_nor_above_the_highest(rows: list[tuple[str, float]]) -> None:
    people = [person for person, _ in rows]
    scores = np.array([score if person else NAN for person, score in rows])
    bridged = _without_dips(people, scores)
    known = ~np.isnan(scores)
    assert (bridged[known] >= scores[known]).all()
    assert not np.isnan(bridged[known]).any()
    if known.any():
        assert np.nanmax(bridged) <= np.nanmax(scores) + 1e-9

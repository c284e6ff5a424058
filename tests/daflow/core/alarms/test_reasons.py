"""What the channels of evidence say, in words."""

from __future__ import annotations

import pytest

from daflow.core.alarms.reasons import NOTABLE, Reason, rarity_of, reasons, why
from daflow.core.errors import InputError
from daflow.core.evidence import CHANNELS, EvidenceFacts, parse_channels


def test_no_share_is_told_that_the_normal_windows_do_not_show() -> None:
    assert rarity_of(9.0, 4000) == "as in 1 in 510 normal windows"
    for surprise in (12.0, 40.0, 1e30, float("inf")):
        assert rarity_of(surprise, 4000) == "rarer than 1 in 4\u202f000 normal windows"
    assert rarity_of(0.0, 4000) == "as in 1 in 1 normal windows"
    assert rarity_of(3.0, 0) == "rarer than 1 in 1 normal windows"


def test_the_strongest_is_always_told_and_others_when_they_are_notable() -> None:
    evidence = EvidenceFacts(channels=CHANNELS, windows=10_000)
    assert [r.channel for r in reasons(evidence, [1.0, 3.0, 2.0])] == ["shape", "motion", "flow"]
    assert why(reasons(evidence, [1.0, 3.0, 2.0])) == "a posture as in 1 in 8 normal windows"
    both = why(reasons(evidence, [1.0, 3.0 + NOTABLE, NOTABLE]))
    assert both == "a posture as in 1 in 260 normal windows; a movement as in 1 in 32 normal windows"
    assert why(()) is None
    assert why(reasons(evidence, [0.3, 0.9, 0.2])) is None


def test_channels_that_are_as_rare_are_told_together() -> None:
    evidence = EvidenceFacts(channels=CHANNELS, windows=500)
    all_three = why(reasons(evidence, [20.0, 80.0, 40.0]))
    assert all_three == "a posture, a movement and a sequence of poses rarer than 1 in 500 normal windows"
    two = why(reasons(evidence, [7.0, 80.0, 40.0]))
    assert two == (
        "a posture and a movement rarer than 1 in 500 normal windows; "
        "a sequence of poses as in 1 in 130 normal windows"
    )
    assert why([Reason("motion", 9.0, 500)]) == "a movement rarer than 1 in 500 normal windows"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("flow,sound", "'sound' is no channel"), ("shape", "needs the flow"), ("", "needs the flow")],
)
def test_channels_that_there_are_not(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_channels(text)

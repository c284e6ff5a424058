"""A camera whose people and scores the test chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from runtime.pipeline.results import FrameResult, Person
from runtime.sources.frames import Frame

THRESHOLD = 5.0


@pytest.fixture
def at() -> Callable[..., FrameResult]:
    """Return a function that makes the result at a time, of people by their scores."""

    def make(
        time: float,
        scores: Mapping[int, float | None],
        size: tuple[int, int] = (200, 100),
        fps: float = 25.0,
        **fields: object,
    ) -> FrameResult:
        people = []
        for person, score in scores.items():
            keypoints = np.full((18, 3), 0.9, dtype=np.float32)
            keypoints[:, 0] = np.linspace(10, 20, 18) + person
            keypoints[:, 1] = np.linspace(20, 80, 18)
            people.append(Person(person, keypoints, score, score))
        scored = [person for person in people if person.smoothed is not None]
        worst = max(scored, key=lambda person: person.smoothed or 0.0, default=None)
        alarm = worst is not None and (worst.smoothed or 0.0) > THRESHOLD
        frame = Frame(round(time * fps), time, size, utc=1_700_000_000 + time)
        return FrameResult(
            frame,
            tuple(people),
            worst,
            alarm,
            None,
            "door",
            THRESHOLD,
            unit="bits",
            **fields,  # type: ignore[arg-type]
        )

    return make

"""Replay the scores of a recording through the alarm, as the edge would have seen them; many thresholds at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from daflow.core.alarms.rule import AlarmRule, AlarmState, Held, Sustained
from daflow.core.alarms.zones import Zone, scored_poses
from daflow.core.data.clip import Clip
from daflow.core.data.skeleton import to_openpose

Values = npt.NDArray[np.float64]

SAMPLE_SECONDS = 2.0
"""Seconds between the moments that p-values are sampled at: twice the second that a window of 24 poses covers."""


@dataclass(frozen=True)
class Signal:
    """The scores of a replayed recording.

    Attributes:
        name: of the clip.
        times: `(F,)` seconds since its first frame.
        scores: `(F,)` highest smoothed score of each frame, NaN where nobody was scored.
        levels: `(F,)` what `scores` stayed above for `begin_seconds`, NaN where that is unknown.
        people: `(W,)` smoothed scores of all people in all frames.
        sample: `(N,)` those at moments two seconds apart.
        seconds: length of the recording.
    """

    name: str
    times: Values
    scores: Values
    levels: Values
    people: Values
    sample: Values
    seconds: float


@dataclass(frozen=True)
class Episode:
    """A time in which an alarm would have been on.

    Attributes:
        first: the frame in which it began.
        end: the first frame after it; the number of frames if it was still on in the last.
        peak: the highest level in it.
    """

    first: int
    end: int
    peak: float


def scored_frames(clip: Clip, zones: Mapping[str, Zone], fps: float) -> dict[int, set[int]]:
    """Return the numbers of the frames in which each person of a recording is to be scored, by person.

    Args:
        clip: the recording.
        zones: of its camera; without any everybody is scored everywhere.
        fps: frames per second.
    """
    found = {}
    for track in clip.tracks:
        keypoints = np.asarray(to_openpose(track.keypoints))
        chosen = scored_poses(zones, track.frames / fps, keypoints, clip.frame_size)
        found[track.person] = set(track.frames[chosen].tolist())
    return found


def make_signal(name: str, frames: Iterable[dict[int, float]], fps: float, rule: AlarmRule) -> Signal:
    """Pass the scores of a recording through the smoothing and the time rule of the alarm.

    Args:
        name: of the recording.
        frames: `{person: score}` of each frame.
        fps: frames per second.
        rule: its smoothing, lasting, hold and begin seconds are used.
    """
    smoother, sustained = rule.smoother(), Sustained(rule.begin_seconds)
    held: Held[float] = Held(rule.hold_seconds)
    worst: list[float] = []
    levels: list[float] = []
    people: list[float] = []
    sample: list[float] = []
    tick = -1
    for index, scored in enumerate(frames):
        time = index / fps
        smoothed = smoother.update(time, scored)
        score = max(held.update(time, smoothed).values(), default=None)
        level = sustained.update(time, score)
        worst.append(math.nan if score is None else score)
        levels.append(math.nan if level is None else level)
        people.extend(smoothed.values())
        if time // SAMPLE_SECONDS > tick:
            tick = int(time // SAMPLE_SECONDS)
            sample.extend(smoothed.values())
    return Signal(
        name,
        np.arange(len(worst)) / fps,
        np.array(worst),
        np.array(levels),
        np.array(people),
        np.array(sample),
        len(worst) / fps,
    )


def episodes(signal: Signal, rule: AlarmRule) -> Iterator[Episode]:
    """Yield the alarms that a rule would have raised, by the `AlarmState` of the edge."""
    alarm = AlarmState(rule)
    times, levels = signal.times.tolist(), signal.levels.tolist()
    scores = [None if math.isnan(s) else s for s in signal.scores.tolist()]
    above = np.flatnonzero(signal.levels > rule.threshold)
    index = 0
    while (next_above := int(np.searchsorted(above, index))) < len(above):
        index = int(above[next_above])
        change = alarm.decide(times[index], scores[index], levels[index])
        begin = index
        index += 1
        if change != "begin":
            continue
        while index < len(times) and alarm.decide(times[index], scores[index], levels[index]) != "end":
            index += 1
        yield Episode(begin, index, float(np.nanmax(signal.levels[begin:index])))
        index += 1

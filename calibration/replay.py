"""Replay recordings of normal behaviour frame by frame, with the scores, smoothing and alarm rule of the edge."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.pareto_tail import Values
from daflow.core.alarms.rule import AlarmRule, AlarmState, Held, Smoother, Sustained
from daflow.core.bundle import Bundle
from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_rate import FrameRate
from daflow.core.data.label_table import choose_clips
from daflow.core.data.track_files import Paths, name_paths
from daflow.core.data.tracks import DEFAULT_FPS, MAX_FRAMES, Clip, find_tracks, read_each
from daflow.core.data.windows import make_windows
from daflow.core.errors import InputError
from daflow.core.progress import track
from daflow.core.scoring.comparison import ScoreFunction
from daflow.core.scoring.onnx import open_graph

logger = logging.getLogger(__name__)

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
    """A time in which an alarm would have been on: begin and end in seconds, and the highest level."""

    begin: float
    end: float
    peak: float


def read_signals(
    bundle: Bundle,
    poses: Paths,
    fps: float | None,
    rule: AlarmRule,
    frame_size: FrameSize | None = None,
    clips: Sequence[str] = (),
) -> list[Signal]:
    """Score recordings with the bundle's FP32 graph and replay them as the edge does.

    Args:
        bundle: whose graph scores.
        poses: folder of pose tracks, or several.
        fps: frames per second of the recordings; None takes `frame_rates.json` beside the tracks. A clip that is not in
            there is taken to have the rate of the bundle, else 25, which the log says.
        rule: its smoothing and begin seconds are used; its threshold does not matter.
        frame_size: width and height in pixels of all clips; None as `daflow.core.data.tracks.find_tracks`.
        clips: patterns of the names of the clips to replay; none replays all.

    Returns:
        A signal for each clip that has at least one score.

    Raises:
        InputError: no clip can be read, or none gives a finite score.
    """
    broken: list[str] = []
    reasons: set[str] = set()
    signals = []
    found = {file.clip: file for file in find_tracks(poses, frame_size, fps)}
    files = list(choose_clips(found, clips, "track").values())
    assumed = bundle.manifest.fps or DEFAULT_FPS
    if unknown := sum(file.rate is None for file in files):
        logger.warning(
            "the frame rate of %d of %d clips is not known; %.3g frames per second are assumed (tell it with --fps)",
            unknown, len(files), assumed,
        )  # fmt: skip
    files = [replace(file, rate=file.rate or FrameRate.constant(assumed)) for file in files]
    with open_graph(bundle) as scorer:
        for clip in track(read_each(files, broken), "clips", len(files)):
            signal, reason = replay(clip, scorer.score, bundle, rule)
            if signal:
                signals.append(signal)
            elif reason:
                reasons.add(reason)
    if len(broken) == len(files):
        raise InputError(f"No pose track file in {name_paths(poses)} can be read. {broken[0]}")
    if not signals:
        why = "; ".join(sorted(reasons)) or "too few poses"
        raise InputError(f"{name_paths(poses)} has no window that can be scored: {why}.")
    return signals


def replay(
    clip: Clip, score: ScoreFunction, bundle: Bundle, rule: AlarmRule
) -> tuple[Signal | None, str | None]:
    """Score and replay one clip; return its signal, or None and the reason why nothing of it can be scored.

    A clip whose frame rate is not known is taken to have that of the bundle, else 25.

    Raises:
        InputError: the frame numbers are impossibly far apart.
    """
    manifest = bundle.manifest
    frames = [t.frames for t in clip.tracks]
    if not frames:
        return None, None
    first, last = min(int(f[0]) for f in frames), max(int(f[-1]) for f in frames)
    if last - first >= MAX_FRAMES:
        raise InputError(
            f"Clip {clip.name} has frame {last}, more than {MAX_FRAMES} after its first frame {first}. Check the frame "
            "numbers."
        )
    windows = make_windows([clip], manifest.window, 1, manifest.max_missing, fps=manifest.fps)
    if windows.rates:
        logger.warning("clip %s is not scored: %s", clip.name, "; ".join(windows.rates))
    nll = score(windows.poses).astype(np.float64)
    finite = np.isfinite(nll)
    if not finite.any():
        return None, windows.skipped() or None
    found = zip(
        windows.last[finite].tolist(), windows.person[finite].tolist(), nll[finite].tolist(), strict=True
    )
    by_frame: dict[int, dict[int, float]] = {}
    for frame, person, value in found:
        by_frame.setdefault(frame - first, {})[person] = value
    scores = (by_frame.get(frame, {}) for frame in range(last - first + 1))
    fps = clip.rate.fps if clip.rate else manifest.fps or DEFAULT_FPS
    return make_signal(clip.name, scores, fps, rule), None


def make_signal(name: str, frames: Iterable[dict[int, float]], fps: float, rule: AlarmRule) -> Signal:
    """Pass the scores of a recording through the smoothing and the time rule of the alarm.

    Args:
        name: of the recording.
        frames: `{person: score}` of each frame.
        fps: frames per second.
        rule: its smoothing, hold and begin seconds are used.
    """
    smoother, sustained = Smoother(rule.smoothing_seconds), Sustained(rule.begin_seconds)
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
        peak = float(np.nanmax(signal.levels[begin:index]))
        yield Episode(times[begin], times[min(index, len(times) - 1)], peak)
        index += 1

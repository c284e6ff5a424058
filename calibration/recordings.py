"""Read recordings of normal behaviour, score them, and replay them frame by frame as the edge sees a camera."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from daflow.core.alarms.replay import Signal, make_signal, scored_frames
from daflow.core.alarms.rule import AlarmRule
from daflow.core.alarms.zones import NO_ZONES, Zone
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


def read_signals(
    bundle: Bundle,
    poses: Paths,
    fps: float | None,
    rule: AlarmRule,
    frame_size: FrameSize | None = None,
    clips: Sequence[str] = (),
    zones: Mapping[str, Zone] = NO_ZONES,
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
        zones: of the camera, by name: where nobody is scored, or where alone.

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
            signal, reason = replay(clip, scorer.score, bundle, rule, zones)
            if signal:
                signals.append(signal)
            elif reason:
                reasons.add(reason)
    if len(broken) == len(files):
        raise InputError(f"No pose track file in {name_paths(poses)} can be read. {broken[0]}")
    if not any(len(signal.people) for signal in signals):
        if signals:
            reasons.add("nobody is where the zones let people be scored")
        why = "; ".join(sorted(reasons)) or "too few poses"
        raise InputError(f"{name_paths(poses)} has no window that can be scored: {why}.")
    return signals


def replay(
    clip: Clip, score: ScoreFunction, bundle: Bundle, rule: AlarmRule, zones: Mapping[str, Zone] = NO_ZONES
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
    fps = clip.rate.fps if clip.rate else manifest.fps or DEFAULT_FPS
    if zones and len(windows):
        scored = scored_frames(clip, zones, fps)
        ends = zip(windows.person.tolist(), windows.last.tolist(), strict=True)
        windows = windows.select(np.array([last in scored[person] for person, last in ends]))
        if not len(windows):  # a time in which nobody can raise an alarm, which counts
            return make_signal(clip.name, [{}] * (last - first + 1), fps, rule), None
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
    return make_signal(clip.name, scores, fps, rule), None

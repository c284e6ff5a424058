"""Are calibrated rates of false alarms kept? Promised against came, on recordings that nothing was calibrated on.

    python -m benchmarks.promises --bundle bundle/ --poses normal/ -o promises.md

The recordings are split in halves at random, again and again: a threshold is chosen on one half for each rate, and its
alarms are counted on the other. Beside the toolkit's way of choosing thresholds stand simpler ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from calibration.enough_recordings import reason_against_rate
from calibration.recordings import read_signals
from calibration.threshold import choose_block_maxima, choose_threshold
from daflow.core.alarms.calibration import COOL_DOWN_SECONDS
from daflow.core.alarms.replay import SAMPLE_SECONDS, Signal, Values, episodes
from daflow.core.alarms.rule import LASTING_SECONDS, AlarmRule
from daflow.core.bundle import read_bundle
from daflow.core.command_line import FILE, FOLDER, Command, fps_option, json_option, write_json
from daflow.core.errors import InputError
from daflow.core.files import write_text
from daflow.core.progress import track

RULE = AlarmRule(math.inf, math.inf, cool_down_seconds=COOL_DOWN_SECONDS)
PER_HOUR = (2.0, 5.0, 10.0, 20.0, 60.0)
TOOLKIT = "peaks over threshold (the toolkit's)"
_EPISODES_OF_TAIL = 40
_BET = 0.5  # of the e-detector: an e-value is _BET * p ** (_BET - 1)

Counter = Callable[[Sequence[Signal]], int]


@dataclass(frozen=True)
class Kept:
    """What came of a rate, over all splits.

    Attributes:
        grouped: what a half is made of, `recordings` or `cameras`.
        method: how the threshold was chosen.
        per_hour: the requested false alarms per hour.
        ratios: what came on the other half by what was requested, for each split.
        promised: in how many splits the recordings supported the rate; None where the method promises nothing.
    """

    grouped: str
    method: str
    per_hour: float
    ratios: tuple[float, ...]
    promised: int | None


def threshold_counter(threshold: float) -> Counter:
    """Return what counts the alarms at a threshold."""
    rule = replace(RULE, threshold=threshold, release=threshold)
    return lambda signals: sum(1 for signal in signals for _ in episodes(signal, rule))


def peaks_over_threshold(signals: Sequence[Signal], per_hour: float) -> Counter:
    """As `daflow-calibrate alarm`."""
    return threshold_counter(choose_threshold(signals, RULE, 24 * per_hour).threshold)


def block_maxima(signals: Sequence[Signal], per_hour: float) -> Counter:
    """The order statistic of the highest levels of blocks of time."""
    return threshold_counter(choose_block_maxima(signals, 24 * per_hour).threshold)


def quantile_of_episodes(signals: Sequence[Signal], per_hour: float) -> Counter:
    """The lowest threshold at which these recordings raise no more alarms than requested."""
    allowed = per_hour * hours(signals)
    candidates = np.unique(_levels(signals)).tolist()
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if threshold_counter(candidates[middle])(signals) <= allowed:
            high = middle
        else:
            low = middle + 1
    return threshold_counter(candidates[low])


def exponential_tail(signals: Sequence[Signal], per_hour: float) -> Counter:
    """An exponential distribution of the peaks of about 40 episodes, extrapolated."""
    for level in np.unique(np.quantile(_levels(signals), 1 - np.geomspace(0.3, 1e-4, 40))).tolist():
        rule = replace(RULE, threshold=level, release=level)
        peaks = [episode.peak for signal in signals for episode in episodes(signal, rule)]
        if len(peaks) <= _EPISODES_OF_TAIL:
            break
    rate = len(peaks) / hours(signals)
    if rate <= per_hour:
        return quantile_of_episodes(signals, per_hour)
    return threshold_counter(level + (np.mean(peaks) - level) * math.log(rate / per_hour))


def e_detector(signals: Sequence[Signal], per_hour: float) -> Counter:
    """Bets on the rarity of the level every two seconds, and alarms when the capital reaches a bound from theory.

    If levels two seconds apart were independent, at most one false alarm would come in `bound` bets (Shin, Ramdas and
    Rinaldo, "E-detectors", New England J. Stat. Data Sci. 2, 2024).
    """
    normal = np.sort(np.concatenate([_moments(signal) for signal in signals]))
    bound = max(1.0, len(normal) / hours(signals) / per_hour)

    def count(others: Sequence[Signal]) -> int:
        alarms = 0
        for signal in others:
            capital = 1.0
            above = len(normal) - np.searchsorted(normal, _moments(signal))
            for p in ((1 + above) / (1 + len(normal))).tolist():
                capital = max(1.0, capital) * _BET * p ** (_BET - 1)
                if capital >= bound:
                    alarms, capital = alarms + 1, 1.0
        return alarms

    return count


METHODS: Mapping[str, Callable[[Sequence[Signal], float], Counter]] = {
    TOOLKIT: peaks_over_threshold,
    "block maxima": block_maxima,
    "quantile of episodes": quantile_of_episodes,
    "exponential tail": exponential_tail,
    "e-detector, its bound from theory": e_detector,
}


def hours(signals: Sequence[Signal]) -> float:
    """Return the length of recordings."""
    return math.fsum(signal.seconds for signal in signals) / 3600


def camera_of(clip: str) -> str:
    """Return the camera of a clip: its name up to the last `_`.

    >>> camera_of("07_0012"), camera_of("stairs")
    ('07', 'stairs')
    """
    return clip.rpartition("_")[0] or clip


def split(
    signals: Sequence[Signal], by_camera: bool, rng: np.random.Generator
) -> tuple[list[Signal], list[Signal]]:
    """Cut recordings at random into two halves, of whole recordings or of whole cameras.

    Raises:
        InputError: there are fewer than two.
    """
    groups = [camera_of(signal.name) if by_camera else signal.name for signal in signals]
    names = sorted(set(groups))
    if len(names) < 2:
        raise InputError(f"Give recordings of two {'cameras' if by_camera else 'clips'} or more.")
    first = set(rng.permutation(names)[: len(names) // 2].tolist())
    halves: tuple[list[Signal], list[Signal]] = ([], [])
    for signal, group in zip(signals, groups, strict=True):
        halves[group not in first].append(signal)
    return halves


def measure(signals: Sequence[Signal], splits: int, by_camera: bool) -> Iterator[Kept]:
    """Choose thresholds on halves and count on the others; yield each method and rate."""
    rng = np.random.default_rng(0)
    ratios: dict[tuple[str, float], list[float]] = {}
    promised = dict.fromkeys(PER_HOUR, 0)
    grouped = "cameras" if by_camera else "recordings"
    for _ in track(range(splits), f"splits of {grouped}", splits):
        chosen_on, counted_on = split(signals, by_camera, rng)
        for per_hour in PER_HOUR:
            choice = choose_threshold(chosen_on, RULE, 24 * per_hour)
            promised[per_hour] += reason_against_rate(choice, hours(chosen_on), 24 * per_hour) is None
            for method, choose in METHODS.items():
                came = choose(chosen_on, per_hour)(counted_on) / hours(counted_on)
                ratios.setdefault((method, per_hour), []).append(came / per_hour)
    for (method, per_hour), values in ratios.items():
        yield Kept(
            grouped, method, per_hour, tuple(values), promised[per_hour] if method == TOOLKIT else None
        )


def table(kept: Sequence[Kept]) -> str:
    """Return a Markdown table of what came by what was requested: median, mean, and 5 to 95 % of the splits."""
    lines = [
        "| halves of | requested per hour | method | came, by requested: median | mean | 5 to 95 % | 0.5 to 2 | "
        "promised |",
        "|---|---:|---|---:|---:|---|---:|---:|",
    ]
    for each in kept:
        values = np.array(each.ratios)
        low, high = np.quantile(values, (0.05, 0.95))
        within = np.mean((values >= 0.5) & (values <= 2))
        promised = "" if each.promised is None else f"{each.promised} of {len(values)}"
        lines.append(
            f"| {each.grouped} | {each.per_hour:g} | {each.method} | {np.median(values):.2f} | {values.mean():.2f} | "
            f"{low:.2f} to {high:.2f} | {within:.0%} | {promised} |"
        )
    return "\n".join(lines) + "\n"


def _levels(signals: Sequence[Signal]) -> Values:
    return np.concatenate([signal.levels[~np.isnan(signal.levels)] for signal in signals])


def _moments(signal: Signal) -> Values:
    """Return the levels at moments two seconds apart."""
    known = ~np.isnan(signal.levels)
    _, first = np.unique(signal.times[known] // SAMPLE_SECONDS, return_index=True)
    return np.asarray(signal.levels[known][first])


@click.command(cls=Command)
@click.option("--bundle", "folder", type=FOLDER, required=True, help="The bundle whose FP32 graph scores.")
@click.option("--poses", type=FOLDER, required=True, multiple=True, help="Pose tracks of normal behaviour.")
@click.option(
    "--splits", default=20, type=click.IntRange(2), help="Random halves, of recordings and of cameras."
)
@click.option("-o", "--output", type=FILE, required=True, help="The table, in Markdown.")
@json_option("all ratios")
@fps_option
def main(
    folder: Path,
    poses: tuple[Path, ...],
    splits: int,
    output: Path,
    json_target: str | None,
    fps: float | None,
) -> None:
    """Measure how well calibrated rates of false alarms are kept on other recordings.

    The camera of a clip is its name up to the last underscore.
    """
    bundle = read_bundle(folder)
    lasting = LASTING_SECONDS if bundle.manifest.evidence else 0.0
    signals = read_signals(bundle, poses, fps, replace(RULE, lasting_seconds=lasting))
    several = len({camera_of(signal.name) for signal in signals}) > 1
    kept = [
        each
        for by_camera in ((False, True) if several else (False,))
        for each in measure(signals, splits, by_camera)
    ]
    write_text(output, table(kept))
    if json_target:
        write_json(json_target, {"hours": hours(signals), "kept": [vars(each) for each in kept]})
    if json_target != "-":
        click.echo(table(kept), nl=False)
        click.echo(f"{len(signals)} recordings, {hours(signals):.3g} hours -> {output}")


if __name__ == "__main__":
    main()

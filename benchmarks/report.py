"""The page of the figures: Markdown with tables, and a picture of each measurement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.edge import EdgeCost, Skipped
from benchmarks.reference import Reference
from benchmarks.results import Results
from benchmarks.scaling import WORST, Curve
from benchmarks.scorers import BATCHES, EXPORT, PYTORCH, Scorers
from benchmarks.targets import Target
from benchmarks.timing import Spread
from daflow.core.files import write_text


def write_page(output: Path, results: Results, facts: Mapping[str, Any]) -> None:
    """Write `benchmarks.md` and `benchmarks-*.png`.

    Args:
        output: the folder.
        results: what was measured so far.
        facts: the environment, as `benchmarks.environment` gives it, with the load after the run.

    Raises:
        OSError: the folder cannot be written.
    """
    lines = [*_head(facts)]
    if unfinished := [name for name in facts["chosen"] if getattr(results, name) is None]:
        lines += ["", f"**The run was ended before these were measured: {', '.join(unfinished)}.**"]
    if results.targets is not None:
        plots.draw_targets(output / "benchmarks-targets.png", results.targets)
        lines += _targets(results.targets)
    if results.scorers is not None:
        plots.draw_scorers(output / "benchmarks-scorers.png", results.scorers)
        lines += _scorers(results.scorers)
    if results.reference is not None:
        lines += _reference(results.reference)
    if results.edge is not None:
        if isinstance(results.edge, EdgeCost):
            plots.draw_edge(output / "benchmarks-edge.png", results.edge)
        lines += _edge(results.edge)
    if results.scaling is not None:
        plots.draw_scaling(output / "benchmarks-scaling.png", results.scaling)
        lines += _scaling(results.scaling)
    lines += _environment(facts)
    write_text(output / "benchmarks.md", "\n".join(lines) + "\n")


def _head(facts: Mapping[str, Any]) -> Iterator[str]:
    before, after = facts["load_before"][0], facts["load_after"][0]
    yield "# Benchmarks"
    yield ""
    if facts["quick"]:
        yield "**A quick trial: these figures mean little.**"
        yield ""
    yield (
        f"Measured on {facts['date'][:10]} in one run of {facts['seconds']:.0f} s on {facts['cores']} cores "
        f"({facts['processor']}), {facts['gpu'] or 'without a GPU'}, by"
    )
    yield ""
    yield "```text"
    yield facts["command"]
    yield "```"
    yield ""
    yield (
        f"What is compared takes turns, at least {facts['rounds']} rounds each, so that a busy moment of the machine "
        "hits all of it alike. Figures are medians over the rounds with the quartiles in brackets; ratios are taken "
        "within a round. The load (processes that want to run, over the last minute) was "
        f"{before:.1f} before the run and {after:.1f} after it"
        + (
            ": others used the machine too, so times are longer than on a quiet one, and ratios are what counts."
            if max(before, after) > facts["cores"]
            else "."
        )
    )
    yield ""
    yield "All figures are in [benchmarks.json](benchmarks.json)."


def _targets(targets: list[Target]) -> Iterator[str]:
    yield from ("", "## The edge's targets", "", "![Share of each allowance](benchmarks-targets.png)", "")
    yield "| what | target | measured | verdict | how |"
    yield "|---|---|---|---|---|"
    for target in targets:
        bound = f"{'at least' if target.at_least else 'at most'} {target.target:,g} {target.unit}"
        verdict = ("met" if target.met else "**missed**") + ("" if target.sure else ", within the noise")
        yield f"| {target.name} | {bound} | {_figure(target.measured)} | {verdict} | {target.how} |"


def _scorers(scorers: Scorers) -> Iterator[str]:
    yield from ("", "## Scorers", "", "![Time of a window](benchmarks-scorers.png)", "")
    counts = " and ".join(f"{name} {count}" for name, count in scorers.parameters.items())
    yield (
        f"Microseconds of a call, one thread. Parameters: {counts}. Baselines of the ratios: the same model in "
        f"{PYTORCH}, as this toolkit trains it; and the {EXPORT}, torch's own, simplified by onnxslim. "
        "'Every pair of joints' computes the graph convolution without the shortcut for equal joints, as STG-NF's code "
        "does. All ONNX graphs run in ONNX Runtime. The last column compares with STG-NF's block in the same form."
    )
    yield ""
    times = " | ".join(f"{batch} window{'s' if batch > 1 else ''}, us" for batch in BATCHES)
    batches = " / ".join(str(batch) for batch in BATCHES)
    yield f"| model | form | {times} | against PyTorch, {batches} | against the plain export | against STG-NF's block |"
    yield "|---|---|" + "---|" * (len(BATCHES) + 3)
    for model, form in scorers.forms():
        rows = scorers.of(model, form)
        cells = [_figure(row.microseconds) for row in rows]
        cells.append(_ratios([row.against_pytorch for row in rows]))
        cells.append(_ratios([row.against_export for row in rows]))
        cells.append(_ratios([row.against_other for row in rows if row.against_other]))
        yield f"| {model} | {form} | {' | '.join(cells)} |"
    yield ""
    yield "Ratios say how many times as fast the form is as the baseline; their quartiles are in the JSON file."


def _reference(reference: Reference) -> Iterator[str]:
    yield from ("", "## Training and evaluation", "")
    loaders = f"{reference.loaders} loading processes" if reference.loaders else "no loading processes"
    yield (
        "Against a model of STG-NF's algorithm (`benchmarks/stgnf_algorithm.py`), written for this comparison, which "
        f"does the same work as its public code: {reference.training_windows:,} windows and their mirror images to "
        f"train on, {loaders} as its default is 8, the same untrained weights to evaluate. The micro AUC of both: "
        f"{reference.their_auc:.2f} and {reference.our_auc:.2f} %."
    )
    yield from ("", "| task | reference | here | times as fast |", "|---|---|---|---|")
    for task in reference.tasks:
        yield (
            f"| {task.name} | {_figure(task.theirs)} {task.unit} | {_figure(task.ours)} {task.unit} "
            f"| {_times(task.ratio)} |"
        )


def _edge(edge: EdgeCost | Skipped) -> Iterator[str]:
    yield from ("", "## The edge beside pose estimation", "")
    if isinstance(edge, Skipped):
        yield f"Not measured: {edge.reason}."
        return
    yield from ("![Pose-only loop and whole edge](benchmarks-edge.png)", "")
    width, height = edge.size
    yield (
        "The baseline is a loop that decodes a video and finds poses with MediaPipe, in one thread. The whole edge is "
        "the service as `daflow-edge` runs it: camera thread, tracker, windows, scoring thread, alarm, event store, "
        f"live state. {edge.frames} frames of {width}x{height} in a pass, the first ten left out, one person."
    )
    yield from ("", "| | figure |", "|---|---|")
    yield f"| pose-only loop | {_figure(edge.pose_only)} ms a frame |"
    yield f"| whole edge | {_figure(edge.whole)} ms a frame |"
    yield f"| overhead by the clock, paired by rounds | {_percent(edge.wall_overhead)} |"
    yield f"| overhead in processor time of all threads | {_percent(edge.cpu_overhead)} |"
    yield f"| the stages after the pose, as a share of the pose-only loop | {100 * edge.around_share:.2f} % |"
    stages = ", ".join(f"{name} {milliseconds:.3f}" for name, milliseconds in edge.stages.items())
    yield from ("", f"Medians of the stages within the whole edge, ms: {stages}.")


def _scaling(curves: list[Curve]) -> Iterator[str]:
    yield from ("", "## Scaling", "", "![Time against work, with exponents](benchmarks-scaling.png)", "")
    yield (
        "Exponents of a power law, fitted by least squares to the logarithms, with 95 % intervals: 1 means that twice "
        "the work takes twice the time; below 1 a fixed cost is shared. The second fit is over the larger half of the "
        f"sizes, where a fixed cost hides less. The verdict looks at the larger of both: above {WORST} the cost grows "
        "faster than the work."
    )
    yield from ("", "| what grows | sizes | time of | least | most | exponent | larger half | verdict |")
    yield "|---|---|---|---|---|---|---|---|"
    for curve in curves:
        fits = " | ".join(
            f"{fit.exponent:.2f} ({fit.low:.2f} to {fit.high:.2f})" for fit in (curve.fit, curve.upper)
        )
        verdict = "**faster than the work**" if curve.fast_growing else "no faster than the work"
        yield (
            f"| {curve.name} | {curve.sizes[0]:,.0f} to {curve.sizes[-1]:,.0f} {curve.work} | {curve.cost} "
            f"| {_seconds(curve.seconds[0].median)} | {_seconds(curve.seconds[-1].median)} | {fits} | {verdict} |"
        )


def _environment(facts: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Environment", "", "| | |", "|---|---|")
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    rows = {
        "processor": f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gb']} GB",
        "clock governor": facts["governor"],
        "GPU": facts["gpu"] or "none; engines were not run",
        "system": facts["system"],
        "load over 1, 5, 15 minutes before": " ".join(f"{value:.2f}" for value in facts["load_before"]),
        "the same after": " ".join(f"{value:.2f}" for value in facts["load_after"]),
        "versions": versions,
        "data": "made by `daflow generate`" if facts["data"] == "generated" else "recorded tracks, not published here",
        "begun": facts["date"],
    }  # fmt: skip
    for name, value in rows.items():
        yield f"| {name} | {value} |"


def _figure(spread: Spread) -> str:
    if spread.low == spread.high:
        return _number(spread.median)
    return f"{_number(spread.median)} ({_number(spread.low)} to {_number(spread.high)})"


def _number(value: float) -> str:
    """Format a figure with three digits or more.

    >>> [_number(value) for value in (12345.6, 123.4, 12.34, 1.234, 0.01234)]
    ['12,346', '123', '12.3', '1.23', '0.0123']
    """
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 4
    return f"{value:,.{digits}f}"


def _ratios(spreads: Sequence[Spread]) -> str:
    return " / ".join(f"{spread.median:.2f}" for spread in spreads)


def _times(spread: Spread) -> str:
    return f"{spread.median:.2f}x ({spread.low:.2f} to {spread.high:.2f})"


def _percent(spread: Spread) -> str:
    return f"{100 * spread.median:+.1f} % ({100 * spread.low:+.1f} to {100 * spread.high:+.1f})"


def _seconds(value: float) -> str:
    """Format a time.

    >>> _seconds(0.00012), _seconds(0.012), _seconds(1.2)
    ('120 us', '12.0 ms', '1.20 s')
    """
    if value < 1e-3:
        return f"{1e6 * value:.0f} us"
    return f"{1e3 * value:.1f} ms" if value < 1 else f"{value:.2f} s"

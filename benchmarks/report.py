"""The page of the figures: Markdown with tables, and a picture of the scaling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.folded_graph import EXPORT
from benchmarks.plots import draw_scaling
from benchmarks.results import Results
from benchmarks.scaling import MAX_EXPONENT, Curve
from benchmarks.stgnf_algorithm import SpeedComparison
from benchmarks.targets import Target
from daflow.core.files import write_text
from runtime.profiling.edge import EdgeMeasurement
from runtime.profiling.profile import ScorerComparison
from runtime.profiling.statistics import Quartiles
from runtime.profiling.tables import (
    Table,
    edge_sentences,
    environment_facts,
    known_facts,
    machine_name,
    scorer_table,
    stage_table,
)

_OTHER_COMMANDS = "## Measured by other commands\n"


def write_page(output: Path, results: Results, about: Mapping[str, Any]) -> None:
    """Write `benchmarks.md` and `benchmarks-scaling.png`; figures of other commands stay on the page.

    Args:
        output: the folder.
        results: what was measured so far.
        about: the environment and the settings of the run.

    Raises:
        OSError: the folder cannot be written.
    """
    lines = [*_head(about)]
    if results.targets is not None:
        lines += _targets(results.targets)
    if results.edge is not None:
        lines += _edge(results.edge)
    if results.forms is not None:
        lines += _forms(results.forms)
    if results.training is not None:
        lines += _training(results.training)
    if results.scaling is not None:
        draw_scaling(output / "benchmarks-scaling.png", results.scaling)
        lines += _scaling(results.scaling)
    if missing := [name for name in about["chosen"] if getattr(results, name) is None]:
        lines += ["", f"Not measured: {', '.join(missing)}. The edge needs --video and --pose-model."]
    lines += _environment(about)
    page = output / "benchmarks.md"
    write_text(page, "\n".join(lines) + "\n" + _measured_otherwise(page))


def _measured_otherwise(page: Path) -> str:
    """Return the last section of the page as it was: figures of other commands, which a run does not measure."""
    _, heading, section = (page.read_text(encoding="utf-8") if page.is_file() else "").partition(
        _OTHER_COMMANDS
    )
    return f"\n{heading}{section}" if heading else ""


def _head(about: Mapping[str, Any]) -> Iterator[str]:
    facts = about["environment"]
    yield "# Benchmarks"
    yield ""
    if about["quick"]:
        yield "**A quick trial: these figures mean little.**"
        yield ""
    yield (
        f"Measured on {about['date'][:10]} in one run of {about['seconds']:.0f} s on {machine_name(facts)}. What is "
        f"compared takes turns, at least {about['rounds']} rounds each, so that a busy moment of the machine affects "
        "all of it alike. Figures are medians over the rounds with the quartiles in brackets; ratios are taken within "
        "a round. The edge, the cold start and all times are measured by the same code as in `daflow-profile`. The "
        f"load over one minute was {facts['load']} before the run and {about['load_after']} after it."
    )
    yield from ("", "```text", about["command"], "```", "")
    yield "All figures are in [benchmarks.json](benchmarks.json)."


def _targets(targets: list[Target]) -> Iterator[str]:
    yield from ("", "## Targets of the edge", "")
    rows = []
    for target in targets:
        bound = f"{'at least' if target.at_least else 'at most'} {target.target:,g} {target.unit}"
        verdict = ("met" if target.met else "**missed**") + (
            "" if target.conclusive else ", within the noise"
        )
        rows.append([target.name, bound, _quartiles(target.measured), verdict, target.how])
    yield from markdown(Table(["what", "target", "measured", "verdict", "how"], rows))


def _edge(measured: EdgeMeasurement) -> Iterator[str]:
    edge = measured.edge
    yield from ("", "## The edge and pose estimation", "")
    yield (
        "A video with one person through the service that `daflow-edge` runs, in turn with a loop of reading and pose "
        f"estimation alone. Scorer: {measured.scorer}; milliseconds per frame."
    )
    yield ""
    yield " ".join(edge_sentences(edge))
    yield ""
    alone = {"pose only": edge.pose_only} if edge.pose_only else {}
    yield from markdown(stage_table({**measured.stages, **alone}, edge.share))


def _forms(forms: Mapping[str, ScorerComparison]) -> Iterator[str]:
    yield from ("", "## Folded graphs", "")
    yield (
        f"Milliseconds per call, one thread, untrained weights; the ratio is to the {EXPORT}, torch's own, simplified "
        "by onnxslim. 'Every pair of joints' computes the graph convolution without the shortcut for equal joints, as "
        "STG-NF's code does. All ONNX graphs run in ONNX Runtime."
    )
    for model, comparison in forms.items():
        yield from ("", f"### {model}", "")
        yield from markdown(scorer_table(comparison, ("p50", "p90")))


def _training(training: SpeedComparison) -> Iterator[str]:
    yield from ("", "## Training and evaluation", "")
    yield (
        "Against a model of STG-NF's algorithm (`benchmarks/stgnf_algorithm.py`), written for this comparison, which "
        f"does the same work as its public code: {training.training_windows:,} windows and their mirror images to "
        f"train on, {training.loaders} loading processes (its default is 8), the same untrained weights to evaluate. "
        f"The micro AUC of both: {training.reference_auc:.2f} and {training.our_auc:.2f} %."
    )
    yield ""
    yield from markdown(training.table())


def _scaling(curves: list[Curve]) -> Iterator[str]:
    yield from ("", "## Scaling", "", "![Time against work, with exponents](benchmarks-scaling.png)", "")
    yield (
        "Exponents of a power law, fitted by least squares to the logarithms, with 95 % intervals: 1 is linear; below "
        "1 a fixed cost is shared. The second fit is over the larger half of the sizes, where a fixed cost hides less. "
        f"When the larger of both is above {MAX_EXPONENT}, the cost grows faster than the work."
    )
    yield ""
    rows = []
    for curve in curves:
        fits = [f"{fit.exponent:.2f} ({fit.low:.2f} to {fit.high:.2f})" for fit in (curve.fit, curve.upper)]
        verdict = "**faster than the work**" if curve.fast_growing else "no faster than the work"
        sizes = f"{curve.sizes[0]:,.0f} to {curve.sizes[-1]:,.0f} {curve.work}"
        times = [_seconds(curve.seconds[index].median) for index in (0, -1)]
        rows.append([curve.name, sizes, curve.cost, *times, *fits, verdict])
    head = ["what grows", "sizes", "time of", "smallest", "largest", "exponent", "larger half", "verdict"]
    yield from markdown(Table(head, rows))


def _environment(about: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Environment", "")
    data = (
        "made by `daflow generate`" if about["data"] == "generated" else "recorded tracks, not published here"
    )
    facts = [*known_facts(environment_facts(about["environment"])), ("data", data)]
    yield from markdown(Table(["", ""], facts))


def markdown(table: Table) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield f"| {' | '.join(table.head)} |"
    yield "|---" * len(table.head) + "|"
    for row in table.rows:
        yield f"| {' | '.join(row)} |"


def _quartiles(figure: Quartiles) -> str:
    if figure.low == figure.high:
        return _number(figure.median)
    return f"{_number(figure.median)} ({_number(figure.low)} to {_number(figure.high)})"


def _number(value: float) -> str:
    """Format a figure with three digits or more.

    >>> [_number(value) for value in (12345.6, 123.4, 12.34, 1.234, 0.01234)]
    ['12,346', '123', '12.3', '1.23', '0.0123']
    """
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 4
    return f"{value:,.{digits}f}"


def _seconds(value: float) -> str:
    """Format a time.

    >>> _seconds(0.00012), _seconds(0.012), _seconds(1.2)
    ('120 us', '12.0 ms', '1.20 s')
    """
    if value < 1e-3:
        return f"{1e6 * value:.0f} us"
    return f"{1e3 * value:.1f} ms" if value < 1 else f"{value:.2f} s"

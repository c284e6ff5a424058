"""`verification.html`: one page, without scripts or links, that shows how each form compares with the model."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

import numpy as np

from daflow.core.html import page
from daflow.core.scoring.comparison import Nll
from daflow.core.scoring.limits import Verdict
from daflow.evaluation.plots import draw_window, figure, picture
from export.verification import VerificationSet, VerifiedForm

_SETS = (("recorded", "#4c78a8"), ("perturbed", "#f58518"), ("extreme", "#b23a48"))
_POINTS = 4000  # in a plot, so that the page stays below 1 MB
_WORST = 4  # windows that are drawn
_POSES = 6  # of each of these
_FORMS = {
    "folded": ("Folded flow", "PyTorch, float32, rewritten for inference"),
    "fp32": ("FP32 graph", "ONNX Runtime"),
    "fp16": ("FP16 graph", "ONNX Runtime; the likelihood is FP32"),
    "int8": ("INT8 graph", "ONNX Runtime; explicit Q/DQ, sensitive operations FP32"),
}
_ROWS = (
    ("spearman", "rank correlation", "min", "{:.6f}"),
    ("tail_spearman", "rank correlation, most abnormal tenth", "min", "{:.6f}"),
    ("alarm_agreement", "windows on the same side of the alarm threshold", "min", "{:.5f}"),
    ("auc_delta", "change of the AUC, points", "max", "{:+.4f}"),
    ("max_error", "largest change / max(1, |score|) without extreme windows", "max", "{:.2g}"),
    ("median_abs", "median change", "", "{:.2g}"),
    ("p99_abs", "99 % quantile of the change", "", "{:.2g}"),
    ("max_abs", "largest change of a recorded window", "", "{:.2g}"),
    ("non_finite", "NaN or infinite", "max", "{}"),
)


def report_page(
    forms: Sequence[VerifiedForm], reference: tuple[Nll, Nll, Nll], data: VerificationSet, title: str
) -> str:  # fmt: skip
    """Return the page.

    Args:
        forms: the forms of the model, in the order of the export.
        reference: the scores of the PyTorch module.
        data: the windows.
        title: the name of the bundle.
    """
    failing = [form.name for form in forms if form.verdict.missed]
    verdict = (
        f"{len(failing)} of {len(forms)} forms miss their limits: {', '.join(failing)}"
        if failing
        else f"All {len(forms)} forms rank people as the PyTorch model does"
    )
    counts = " + ".join(f"{len(nll)} {name}" for nll, (name, _) in zip(reference, _SETS, strict=True))
    auc = forms[0].verdict.comparison.auc
    facts = f"{counts} windows of {html.escape(data.origin)}" + (
        f"; AUC of the model {auc:.2f} %" if auc else ""
    )
    sections = "".join(_section(form, reference, data) for form in forms)
    cards = "".join(_card(form) for form in forms)
    return page(
        f"Verification of {title}",
        f'<p class="verdict {"bad" if failing else "good"}">{html.escape(verdict)}</p><p>{facts}</p>'
        f'<div class="cards">{cards}</div>{sections}'
        "<h2>How to read this</h2><p>Each form scored the same windows as the PyTorch model. The order of the scores "
        "matters: an alarm compares scores with a threshold, and the AUC compares them with each other. Perturbed "
        "windows are recorded ones with jitter, displaced joints or a jump. Extreme windows have the largest values "
        "that normalising allows. A high score means abnormal; it is in bits, or, of the flow alone, in bits per "
        "dimension.</p>",
    )


def _card(form: VerifiedForm) -> str:
    compared = form.verdict.comparison
    name, where = _FORMS[form.name]
    auc = "" if compared.auc_delta is None else f"<br>AUC {compared.auc_delta:+.3f} points"
    return (
        f'<a class="card {"bad" if form.verdict.missed else "good"}" href="#{form.name}"><b>{name}</b>'
        f"<small>{where}</small><span>{'misses its limits' if form.verdict.missed else 'verified'}</span>"
        f"<small>rank {compared.spearman:.5f}<br>tail {compared.tail_spearman:.5f}{auc}</small></a>"
    )


def _section(form: VerifiedForm, reference: tuple[Nll, Nll, Nll], data: VerificationSet) -> str:
    return (
        f'<h2 id="{form.name}">{_FORMS[form.name][0]}</h2><div class="row"><table><tr><th></th><th>measured</th>'
        f"<th>limit</th></tr>{''.join([*_rows(form.verdict), *_channel_rows(form.verdict)])}</table>"
        f'<img alt="scores of the {form.name} form against those of the model" src="{_scatter(form, reference)}"></div>'
        f"<h3>The {_WORST} windows with the largest relative error</h3>"
        f'<img class="wide" alt="skeletons of the worst windows" src="{_worst(form, reference, data)}">'
    )


def _rows(verdict: Verdict) -> Iterator[str]:
    for name, words, side, style in _ROWS:
        value = getattr(verdict.comparison, name)
        if value is None:
            continue
        limit = 0 if name == "non_finite" else getattr(verdict.limits, name, None)
        missed = limit is not None and not (abs(value) <= limit if side == "max" else value >= limit)
        mark = "" if limit is None else f"{'&ge;' if side == 'min' else '&le;'} {limit:g}"
        yield (
            f"<tr{' class=bad' if missed else ''}><td>{html.escape(words)}</td><td>{style.format(value)}</td>"
            f"<td>{mark}</td></tr>"
        )


def _channel_rows(verdict: Verdict) -> Iterator[str]:
    """Yield a row for each channel of evidence, which must rank windows as the model's does."""
    for channel, compared in verdict.channels.items():
        limit = verdict.limits.spearman
        missed = any(phrase.startswith(f"{channel}: ") for phrase in verdict.missed)
        yield (
            f"<tr{' class=bad' if missed else ''}><td>rank correlation of the surprise, {channel}</td>"
            f"<td>{compared.spearman:.6f}</td><td>{'' if limit is None else f'&ge; {limit:g}'}</td></tr>"
        )


def _scatter(form: VerifiedForm, reference: tuple[Nll, Nll, Nll]) -> str:
    drawn, (scores, errors) = figure(2, figsize=(8.6, 3.7))
    # The recorded windows last, on top: they are what a camera sees.
    for (name, colour), expected, found in list(zip(_SETS, reference, form.scores, strict=True))[::-1]:
        # Every n-th in the order of the scores, so that the tail is drawn as densely as the rest.
        order = np.argsort(expected)[:: max(1, len(expected) // _POINTS)]
        x, y = expected[order].astype(np.float64), found[order].astype(np.float64)
        error = np.maximum(np.abs(y - x) / np.maximum(1, np.abs(x)), 1e-8)
        scores.plot(x, y, ".", markersize=3, alpha=0.5, color=colour, label=name, markeredgewidth=0)
        errors.plot(x, error, ".", markersize=3, alpha=0.5, color=colour, markeredgewidth=0)
    threshold = form.verdict.comparison.alarm_threshold
    for axis in (scores, errors):
        axis.set_xscale("symlog", linthresh=10)
        axis.axvline(threshold, color="#888", linewidth=0.8, linestyle="--")
        axis.set_xlabel("NLL of the PyTorch model")
    scores.axhline(threshold, color="#888", linewidth=0.8, linestyle="--")
    scores.set_yscale("symlog", linthresh=10)
    scores.set_ylim(scores.get_xlim())
    scores.set_title(f"NLL of the {form.name} form", loc="left", fontsize=10)
    scores.legend(frameon=False, fontsize=8, markerscale=3)
    errors.set_yscale("log")
    errors.set_title("|dNLL| / max(1, |NLL|)", loc="left", fontsize=10)
    return picture(drawn)


def _worst(form: VerifiedForm, reference: tuple[Nll, Nll, Nll], data: VerificationSet) -> str:
    drawn, axes = figure(_WORST, figsize=(12.5, 1.9))
    expected, found = (np.concatenate(nll[:2]).astype(np.float64) for nll in (reference, form.scores))
    error = np.nan_to_num(np.abs(found - expected) / np.maximum(1, np.abs(expected)), nan=np.inf)
    for axis, index in zip(axes, np.argsort(-error), strict=False):
        recorded = len(data.sets.recorded)
        kind = "recorded" if index < recorded else "perturbed"
        window = data.sets.recorded[index] if index < recorded else data.sets.perturbed[index - recorded]
        draw_window(axis, window, _POSES)
        axis.set_title(f"{kind}: {expected[index]:.3f} became {found[index]:.3f}", fontsize=9)
    for axis in axes:
        axis.axis("off")
    return picture(drawn)

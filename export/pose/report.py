"""`verification.html` of a pose bundle: one page, without scripts or links, that shows how each graph compares."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from daflow.core.html import page
from daflow.core.pose_bundle import NetworkName, PoseVerdict
from daflow.core.scoring.comparison import Precision
from daflow.evaluation.plots import figure, picture
from export.pose.people_pictures import distinct
from export.pose.verification import Results, VerificationPictures, landmark_errors, seen_presence

_DRAWN = 4  # pictures of each graph
_ROWS = (
    ("median_error", "median error of a point, percent of the body's height"),
    ("p99_error", "error of all but one point in a hundred, percent"),
    ("visibility_error", "mean error of a point's visibility"),
    ("agreement", "people that both see"),
    ("overlap", "median overlap of a box with the original's"),
    ("score_error", "mean error of a box's score"),
    ("non_finite", "NaN or infinite"),
)


@dataclass(frozen=True)
class PoseForm:
    """A graph that was accepted, with its verdict and its outputs.

    Attributes:
        network: which of the two.
        precision: of the graph.
        verdict: on it.
        pictures: that it was verified on.
        found: its outputs for these.
        joints: of the body, 0 for a detector.
        by: what computed the original.
    """

    network: NetworkName
    precision: Precision
    verdict: PoseVerdict
    pictures: VerificationPictures
    found: Results
    joints: int
    by: str


def pose_report(forms: Sequence[PoseForm], title: str, verified_on: str) -> str:
    """Return the page.

    Args:
        forms: the graphs, in the order of the export.
        title: the name of the bundle.
        verified_on: the pictures, for people.
    """
    failing = [f"{form.network} {form.precision}" for form in forms if form.verdict.missed]
    verdict = (
        f"{len(failing)} of {len(forms)} graphs miss their limits: {', '.join(failing)}"
        if failing
        else f"All {len(forms)} graphs see people as the published networks do"
    )
    return page(
        f"Verification of {title}",
        f'<p class="verdict {"bad" if failing else "good"}">{html.escape(verdict)}</p>'
        f"<p>Pictures of {html.escape(verified_on)}</p>"
        f'<div class="cards">{"".join(_card(form) for form in forms)}</div>{"".join(_section(form) for form in forms)}'
        "<h2>How to read this</h2><p>Each graph saw the same pictures as the published network. Green is where that "
        "network sees a person or a joint, red inside it is where the graph does. ONNX Runtime computed the graphs "
        "on a processor, which may compute parts of an FP16 graph in FP32.</p>",
    )


def _card(form: PoseForm) -> str:
    compared = form.verdict.comparison
    figures = "".join(
        f"<br>{name.replace('_', ' ')} {getattr(compared, name):.3g}"
        for name in ("median_error", "overlap", "agreement")
        if getattr(compared, name) is not None
    )
    return (
        f'<a class="card {"bad" if form.verdict.missed else "good"}" href="#{form.network}-{form.precision}">'
        f"<b>{form.network} {form.precision.upper()}</b><small>against {html.escape(form.by)}</small>"
        f"<span>{'misses its limits' if form.verdict.missed else 'verified'}</span><small>{compared.people} people"
        f"{figures}</small></a>"
    )


def _section(form: PoseForm) -> str:
    name = f"{form.network} {form.precision.upper()}"
    return (
        f'<h2 id="{form.network}-{form.precision}">{name}</h2><table><tr><th></th><th>measured</th><th>limit</th></tr>'
        f"{''.join(_rows(form.verdict))}</table><h3>The pictures with the largest errors</h3>"
        f'<img class="wide" alt="people as {name} sees them" src="{_pictures(form)}">'
    )


def _rows(verdict: PoseVerdict) -> Iterator[str]:
    for name, words in _ROWS:
        value = getattr(verdict.comparison, name)
        if value is None:
            continue
        limit = 0 if name == "non_finite" else getattr(verdict.limits, name)
        missed = value > 0 if name == "non_finite" else any(text.startswith(name) for text in verdict.missed)
        mark = (
            "" if limit is None else f"{'&le;' if name.endswith(('error', 'finite')) else '&ge;'} {limit:g}"
        )
        yield (
            f"<tr{' class=bad' if missed else ''}><td>{html.escape(words)}</td><td>{value:.4g}</td><td>{mark}</td></tr>"
        )


def _pictures(form: PoseForm) -> str:
    drawn, axes = figure(_DRAWN, figsize=(12.5, 3.3))
    expected, found = form.pictures.expected, form.found
    if form.network == "landmarks":
        errors = np.nan_to_num(landmark_errors(expected, found, form.joints).mean(axis=1), nan=np.inf)
        errors[expected["presence"] < seen_presence(form.joints)] = -1
    else:
        errors = np.nan_to_num(np.abs(expected["scores"] - found["scores"]).max(axis=1), nan=np.inf)
    order = np.argsort(-errors)
    for axis, index in zip(axes, order, strict=False):
        axis.imshow(form.pictures.images[index])
        for results, colour, size in ((expected, "#22c55e", 3.0), (found, "#ef4444", 1.0)):
            _draw(axis, results, index, form.joints if form.network == "landmarks" else 0, colour, size)
    for axis in axes:
        axis.axis("off")
    return picture(drawn, dpi=90)


def _draw(axis: Any, results: Results, index: int, joints: int, colour: str, size: float) -> None:
    from matplotlib.patches import Rectangle

    if joints:
        x, y = results["keypoints"][index, :joints, :2].T
        axis.plot(x, y, ".", color=colour, markersize=3 * size)
        return
    for left, top, right, bottom in distinct(results["scores"][index], results["boxes"][index]):
        axis.add_patch(
            Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=size)
        )

"""`MODEL_CARD.md` of a bundle: what the model is, how it was trained, and how far to trust it. All from the manifest.

The front matter is what Hugging Face reads. Names that somebody else chose are written as code, so that they cannot add
a heading, a link or HTML.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from daflow.core.alarms.provisional import SUMMARY, HeldOutScores
from daflow.core.bundle import Manifest
from daflow.core.evidence import unit_of
from daflow.core.log import one_line, shortened
from daflow.core.scoring.limits import Verdict
from export.graph_metadata import data_name

CARD = "MODEL_CARD.md"

_FRONT = """---
library_name: daflow
pipeline_tag: other
tags:
- video-anomaly-detection
- skeleton
- normalizing-flow
- onnx
---
"""
_CHANNELS = {
    "flow": "the likelihood of a window, by a normalizing flow",
    "shape": "how unusual the single postures are",
    "motion": "how unusual the movement between postures is",
}
_LIMITS = """It scores how people move, and nothing else. Its limits:

- It sees joints and no pictures: objects, faces, clothes, fire or smoke change no score.
- Normal is what the training data show. What is rare there scores high, whether it is harmful or not; what is common
  there scores low. Another place needs a calibration of its own, and often a training of its own.
- A person needs a whole window of poses. Whom the pose estimator misses or loses is not scored.
- It says that a movement is unusual. It says neither what happened nor who somebody is, and a person must look at an
  alarm before it has consequences.
"""
_USE = """```python
import daflow

model = daflow.load("bundle")  # the folder of this file
print(model.score(daflow.read_tracks("tracks")))  # the score of each frame, by clip
```

```bash
daflow-edge --bundle bundle --source rtsp://camera/stream
```
"""
_LICENCE = """The code of daflow is under the Apache License 2.0. The recordings that the model was trained on may have
terms of their own; whoever passes the model on checks them.
"""


def model_card(manifest: Manifest, title: str) -> str:
    """Return the card as Markdown.

    Args:
        manifest: of the bundle; what it says of files is not used.
        title: the name of the bundle.
    """
    sections = {
        "What it scores": f"{_scores(manifest)}\n{_LIMITS}",
        "How windows are made": _listed(_windows(manifest)),
        "How it was trained": _listed(_training(manifest)),
        "Precisions": _precisions(manifest),
        "Alarm": _alarm(manifest),
        "How to use it": _USE,
        "Licence": _LICENCE,
    }
    text = "".join(f"\n## {heading}\n\n{content}" for heading, content in sections.items())
    return f"{_FRONT}\n# {_code(title)}\n\nSkeleton-based video anomaly detection, by daflow {manifest.daflow}.\n{text}"


def _scores(manifest: Manifest) -> str:
    channels = "\n".join(f"- {name}: {_CHANNELS[name]}" for name in manifest.channels)
    return (
        f"Each window of {manifest.window} poses of one person gets a score in {unit_of(manifest.channels)}. "
        f"High means abnormal. Channels of evidence:\n\n{channels}\n"
    )


def _windows(manifest: Manifest) -> Iterator[str]:
    yield f"window: {manifest.window} poses, of which {manifest.max_missing} may be missing"
    yield f"frame rate: {f'{manifest.fps:g} frames per second' if manifest.fps else 'not known'}"
    yield f"joints: {manifest.joints}, 18 of each person"
    yield f"normalising: {manifest.normalising}"
    yield f"parameters: {manifest.parameters}"


def _training(manifest: Manifest) -> Iterator[str]:
    """Yield what the summary of the training says. It may be of another version or tool, and lack any of it."""
    training = manifest.training
    yield f"data: {_code(data_name(training))}"
    for name, words in (
        ("windows", "windows"), ("clips", "clips"), ("abnormal", "windows labelled abnormal"), ("epochs", "epochs"),
        ("best_epoch", "epoch that was kept"), ("seed", "seed"), ("held_out", "windows held out"),
    ):  # fmt: skip
        if _is_number(training.get(name)):
            yield f"{words}: {training[name]}"
    if _is_number(mean := training.get("nll_held_out")):
        yield f"mean nll of the windows held out: {mean:.3f} bits/dim"
    try:
        scores = HeldOutScores.model_validate(training.get(SUMMARY))
    except ValidationError:  # none, or of another version
        return
    yield (
        f"scores of {scores.windows} windows of {scores.people} people held out: median {scores.median:.3f}, 99 % "
        f"{scores.q99:.3f}, 99.9 % {scores.q999:.3f}, highest {scores.highest:.3f} {unit_of(manifest.channels)}"
    )


def _precisions(manifest: Manifest) -> str:
    rows = [
        "Each graph was compared with the PyTorch model on the same windows. The tail is the most abnormal tenth.\n",
        "| form | file | rank correlation | of the tail | change of the AUC, points | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for form, verdict in manifest.verification.items():
        file = "" if form == "folded" else _code(manifest.precisions.get(form, ""))
        rows.append(f"| {form} | {file} | {_figures(verdict)} |")
    return "\n".join(rows) + "\n"


def _figures(verdict: Verdict) -> str:
    compared = verdict.comparison
    auc = "not measured" if compared.auc_delta is None else f"{compared.auc_delta:+.4f}"
    words = "misses its limits" if verdict.missed else "verified"
    return f"{compared.spearman:.6f} | {compared.tail_spearman:.6f} | {auc} | {words}"


def _alarm(manifest: Manifest) -> str:
    alarm = manifest.alarm
    if alarm is None:
        first = "It was exported without a threshold: `daflow-calibrate alarm` sets one."
    elif alarm.provisional:
        first = (
            f"It was exported with a provisional threshold, {alarm.threshold:.3f} {unit_of(manifest.channels)}, "
            f"{alarm.why_provisional}. It promises no rate of false alarms; `daflow-calibrate alarm` replaces it."
        )
    else:
        first = f"It was exported with the threshold {alarm.threshold:.3f} {unit_of(manifest.channels)}."
    return f"{first}\nA threshold is in `manifest.json` and may change later; this card does not change with it.\n"


def _listed(lines: Iterator[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _code(text: str) -> str:
    """Return a name as code of Markdown, in one line and within a cell of a table."""
    shown = shortened(one_line(text)).replace("`", "'").replace("|", "/")
    return f"`{shown}`"

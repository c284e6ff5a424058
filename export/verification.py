"""Verify the forms of a model: compare each with the PyTorch module on recordings, real or generated.

Where labels are known, the change of the AUC is verified too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_masks import Labels, read_masks
from daflow.core.data.mask_checks import warn_about_masks
from daflow.core.data.synthetic import Scene, generate_clip, test_scenes
from daflow.core.data.track_files import Paths, are_paths, name_paths, short_names
from daflow.core.data.tracks import DEFAULT_FPS, Clip, read_clips
from daflow.core.data.windows import Windows, make_windows
from daflow.core.errors import CheckFailed, InputError
from daflow.core.evidence import unit_of
from daflow.core.scoring.comparison import (
    Comparison,
    JudgeFunction,
    Nll,
    Precision,
    WindowSets,
    compare_channels,
    compare_scores,
)
from daflow.core.scoring.limits import Limits, Verdict, check_limits
from daflow.core.scoring.onnx import OnnxScorer
from daflow.evaluation.auc import evaluate_windows
from daflow.model.checkpoint import Checkpoint
from daflow.model.torch_scorer import judge

Form = Literal["folded"] | Precision
"""A form of the model: the folded flow in PyTorch, or the graph of a precision."""

_SEED = 20240602  # any number; every export is verified on the same generated clips
_GENERATED_CLIPS = 6


@dataclass(frozen=True)
class VerificationSet:
    """Windows to compare scores on.

    Attributes:
        windows: of the recordings.
        sets: these, perturbed and extreme ones.
        clips: the recordings.
        masks: their frame masks by clip name; None without labels.
        origin: what the recordings are, for the report and the calibration cache.
    """

    windows: Windows
    sets: WindowSets
    clips: Sequence[Clip]
    masks: Mapping[str, Labels] | None
    origin: str

    def compare(self, reference: tuple[Nll, Nll, Nll], scores: tuple[Nll, Nll, Nll]) -> Comparison:
        """Compare scores of the three sets of windows with the reference's; with the AUC where there are masks."""
        comparison = compare_scores(reference, scores)
        if self.masks is not None and not comparison.non_finite:
            before, after = self._auc(reference[0]), self._auc(scores[0])
            comparison = comparison.model_copy(update={"auc": before, "auc_delta": after - before})
        return comparison

    def _auc(self, nll: Nll) -> float:
        assert self.masks is not None
        auc = evaluate_windows(nll, self.windows, list(self.clips), dict(self.masks)).micro.auc
        assert auc is not None
        return 100 * auc


@dataclass(frozen=True)
class VerifiedForm:
    """A form of the model, its verdict, and its scores of recorded, perturbed and extreme windows."""

    name: Form
    verdict: Verdict
    scores: tuple[Nll, Nll, Nll]


class Verifier:
    """Compares each form of a model with the PyTorch module, the surprise of each channel of evidence too.

    Args:
        checkpoint: the model.
        data: what to score.
        limits: of each precision; the folded flow has those of FP32.
        keep_failing: whether a form that misses a limit is accepted.
        report: takes one line for each form.

    Attributes:
        reference: what the PyTorch module says.
        forms: the forms that were accepted.
    """

    def __init__(
        self, checkpoint: Checkpoint, data: VerificationSet, limits: Mapping[Precision, Limits], keep_failing: bool,
        report: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.reference = data.sets.judge(lambda poses: judge(checkpoint.model, checkpoint.evidence, poses))
        self.forms: list[VerifiedForm] = []
        self._channels = checkpoint.channels
        self._data, self._limits, self._keep_failing, self._report = data, limits, keep_failing, report

    def verify_graph(self, precision: Precision, path: Path, nodes: int, last: bool = True) -> bool:
        """Verify an ONNX file of that many nodes; see `verify`."""
        with OnnxScorer(path, precision, threads=0, channels=self._channels) as scorer:
            return self.verify(precision, scorer.judge, f"{nodes} nodes, ", last)

    def verify(self, form: Form, candidate: JudgeFunction, prefix: str = "", last: bool = True) -> bool:
        """Verify a form of the model.

        Args:
            form: what it is.
            candidate: scores windows.
            prefix: of the verdict in the report.
            last: whether there is no further attempt; before the last, a form that misses a limit is not an error.

        Returns:
            Whether the form is accepted.

        Raises:
            CheckFailed: the last attempt misses a limit, and failing forms are not accepted.
        """
        found = self._data.sets.judge(candidate)
        comparison = self._data.compare(self.reference.scores, found.scores)
        channels = compare_channels(self.reference, found, self._channels)
        verdict = check_limits(comparison, self._limits["fp32" if form == "folded" else form], channels)
        missed = "; ".join(verdict.missed)
        if missed and not last:
            self._report(f"{form}: {prefix}misses its limits: {missed}; next with more operations in FP32")
            return False
        if missed and not self._keep_failing:
            raise CheckFailed(
                f"The {form} form does not score as the model does, so no bundle is written: {missed}. "
                "--keep-failing writes it and marks it as failing."
            )
        self.forms.append(VerifiedForm(form, verdict, found.scores))
        result = f"MISSES ITS LIMITS: {missed}" if missed else "verified"
        self._report(f"{form}: {prefix}{result}, {_summary(verdict, unit_of(self._channels))}")
        return True


def recorded_set(
    poses: Paths | Sequence[Clip],
    masks: str | os.PathLike[str] | Mapping[str, Labels] | None,
    length: int,
    frame_size: FrameSize | None = None,
    fps: float | None = None,
) -> VerificationSet:
    """Build the set from recordings.

    Args:
        poses: a folder of pose tracks, several folders, or clips.
        masks: their frame masks: a folder, or labels by clip name; None without labels.
        length: poses in a window.
        frame_size: width and height of the video frames of a folder in pixels, as for `read_clips`.
        fps: frames per second of the model, as for `daflow.core.data.windows.make_windows`.

    Raises:
        InputError: a folder cannot be read, or the recordings give no window.
    """
    if are_paths(poses):
        clips: Sequence[Clip] = read_clips(poses, frame_size)
        origin, source = f"recordings in {short_names(poses)}", name_paths(poses)
    else:
        clips = cast("Sequence[Clip]", poses)
        origin, source = f"{len(clips)} recordings", "The list of clips"
    windows = make_windows(clips, length, fps=fps)
    if not len(windows):
        raise InputError(f"{source} gives no window to verify on: {windows.skipped()}.")
    labels = read_masks(Path(masks)) if isinstance(masks, (str, os.PathLike)) else masks
    if labels is not None:
        warn_about_masks(clips, labels)
    return VerificationSet(windows, WindowSets.of(windows.poses), clips, labels, origin)


def generated_set(length: int, fps: float | None = None) -> VerificationSet:
    """Build the set from generated walkers, falls, runs and fights.

    Args:
        length: poses in a window.
        fps: frames per second of the model; None is that of the generated clips.
    """
    clips, masks = [], {}
    for index, scene in enumerate(test_scenes(_GENERATED_CLIPS, Scene(frames=400, fps=fps or DEFAULT_FPS))):
        clip, mask = generate_clip(f"generated_{index}", _SEED + index, scene)
        clips.append(clip)
        masks[clip.name] = mask
    windows = make_windows(clips, length)
    return VerificationSet(windows, WindowSets.of(windows.poses), clips, masks, "generated recordings")


def _summary(verdict: Verdict, unit: str) -> str:
    comparison = verdict.comparison
    auc = "" if comparison.auc_delta is None else f", dAUC {comparison.auc_delta:+.4f} points"
    channels = "".join(f", {name} {found.spearman:.6f}" for name, found in verdict.channels.items())
    return (
        f"{comparison.windows} windows, max |d| {comparison.max_abs:.2g} {unit}, "
        f"Spearman {comparison.spearman:.6f}, tail {comparison.tail_spearman:.6f}{channels}{auc}"
    )

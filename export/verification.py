"""What a model is verified on: recordings, real or generated, with the change of the AUC where labels are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daflow.core.data.frame_masks import Labels, read_masks
from daflow.core.data.synthetic import Scene, generate_clip, test_scenes
from daflow.core.data.tracks import Clip, FrameSize, read_clips
from daflow.core.data.windows import Windows, make_windows
from daflow.core.errors import InputError
from daflow.core.scoring.comparison import Comparison, Nll, ScoreFunction, WindowSets, compare_scores
from daflow.evaluation.auc import evaluate_windows

_SEED = 20240602
_GENERATED_CLIPS = 6


@dataclass(frozen=True)
class VerificationSet:
    """Windows to compare scores on.

    Attributes:
        windows: of the recordings.
        sets: these, perturbed and extreme ones.
        clips: the recordings.
        masks: their frame masks by clip name, None when there are none.
        origin: what the recordings are, for the manifest.
    """

    windows: Windows
    sets: WindowSets
    clips: list[Clip]
    masks: dict[str, Labels] | None
    origin: str

    def compare(
        self, reference: tuple[Nll, Nll, Nll], candidate: ScoreFunction
    ) -> tuple[Comparison, tuple[Nll, Nll, Nll]]:
        """Score all windows by a form of the model and compare with the reference's scores.

        Args:
            reference: `self.sets.score(...)` of what the candidate is held to.
            candidate: scores `(N, 2, T, V)` to `(N,)`.

        Returns:
            The comparison, with the AUC where there are masks, and the candidate's scores.
        """
        scores = self.sets.score(candidate)
        comparison = compare_scores(reference, scores)
        if self.masks is not None and not comparison.non_finite:
            before, after = self._auc(reference[0]), self._auc(scores[0])
            comparison = comparison.model_copy(update={"auc": before, "auc_delta": after - before})
        return comparison, scores

    def _auc(self, nll: Nll) -> float:
        assert self.masks is not None
        length = self.windows.poses.shape[2]
        auc = evaluate_windows(nll, self.windows, self.clips, self.masks, length).micro.auc
        assert auc is not None
        return 100 * auc


def recorded_set(
    poses: Path, masks: Path | None, length: int, frame_size: FrameSize | None = None
) -> VerificationSet:
    """Build the set from a folder of pose tracks, and of frame masks when there are some.

    Raises:
        InputError: a folder cannot be read, or gives no window.
    """
    clips = read_clips(poses, frame_size)
    windows = make_windows(clips, length)
    if not len(windows):
        raise InputError(f"{poses} gives no window to verify on: {windows.skipped()}.")
    labels = read_masks(masks) if masks else None
    return VerificationSet(
        windows, WindowSets.of(windows.poses), clips, labels, f"recordings in {poses.name}"
    )


def clips_set(clips: Sequence[Clip], length: int) -> VerificationSet:
    """Build the set from clips, without masks.

    Raises:
        InputError: the clips give no window.
    """
    windows = make_windows(clips, length)
    if not len(windows):
        raise InputError(f"The clips give no window to verify on: {windows.skipped() or 'no poses'}.")
    return VerificationSet(windows, WindowSets.of(windows.poses), list(clips), None, "recordings")


def generated_set(length: int) -> VerificationSet:
    """Build the set from generated walkers, falls, runs and fights."""
    clips, masks = [], {}
    for index, scene in enumerate(test_scenes(_GENERATED_CLIPS, Scene(frames=400))):
        clip, mask = generate_clip(f"generated_{index}", _SEED + index, scene)
        clips.append(clip)
        masks[clip.name] = mask
    windows = make_windows(clips, length)
    return VerificationSet(windows, WindowSets.of(windows.poses), clips, masks, "generated recordings")

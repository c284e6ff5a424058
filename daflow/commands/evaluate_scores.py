"""`daflow evaluate --scores`: the scores of somebody's own model, by the same protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daflow.commands.evaluation_tables import print_tables
from daflow.core.command_line import refuse_options, write_json
from daflow.core.data.label_table import choose_clips, read_labels
from daflow.core.errors import InputError

_FITTING = {"scores", "masks", "clips", "json_target", "paper", "figures"}


def evaluate_scores(
    path: Path, masks: Path | None, clips: Sequence[str], json_target: str | None,
    paper: Path | None, figures: Sequence[str],
) -> None:  # fmt: skip
    """Evaluate the scores of a file or folder, and print and write the figures.

    Raises:
        InputError: another option was given that does not go with scores, there are no labels, or a file is invalid.
    """
    from daflow.evaluation.baselines import compare_frames
    from daflow.evaluation.evaluate import evaluate
    from daflow.evaluation.score_files import read_scores

    refuse_options(
        lambda name: name not in _FITTING, "does not go with --scores, which need no model and no poses"
    )
    if masks is None:
        raise InputError("--scores goes with --masks or --labels: the labels of the frames.")
    labels = choose_clips(read_labels(masks), clips, "label")
    scores = {name: of_clip for name, of_clip in read_scores(path).items() if not clips or name in labels}
    result = evaluate(scores, masks=labels)
    comparison = compare_frames(result, scores, labels)
    if paper:
        from daflow.evaluation.paper import write_paper

        write_paper(paper, result, comparison, labels, figures)
    if json_target:
        write_json(json_target, {"scores": str(path), **result.as_dict(), "baselines": comparison.as_dict()})
    if json_target != "-":
        print_tables(result, comparison, f"{path}: scores of {len(scores)} clips; figures in %")

"""The command `daflow evaluate`."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daflow.commands.evaluate_scores import evaluate_scores
from daflow.commands.evaluate_videos import (
    VideoOptions,
    alarm_rule,
    print_causal,
    track_videos,
    video_options,
)
from daflow.commands.evaluation_tables import print_tables
from daflow.commands.figure_formats import figures_option
from daflow.commands.other_recordings import POSES_HELP, open_poses
from daflow.commands.preset_option import preset_line, preset_option
from daflow.core.alarms.rule import AlarmRule
from daflow.core.command_line import (
    FILE,
    FOLDER,
    Command,
    fps_option,
    frame_size_option,
    json_option,
    refuse_options,
    require_folder_for,
    write_json,
)
from daflow.core.data.clip_tables import FRAME_SIZES, FrameSize
from daflow.core.data.datasets import BENCHMARKS, Benchmark, open_benchmark
from daflow.core.data.frame_masks import Labels
from daflow.core.data.label_table import CLIPS_HELP, choose_clips, read_labels
from daflow.core.data.mask_checks import clip_lengths, frames_beyond
from daflow.core.data.track_files import name_paths
from daflow.core.data.tracks import DEFAULT_FPS, Clip, read_clips
from daflow.core.data.windows import LENGTH, STGNF_FRAME_SIZE, Windows
from daflow.core.errors import InputError, require_packages
from daflow.core.files import write_text
from daflow.core.scoring.comparison import PRECISIONS, Precision
from daflow.model.hub import is_hub_name
from daflow.model.scoring_model import ScoringModel
from daflow.training.presets import PRESETS, Preset

if TYPE_CHECKING:
    from daflow.evaluation.alarms import CausalEvaluation
    from daflow.evaluation.evaluate import ScoredClips


@click.command(cls=Command)
@click.option(
    "--poses",
    type=FOLDER,
    multiple=True,
    help=POSES_HELP,
)
@click.option(
    "--videos",
    type=FOLDER,
    help="Instead of --poses: a folder of videos and of folders of images, in which people are found and tracked as "
    "daflow-edge does it; a clip has the name of its video or folder of images. The alarm is evaluated too, if there "
    "is a threshold.",
)
@click.option(
    "--masks",
    "--labels",
    "masks",
    type=FOLDER,
    help="Labels of the frames: a folder of masks <clip>.npy (1 abnormal, 0 normal, -1 ignored), or a CSV file with "
    "the columns clip, frame (from 0) and label or abnormal (the same values), or clip, frame and posture (-1 "
    "upright, which is normal, 0 falling, 1 lying). Frames without a line are ignored.",
)
@click.option("--clips", multiple=True, metavar="GLOB", help=CLIPS_HELP)
@video_options
@click.option(
    "--alarms",
    is_flag=True,
    help="Also evaluate the alarm online (causally): delay and false alarms, at the threshold and at others. Always "
    "with --videos.",
)
@click.option(
    "--benchmark",
    "name",
    type=click.Choice(list(BENCHMARKS)),
    help="Instead of --poses: a benchmark in --root, with its clip list and the paper's settings. For ubnormal-hr no "
    "list of frames is published: give masks with -1 where frames are to be ignored. For ped2 no poses are published: "
    "make them with 'daflow poses'.",
)
@click.option(
    "--root",
    type=FOLDER,
    help="Folder of the benchmark: pose/test and gt, as in STG-NF's repository; of ped2 also pose/test and Test, as "
    "UCSD publishes it.",
)
@click.option(
    "--model",
    help="A checkpoint, a bundle (scored through its exported graph), hf://owner/name of the "
    "Hugging Face Hub, or 'untrained'.",
)
@click.option(
    "--scores",
    type=FOLDER,
    help="Instead of --model and poses: the scores of your own model, high means abnormal. A CSV file with the columns "
    "clip, frame (from 0) and score; or a folder of <clip>.npy, one number for each frame, or of what 'daflow score' "
    "wrote. Frames without a score, or with NaN, have nobody in them. Goes with --masks and --clips only.",
)
@click.option("--precision", type=click.Choice(PRECISIONS), default="fp32", help="The graph of a bundle.")
@click.option("--seed", default=0, help="Seed of the weights of 'untrained'.")
@click.option(
    "--protocol",
    type=click.Choice(["daflow", "stgnf"]),
    default="daflow",
    help="How windows are cut: as everywhere in this toolkit, or exactly as STG-NF's code does it (856x480 for every "
    "video unless --frame-size is given, its rule for missing frames, the last window of a track skipped).",
)
@preset_option(
    Preset.evaluate_defaults,
    "Score as the published re-implementation of DA-Flow did on this benchmark: a prior mean of 3 (ShanghaiTech) or "
    "2.3 (UBnormal), frame scores smoothed by one Gaussian of sigma 8 or 12 instead of six of sigma 1 to 6, and "
    "--protocol stgnf unless another one is given.",
)
@json_option("the figures")
@click.option(
    "--report",
    type=FILE,
    metavar="FILE.html",
    help="Also write a page: ROC and precision-recall curves, the scores of each clip over time, the worst mistakes.",
)
@click.option(
    "--paper",
    type=FOLDER,
    help="Also write what a paper needs to this folder: the tables as CSV and LaTeX (booktabs), and the curves and the "
    "score of each clip as figures.",
)
@figures_option("svg,pdf", "the figures of --paper")
@frame_size_option
@fps_option
def evaluate(
    poses: tuple[Path, ...], videos: Path | None, masks: Path | None, clips: tuple[str, ...], alarms: bool,
    name: str | None, root: Path | None, model: str | None, scores: Path | None, precision: Precision, seed: int,
    protocol: str, preset: str | None, json_target: str | None, report: Path | None, paper: Path | None,
    figures: tuple[str, ...], frame_size: FrameSize | None, fps: float | None, **video: Any,
) -> None:  # fmt: skip
    """Evaluate a model by frame-level ROC AUC against labelled frames, per clip and over all.

    Scores that need no model stand beside it. With --videos everything from the video to the alarm is evaluated.
    """
    needed = {"torch": _is_checkpoint(model), "matplotlib": report or paper, "pyarrow": scores}
    require_packages(
        {"train": [name for name, given in needed.items() if given], "edge": ["av"] if videos else []}
    )
    if not paper:
        refuse_options(lambda option: option == "figures", "is for the figures of --paper")
    if scores:
        evaluate_scores(scores, masks, clips, json_target, paper, figures)
    elif model is None:
        raise click.UsageError("Missing option '--model', or --scores for the scores of your own model.")
    else:
        _evaluate_model(
            model, poses, videos, masks, clips, alarms or bool(videos), name, root, precision, seed, protocol, preset,
            json_target, report, paper, figures, frame_size, fps, VideoOptions(**video),
        )  # fmt: skip


def _evaluate_model(
    model: str, poses: tuple[Path, ...], videos: Path | None, masks: Path | None, clips: tuple[str, ...],
    alarms: bool, name: str | None, root: Path | None, precision: Precision, seed: int, protocol: str,
    preset: str | None, json_target: str | None, report: Path | None, paper: Path | None, formats: Sequence[str],
    frame_size: FrameSize | None, fps: float | None, options: VideoOptions,
) -> None:  # fmt: skip
    from daflow.evaluation.baselines import compare_windows
    from daflow.evaluation.evaluate import score_clips
    from daflow.model.load import load

    began = time.monotonic()
    for file in filter(None, (report, paper and paper / "clips.csv")):
        require_folder_for(file)
    benchmark = BENCHMARKS[name] if name else None
    data = _open_data(poses, videos, masks, name, root)
    labels = choose_clips(data.labels, clips, "label")
    stgnf = protocol == "stgnf"
    _check_together(options, bool(videos), alarms, stgnf, preset)
    scorer = load(model, precision, seed=seed, window=benchmark.window if benchmark else LENGTH)
    scorer, sigmas = _by_preset(scorer, preset, quiet=json_target == "-")
    rule = alarm_rule(scorer.alarm, options.threshold) if alarms else None
    broken: list[str] = []
    rates: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        folders = data.poses
        if videos:
            folder = options.tracks or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            rates = track_videos(videos, folder, labels, options, broken, fps)
            folders = (folder,)
        size = frame_size or (STGNF_FRAME_SIZE if stgnf else _frame_size_of(benchmark, folders))
        if poses:
            folders = open_poses(poses, size, fps, broken)
        found = read_clips(folders, size, broken, fps)
    if benchmark:
        found = [clip for clip in found if clip.name not in benchmark.excluded]
    if clips or videos:
        found = [clip for clip in found if clip.name in labels]
    scored = score_clips(scorer, found, "stgnf" if stgnf else "span", name_paths(videos or data.poses))
    result = scored.evaluate(labels, sigmas)
    comparison = compare_windows(result, scored.nll, scored.windows, found, labels, sigmas)
    causal = _evaluate_causal(scored, labels, rates, scorer.fps, rule) if alarms else None
    if report:
        from daflow.evaluation.report import evaluation_page

        write_text(report, evaluation_page(result, scored, labels, scorer.name, comparison, causal))
    if paper:
        from daflow.evaluation.paper import write_paper

        write_paper(paper, result, comparison, labels, formats, causal.curve if causal else ())
    if json_target:
        facts = {
            "model": scorer.name, "protocol": protocol, **({"preset": preset} if preset else {}),
            "broken_files": len(broken), **data.facts,
        }  # fmt: skip
        online = {"causal": causal.as_dict()} if causal else {}
        write_json(json_target, {**facts, **result.as_dict(), "baselines": comparison.as_dict(), **online})
    if json_target == "-":
        return
    counts = [
        *_counts(scored.windows, broken, found, labels),
        f"{time.monotonic() - began:.1f} s; figures in %",
    ]
    print_tables(result, comparison, f"{scorer.name}: {result.windows} windows, {', '.join(counts)}")
    if benchmark:
        click.echo(_beside_the_paper(benchmark, result.micro.auc, scorer.window))
    if causal:
        print_causal(causal)


def _is_checkpoint(model: str | None) -> bool:
    """Whether a model needs torch; of one on the Hub that is known when it was fetched."""
    return model is not None and not is_hub_name(model) and not Path(model).is_dir()


@dataclass(frozen=True)
class _Data:
    """What to evaluate on.

    Attributes:
        poses: the folders of tracks; none while they have to be found in videos.
        labels: of each frame by clip name.
        facts: for the JSON.
    """

    poses: tuple[Path, ...]
    labels: dict[str, Labels]
    facts: dict[str, Any] = field(default_factory=dict)


def _open_data(
    poses: tuple[Path, ...], videos: Path | None, masks: Path | None, name: str | None, root: Path | None
) -> _Data:
    benchmark = BENCHMARKS[name] if name else None
    if benchmark and root and not (poses or videos):
        data = open_benchmark(benchmark, root, masks)
        facts = {
            "benchmark": name, "without_poses": list(data.without_poses), "published": dict(benchmark.published),
        }  # fmt: skip
        return _Data((data.poses,), data.masks, facts)
    if masks and (not poses) != (videos is None) and not benchmark and not root:
        return _Data(poses, read_labels(masks))
    raise InputError("Give --poses and --masks, or --videos and --labels, or --benchmark and --root.")


def _evaluate_causal(
    scored: ScoredClips,
    labels: dict[str, Labels],
    rates: dict[str, float],
    fps: float | None,
    rule: AlarmRule | None,
) -> CausalEvaluation:
    """Evaluate online; clips whose rate is not known are taken to have the model's."""
    from daflow.evaluation.alarms import evaluate_causal

    own = {clip.name: clip.rate.fps if clip.rate else fps or DEFAULT_FPS for clip in scored.clips}
    # Recordings in which nobody was tracked have labels and no clip.
    judged = {name: mask for name, mask in labels.items() if name in own or name in rates}
    return evaluate_causal(scored.nll, scored.windows, scored.clips, judged, own | rates, rule)


def _by_preset(scorer: ScoringModel, preset: str | None, quiet: bool) -> tuple[ScoringModel, Sequence[float]]:
    """Return what scores windows, and the Gaussians that smooth the scores, and say so unless `quiet`."""
    from daflow.evaluation.auc import SIGMAS
    from daflow.model.prior_mean import with_prior_mean

    if preset is None:
        return scorer, SIGMAS
    chosen = PRESETS[preset]
    scorer = with_prior_mean(scorer, chosen.scoring_prior_mean)
    if not quiet:
        others = (
            f"prior mean {chosen.scoring_prior_mean:g}, smoothing by one Gaussian of sigma {chosen.sigma:g}"
        )
        click.echo(preset_line(preset, chosen.evaluate_defaults(), others))
    return scorer, (chosen.sigma,)


def _check_together(
    options: VideoOptions, videos: bool, alarms: bool, stgnf: bool, preset: str | None
) -> None:
    if not videos:
        options.require_none(alarms)
    elif preset:
        raise InputError("--preset is for --poses and --benchmark; --videos evaluates what daflow-edge does.")
    elif stgnf:
        raise InputError("--protocol stgnf is for --poses; --videos cuts windows as daflow-edge does.")


def _counts(
    windows: Windows, broken: Sequence[str], clips: Sequence[Clip], labels: dict[str, Labels]
) -> Iterator[str]:
    yield from filter(None, (windows.skipped(), windows.missing_joints()))
    if broken:
        yield f"{len(broken)} files could not be read"
    if beyond := frames_beyond(clip_lengths(clips), labels):
        yield f"{beyond} frames lie beyond their masks and are not judged"


def _frame_size_of(benchmark: Benchmark | None, poses: Sequence[Path]) -> FrameSize | None:
    """The frame size of a benchmark's videos, unless the tracks come with their own."""
    own = any((folder / FRAME_SIZES).exists() for folder in poses)
    return None if benchmark is None or own else benchmark.frame_size


def _beside_the_paper(benchmark: Benchmark, auc: float | None, window: int) -> str:
    measured = "-" if auc is None else f"{100 * auc:.1f}"
    published = ", ".join(f"{method} {figure}" for method, figure in benchmark.published) or "none known"
    text = f"{benchmark.title}: measured {measured} %; published: {published}"
    if window != benchmark.window:
        text += f". The paper's windows have {benchmark.window} poses here, this model's {window}"
    return text

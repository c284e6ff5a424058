"""The command `daflow evaluate`."""

from __future__ import annotations

@click.command(cls=Command)
@click.option("--poses", type=FOLDER, required=True, help="Folder of pose tracks.")
@click.option(
    "--masks",
    type=FOLDER,
    required=True,
    help="Folder of frame masks <clip>.npy: 1 abnormal, 0 normal, -1 ignored.",
)
@click.option(
    "--model",
    required=True,
    help="A checkpoint, a bundle (scored through its exported graph), or 'untrained'.",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    help="The graph of a bundle.",
)
@click.option("--seed", default=0, help="Seed of the weights of 'untrained'.")
@click.option(
    "--protocol",
    type=click.Choice(["daflow", "stgnf"]),
    default="daflow",
    help="How windows are cut and normalised. stgnf repeats STG-NF's code to the window: every video counts as "
    "856x480 unless --frame-size says otherwise, the window that ends a track is left out, and a gap of any size may "
    "stand before a window's last two poses. Scoring and smoothing are the same in both.",
)
@click.option(
    "--json",
    "json_target",
    metavar="FILE",
    help="Also write the figures as JSON; - is standard output.",
)
@click.option(
    "--report",
    type=FILE,
    metavar="FILE.html",
    help="Also write a page: ROC and PR curves, the score over time of each clip, the worst mistakes as skeletons.",
)
@frame_size_option
def evaluate(
    poses: Path,
    masks: Path,
    model: str,
    precision: Precision,
    seed: int,
    protocol: str,
    json_target: str | None,
    report: Path | None,
    frame_size: FrameSize | None,
) -> None:
    """Judge a model by frame-level ROC AUC against frame masks, per clip and over all."""
    from daflow.evaluation import evaluate as judge
    from daflow.evaluation import read_masks
    from daflow.judged import open_judged

    began = time.monotonic()
    if report:
        require_folder_for(report)
    judged = open_judged(model, precision, seed)
    stgnf = protocol == "stgnf"
    clips = read_clips(poses, frame_size or (STGNF_FRAME_SIZE if stgnf else None))
    windows = make_windows(clips, judged.window, rule="stgnf" if stgnf else "span")
    if not len(windows):
        raise InputError(f"{poses} gives no window of {judged.window} poses: {windows.left_out()}.")
    labels, nll = read_masks(masks), judged.score(windows.poses)
    result = judge(nll, windows, clips, labels, judged.window)
    if report:
        from daflow.evaluation_report import evaluation_page

        write_text(report, evaluation_page(result, nll, windows, clips, labels, judged.name))
    if json_target:
        write_json(json_target, {"model": judged.name, "protocol": protocol, **result.as_dict()})
    if json_target == "-":
        return
    click.echo(f"{'clip':<24}{'AUC':>8}{'AUC-PR':>8}{'EER':>8}{'frames':>9}{'abnormal':>10}")
    for name, figures in [*result.clips.items(), ("all frames (micro)", result.micro)]:
        values = "".join(
            f"{'-' if v is None else f'{100 * v:.2f}':>8}" for v in (figures.auc, figures.auc_pr, figures.eer)
        )
        click.echo(f"{name:<24}{values}{figures.frames:>9}{figures.abnormal:>10}")
    macro = "-" if result.macro_auc is None else f"{100 * result.macro_auc:.2f}"
    click.echo(f"{'mean of clips (macro)':<24}{macro:>8}")
    counts = ", ".join(filter(None, [f"{result.windows} windows", windows.left_out()]))
    click.echo(f"{judged.name}: {counts}, {time.monotonic() - began:.1f} s; figures in %")



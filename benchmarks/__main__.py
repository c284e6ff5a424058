"""One command that measures everything in one run on one machine: `python -m benchmarks`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from benchmarks.inputs import Settings
from daflow.core.command_line import FILE, FOLDER, Command

NAMES = ("edge", "targets", "forms", "scaling", "training")


@click.command(cls=Command)
@click.option(
    "--only", "only", multiple=True, type=click.Choice(NAMES), help="Measure this alone; may be repeated."
)
@click.option("--quick", is_flag=True, help="A trial of about a minute; its figures mean little.")
@click.option("--rounds", default=5, type=click.IntRange(1), help="How often everything has its turn.")
@click.option("--bundle", type=FOLDER, help="A bundle with a threshold.  [default: one that is made here]")
@click.option("--poses", type=FOLDER, help="Pose tracks of normal behaviour.  [default: generated ones]")
@click.option("--test", type=FOLDER, help="Pose tracks to evaluate on; goes with --poses and --masks.")
@click.option("--masks", type=FOLDER, help="Frame masks of these.")
@click.option("--video", type=FILE, help="A video with a person, for the edge, which is skipped without it.")
@click.option("--pose-model", type=FILE, help="The pose model (.task) for it.")
@click.option(
    "-o", "--output", type=FOLDER, required=True, help="Folder of the page, its pictures and the JSON."
)
def main(
    only: tuple[str, ...], quick: bool, rounds: int, bundle: Path | None, poses: Path | None, test: Path | None,
    masks: Path | None, video: Path | None, pose_model: Path | None, output: Path,
) -> None:  # fmt: skip
    """Measure the toolkit against its targets and baselines, and write benchmarks.md, benchmarks.json and pictures."""
    tracks = tuple(folder for folder in (poses, test, masks) if folder is not None)
    if len(tracks) not in (0, 3):
        raise click.UsageError("--poses, --test and --masks go together.")
    from benchmarks.run import run

    settings = Settings(quick, 1 if quick else rounds)
    chosen = [name for name in NAMES if not only or name in only]
    with tempfile.TemporaryDirectory() as folder:
        run(
            chosen, settings, Path(folder), output, bundle, tracks if len(tracks) == 3 else None, video, pose_model
        )  # fmt: skip


if __name__ == "__main__":
    main()

"""How much smaller and faster to read are pose tracks as Parquet than as JSON?

    python -m benchmarks.track_files --poses data/train --poses data/test

The same clips are written in both forms, and read in turns by the function that every command reads with, with its
checks, and by the readers of the two forms alone. Each is read once before, so that neither pays for its imports and
files come from memory: what is compared is the work, not the disk. With generated people where no tracks are named.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from daflow.core.command_line import FOLDER, Command, json_option, write_json
from daflow.core.data.json_tracks import read_json_tracks
from daflow.core.data.parquet_tracks import read_parquet_tracks
from daflow.core.data.synthetic import generate_dataset
from daflow.core.data.track_names import TRACK_FORMATS, TrackFormat
from daflow.core.data.tracks import Clip, find_tracks, read_clip_with_facts, read_clips, write_clips
from daflow.core.progress import track
from runtime.profiling.statistics import Quartiles
from runtime.profiling.timing import interleave


@dataclass(frozen=True)
class FormComparison:
    """Both forms of the same clips.

    Attributes:
        clips, poses: how many.
        size: bytes of the files of each form, with the tables beside JSON.
        commands: seconds to read all clips as the commands do, by form.
        readers: seconds of the reader of each form alone.
    """

    clips: int
    poses: int
    size: dict[TrackFormat, int]
    commands: dict[TrackFormat, list[float]]
    readers: dict[TrackFormat, list[float]]

    @property
    def smaller(self) -> float:
        """The size of Parquet as a share of that of JSON."""
        return self.size["parquet"] / self.size["json"]

    def faster(self, seconds: dict[TrackFormat, list[float]]) -> Quartiles:
        """How many times as fast Parquet is read, over the rounds."""
        return Quartiles.of(
            [json / parquet for json, parquet in zip(seconds["json"], seconds["parquet"], strict=True)]
        )


def compare_forms(clips: Sequence[Clip], folder: Path, rounds: int) -> FormComparison:
    """Write clips in both forms and read them in turns.

    Args:
        clips: what is written; people of one clip have one layout.
        folder: for the files.
        rounds: how often each is read.
    """
    size: dict[TrackFormat, int] = {}
    tasks: dict[tuple[str, TrackFormat], Callable[[], float]] = {}
    readers: dict[TrackFormat, Callable[[Path], object]] = {
        "json": read_json_tracks,
        "parquet": read_parquet_tracks,
    }
    for form in TRACK_FORMATS:
        write_clips(folder / form, clips, form)
        size[form] = sum(path.stat().st_size for path in (folder / form).iterdir())
        paths = [file.path for file in find_tracks(folder / form)]
        tasks["commands", form] = _timed(read_clip_with_facts, paths)
        tasks["readers", form] = _timed(readers[form], paths)
    for task in tasks.values():
        task()
    seconds = interleave(tasks, rounds, lambda numbers: track(numbers, "rounds"))
    return FormComparison(
        len(clips), sum(clip.poses for clip in clips), size,
        {form: seconds["commands", form] for form in TRACK_FORMATS},
        {form: seconds["readers", form] for form in TRACK_FORMATS},
    )  # fmt: skip


def _timed(read: Callable[[Path], object], paths: Sequence[Path]) -> Callable[[], float]:
    def seconds() -> float:
        began = time.perf_counter()
        for path in paths:
            read(path)
        return time.perf_counter() - began

    return seconds


@click.command(cls=Command)
@click.option(
    "--poses",
    type=FOLDER,
    multiple=True,
    help="Folder of pose tracks; may be repeated, each is measured alone.  [default: generated people]",
)
@click.option("--rounds", default=7, type=click.IntRange(1), help="How often each form is read.")
@json_option("the figures")
def main(poses: tuple[Path, ...], rounds: int, json_target: str | None) -> None:
    """Compare pose tracks as JSON and as Parquet: bytes on disk, and seconds to read, in the same run."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        places = list(poses)
        if not places:
            generate_dataset(Path(folder) / "generated", train_clips=8, test_clips=1)
            places = [Path(folder) / "generated" / "train"]
        for number, place in enumerate(places):
            found = compare_forms(read_clips(place), Path(folder) / str(number), rounds)
            commands, readers = found.faster(found.commands), found.faster(found.readers)
            figures[str(place)] = {
                "clips": found.clips, "poses": found.poses, "bytes": found.size, "smaller": found.smaller,
                "seconds": {"commands": found.commands, "readers": found.readers},
                "faster": {"commands": commands.median, "readers": readers.median},
            }  # fmt: skip
            if json_target != "-":
                click.echo(
                    f"{place.name}: {found.clips} clips, {found.poses} poses: Parquet has {100 * found.smaller:.0f} % "
                    f"of the bytes of JSON, and is read {_times(commands)} as fast by the commands, "
                    f"{_times(readers)} by the reader alone"
                )
    if json_target:
        write_json(json_target, figures)


def _times(ratio: Quartiles) -> str:
    return f"{ratio.median:.1f} times ({ratio.low:.1f} to {ratio.high:.1f})"


if __name__ == "__main__":
    main()

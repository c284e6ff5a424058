"""The command `daflow convert`: recordings of other pose estimators become pose tracks, and these other forms."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from daflow.commands.other_recordings import new_tracker, size_and_rate
from daflow.core.command_line import FOLDER, Command, fps_option, frame_size_option
from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.parquet_tracks import require_pyarrow
from daflow.core.data.plausibility import ClipFacts, clip_facts, clip_warnings
from daflow.core.data.tracks import DEFAULT_FRAME_SIZE
from daflow.core.errors import InputError
from daflow.core.log import one_line
from daflow.core.progress import track as progress
from daflow.formats.assemble import Converted, assemble
from daflow.formats.layouts import LAYOUTS
from daflow.formats.recognise import FORMS, read_source
from daflow.formats.recording import Options, Recording
from daflow.formats.sources import Source, find_sources
from daflow.formats.write import TARGETS, write_clip, written_file

logger = logging.getLogger(__name__)


@dataclass
class _Work:
    """What is to be done with each recording, and what was done."""

    output: Path
    target: str
    options: Options
    track_anew: bool
    frame_size: FrameSize | None
    fps: float | None
    overwrite: bool
    clips: dict[str, ClipFacts]
    failed: list[str]

    def convert(self, source: Source) -> Iterator[Converted]:
        """Convert and write the clips of a recording; the errors of those that cannot be are kept.

        Raises:
            OSError: the folder cannot be written.
        """
        try:
            recordings = read_source(source, self.options)
        except InputError as error:
            self.failed.append(error.message)
            return
        except OSError as error:
            self.failed.append(f"{source.place} cannot be read: {error.strerror or error}.")
            return
        for recording in recordings:
            try:
                yield self._convert_clip(source, recording)
            except InputError as error:
                self.failed.append(error.message)

    def _convert_clip(self, source: Source, recording: Recording) -> Converted:
        name = recording.name or source.name
        if name in self.clips:
            raise InputError(f"Two recordings are of a clip {name}; the one in {source.place} is left out.")
        there = written_file(self.output, name, self.target)
        if there and not self.overwrite:
            raise InputError(
                f"{there} is there already: replace it with --overwrite, or choose another folder with -o."
            )
        size, rate = size_and_rate(source, recording, name, self.frame_size, self.fps)
        converted = assemble(name, recording, self.options, new_tracker, size, rate, self.track_anew)
        write_clip(self.output, converted.clip, self.target)
        self.clips[name] = clip_facts(converted.clip)
        return converted


def _name_of_clip(ctx: click.Context, param: click.Parameter, name: str | None) -> str | None:  # noqa: ARG001
    if name is not None and not re.fullmatch(r"[^./\\][^/\\]*", name):
        raise click.BadParameter("the name of a clip has no slash and does not begin with a dot.")
    return name


@click.command(cls=Command)
@click.argument("sources", nargs=-1, required=True, type=FOLDER, metavar="SRC...")
@click.option(
    "-o", "--output", type=FOLDER, required=True, help="Folder of what is written, one file a clip."
)
@click.option(
    "--to",
    "target",
    type=click.Choice(TARGETS),
    default="tracks",
    help="What is written: pose tracks in JSON with frame_sizes.json and frame_rates.json; pose tracks in Parquet, "
    "which hold both; a list of AlphaPose results with idx; or COCO images and annotations.",
)
@click.option(
    "--from",
    "form",
    type=click.Choice(FORMS),
    help="The form of the files; needed where the contents do not tell it.  [default: what the files hold]",
)
@click.option(
    "--layout",
    type=click.Choice(list(LAYOUTS)),
    help="The order of the joints.  [default: the names in the file, else the number of joints; 17 are COCO's, and 25 "
    "need this option unless they are from OpenPose]",
)
@click.option(
    "--axes",
    type=click.Choice(["ntvc", "tpvc"]),
    help="Axes of an array of four dimensions: people, frames, joints, coordinates; or frames, people, joints, "
    "coordinates, where people have no numbers.  [default: none, an error says so]",
)
@click.option(
    "--units",
    type=click.Choice(["pixels", "fractions"]),
    help="Units of the coordinates: pixels, or fractions of the frame, which need its size.  [default: fractions for "
    "yolo and mediapipe, else pixels]",
)
@click.option(
    "--track",
    "track_anew",
    is_flag=True,
    help="Number people anew by tracking them, also where the files have numbers.",
)
@click.option(
    "--clip",
    callback=_name_of_clip,
    help="Name of the clip, for a single recording.  [default: the name of the file, or of its folder]",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@fps_option
@frame_size_option
def convert(
    sources: tuple[Path, ...],
    output: Path,
    target: str,
    form: str | None,
    layout: str | None,
    axes: str | None,
    units: str | None,
    track_anew: bool,
    clip: str | None,
    overwrite: bool,
    fps: float | None,
    frame_size: FrameSize | None,
) -> None:
    """Convert recordings of other pose estimators to pose tracks, and pose tracks to other forms.

    SRC is a file or a folder of AlphaPose, OpenPose, COCO, Detectron2, MMPose, YOLO-pose, MediaPipe or NTU RGB+D, a CSV
    table or a NumPy array, each also packed by gzip, or of pose tracks. The form is told by the contents. People
    without numbers are tracked.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is not a folder.")
    if target == "parquet":
        require_pyarrow()
    options = Options(form, LAYOUTS[layout] if layout else None, axes, units)  # type: ignore[arg-type]
    work = _Work(output, target, options, track_anew, frame_size, fps, overwrite, {}, [])
    found = find_sources(sources, clip, form, passed_over=output)
    unknown = 0
    for source in progress(found, "converting"):
        for converted in work.convert(source):
            click.echo(one_line(str(converted)))
            unknown += not converted.size_known
            if converted.left_out:
                logger.warning(
                    "%s: %d poses have no person and are left out", converted.clip.name, converted.left_out
                )
    for message in work.failed if work.clips else work.failed[1:]:
        logger.warning("skipped: %s", message)
    if not work.clips:
        raise InputError(work.failed[0])
    _warn(list(work.clips.values()), unknown)
    failed = f", {len(work.failed)} failed" if work.failed else ""
    click.echo(f"{output}: {len(work.clips)} {'clip' if len(work.clips) == 1 else 'clips'} converted{failed}")


def _warn(facts: list[ClipFacts], unknown: int) -> None:
    """Say what is not known and what is implausible about all clips."""
    if unknown:
        width, height = DEFAULT_FRAME_SIZE
        logger.warning(
            "the frame size of %d clips is not known, %dx%d is written (set it with --frame-size)",
            unknown, width, height,
        )  # fmt: skip
    for warning in clip_warnings(facts):
        logger.warning(warning)

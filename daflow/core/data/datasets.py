"""The benchmarks that the DA-Flow paper reports: where their files are, how they are evaluated, published results.

A benchmark's folder is laid out as in STG-NF's repository: `pose/test/<clip>_alphapose_tracked_person.json` and ground
truth in `gt/`. Of UCSD Ped2 the ground truth is read as it was published, too. None of it comes with this toolkit.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_masks import Labels, read_masks
from daflow.core.data.label_table import read_labels
from daflow.core.data.picture_masks import read_picture_masks
from daflow.core.data.tracks import find_tracks
from daflow.core.data.windows import LENGTH, STGNF_FRAME_SIZE
from daflow.core.errors import InputError
from daflow.core.files import StrPath

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        title: its name in papers.
        folders: the names that its folder may have.
        masks: where its ground truth may be, relative to the benchmark's folder; the first that is there is taken. A
            folder of frame masks, a folder of pictures of masks (`picture_masks`), or a table (`label_table`).
        window: poses in a window in the paper.
        frame_size: width and height of its videos in pixels, unless `frame_sizes.json` gives them.
        source: where to get it.
        clips: clips of its test split; None where no published list is known.
        excluded: clips that its human-related variant excludes.
        published: AUC in percent by method (arXiv 2406.02976, 2211.10946).
    """

    title: str
    folders: tuple[str, ...]
    masks: tuple[str, ...]
    window: int
    frame_size: FrameSize
    source: str
    clips: int | None = None
    excluded: frozenset[str] = frozenset()
    published: tuple[tuple[str, float], ...] = ()


_STGNF = "poses and ground truth as published with github.com/orhir/STG-NF"
_NOT_HUMAN = frozenset({"01_0130", "01_0135", "01_0136", "06_0144", "06_0145", "12_0152"})

BENCHMARKS = {
    "shanghaitech": Benchmark(
        "ShanghaiTech", ("ShanghaiTech",), ("gt/test_frame_mask",), LENGTH, STGNF_FRAME_SIZE, _STGNF, 107,
        published=(("DA-Flow", 86.5), ("STG-NF", 85.9)),
    ),
    "shanghaitech-hr": Benchmark(
        "HR-ShanghaiTech", ("ShanghaiTech",), ("gt/test_frame_mask",), LENGTH, STGNF_FRAME_SIZE, _STGNF, 107,
        _NOT_HUMAN, published=(("DA-Flow", 87.8), ("STG-NF", 87.4)),
    ),
    "ubnormal": Benchmark(
        "UBnormal", ("UBnormal",), ("gt",), 16, (1280, 720),
        f"{_STGNF}; videos from github.com/lilygeorgescu/UBnormal", 211,
        published=(("DA-Flow", 74.1), ("STG-NF", 71.8)),
    ),
    "ubnormal-hr": Benchmark(
        "HR-UBnormal", ("UBnormal",), ("gt/hr_frame_mask",), 16, (1280, 720),
        f"{_STGNF}. No list of its frames is published with it: make masks <clip>.npy with -1 where the anomaly is not "
        "of people",
    ),
    "ped2": Benchmark(
        "UCSD Ped2", ("Ped2", "UCSDped2"), ("gt/test_frame_mask", "test_labels.csv", "Test"), LENGTH, (360, 240),
        "videos and ground truth from svcl.ucsd.edu/projects/anomaly. Its poses are not published: make them with "
        "'daflow poses --source Test -o pose/test --fps 10 --estimator bundle' in its folder; MediaPipe alone finds "
        "no people as small as these. Other ground truth is given with --masks, with -1 for frames to be ignored",
        12,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class BenchmarkData:
    """A benchmark's files as they were found.

    Attributes:
        poses: the folder of its test tracks.
        masks: the labels of the evaluated clips.
        without_poses: evaluated clips that have no track file.
    """

    poses: Path
    masks: dict[str, Labels]
    without_poses: tuple[str, ...]


def open_benchmark(benchmark: Benchmark, root: StrPath, masks: StrPath | None = None) -> BenchmarkData:
    """Find the files of a benchmark.

    Args:
        benchmark: which one.
        root: its folder, or the folder that holds it under its name.
        masks: other ground truth than that in the benchmark's folder.

    Raises:
        InputError: poses or ground truth are missing; the message says where they must be, and where to get them.
    """
    root = Path(root)
    root = next((root / name for name in benchmark.folders if (root / name).is_dir()), root)
    poses = root / "pose" / "test"
    places = [Path(masks)] if masks else [root / name for name in benchmark.masks]
    truth = next((place for place in places if place.exists()), None)
    for there, what, where in ((poses.is_dir(), "poses", [poses]), (truth, "ground truth", places)):
        if not there:
            raise InputError(
                f"{benchmark.title}: its {what} must be in {' or '.join(map(str, where))}, which is missing. Source: "
                f"{benchmark.source}."
            )
    assert truth is not None
    labels = _read_truth(truth)
    if benchmark.clips and len(labels) != benchmark.clips:
        logger.warning(
            "%s has %d test clips; %d masks are in %s", benchmark.title, benchmark.clips, len(labels), truth
        )
    labels = {name: mask for name, mask in labels.items() if name not in benchmark.excluded}
    found = {file.clip for file in find_tracks(poses, benchmark.frame_size)}
    missing = tuple(sorted(set(labels) - found))
    if missing:
        logger.warning(
            "%d of %d clips have no poses in %s (%s ...): the results cannot be compared with published ones. "
            "Source: %s", len(missing), len(labels), poses, missing[0], benchmark.source,
        )  # fmt: skip
    return BenchmarkData(poses, labels, missing)


def _read_truth(place: Path) -> dict[str, Labels]:
    if not place.is_dir():
        return read_labels(place)
    return read_picture_masks(place) or read_masks(place, intervals=False)

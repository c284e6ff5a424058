"""The benchmarks that the DA-Flow paper reports: where their files are, how they are evaluated, published results.

A benchmark's folder is laid out as in STG-NF's repository: `pose/test/<clip>_alphapose_tracked_person.json` and ground
truth in `gt/`. Neither comes with this toolkit.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from daflow.core.data.clip_tables import FrameSize
from daflow.core.data.frame_masks import Labels, read_masks
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
        folder: the name of its folder.
        masks: the folder of its ground truth, relative to the benchmark's.
        window: poses in a window in the paper.
        frame_size: width and height of its videos in pixels, unless `frame_sizes.json` gives them.
        source: where to get it.
        clips: clips of its test split; None where no published list is known.
        excluded: clips that its human-related variant excludes.
        published: AUC in percent by method (arXiv 2406.02976, 2211.10946).
    """

    title: str
    folder: str
    masks: str
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
        "ShanghaiTech", "ShanghaiTech", "gt/test_frame_mask", LENGTH, STGNF_FRAME_SIZE, _STGNF, 107,
        published=(("DA-Flow", 86.5), ("STG-NF", 85.9)),
    ),
    "shanghaitech-hr": Benchmark(
        "HR-ShanghaiTech", "ShanghaiTech", "gt/test_frame_mask", LENGTH, STGNF_FRAME_SIZE, _STGNF, 107, _NOT_HUMAN,
        published=(("DA-Flow", 87.8), ("STG-NF", 87.4)),
    ),
    "ubnormal": Benchmark(
        "UBnormal", "UBnormal", "gt", 16, (1280, 720),
        f"{_STGNF}; videos from github.com/lilygeorgescu/UBnormal", 211,
        published=(("DA-Flow", 74.1), ("STG-NF", 71.8)),
    ),
    "ubnormal-hr": Benchmark(
        "HR-UBnormal", "UBnormal", "gt/hr_frame_mask", 16, (1280, 720),
        f"{_STGNF}. No list of its frames is published with it: make masks <clip>.npy with -1 where the anomaly is not "
        "of people",
    ),
    "ped2": Benchmark(
        "UCSD Ped2", "Ped2", "gt/test_frame_mask", LENGTH, (360, 240),
        "videos and ground truth from svcl.ucsd.edu/projects/anomaly. Its poses are not published: make them with "
        "'daflow poses', and masks <clip>.npy with -1 for frames to be ignored",
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
        masks: other masks than those in the benchmark's folder.

    Raises:
        InputError: poses or ground truth are missing; the message says where they must be, and where to get them.
    """
    root = Path(root)
    if (root / benchmark.folder).is_dir():
        root = root / benchmark.folder
    poses, masks = root / "pose" / "test", Path(masks or root / benchmark.masks)
    for folder, what in ((poses, "poses"), (masks, "ground truth")):
        if not folder.is_dir():
            raise InputError(
                f"{benchmark.title}: its {what} must be in {folder}, which is missing. Source: {benchmark.source}."
            )
    labels = read_masks(masks, intervals=False)
    if benchmark.clips and len(labels) != benchmark.clips:
        logger.warning(
            "%s has %d test clips; %d masks are in %s", benchmark.title, benchmark.clips, len(labels), masks
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

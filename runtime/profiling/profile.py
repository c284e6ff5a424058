"""A profile: what `daflow-profile --json` writes and `daflow-profile compare` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from daflow.core.errors import InputError
from daflow.core.files import parse_json
from runtime.profiling.statistics import Timing

FORMAT = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, populate_by_name=True)


class BatchTiming(_Part):
    """A scorer called with one number of windows.

    Attributes:
        call: the whole call.
        to_device: copying to the GPU; like the next two None where the scorer reports the whole call only.
        compute: computing on the GPU.
        to_host: copying back.
        windows_per_second: at the median of the call.
        ratio: median of the call over that of the baseline scorer.
    """

    call: Timing
    to_device: Timing | None
    compute: Timing | None
    to_host: Timing | None
    windows_per_second: float
    ratio: float

    @property
    def phases(self) -> dict[str, Timing]:
        """The phases on the GPU by name; empty where the scorer does not report them."""
        phases = {"to device": self.to_device, "compute": self.compute, "to host": self.to_host}
        return {name: timing for name, timing in phases.items() if timing}


class ScorerTiming(_Part):
    """One scorer: time to open it, and its calls by number of windows."""

    open_ms: float
    precision: str
    batches: dict[int, BatchTiming]
    bottleneck: str


class ScorerComparison(_Part):
    """All scorers, timed in turn with the reference workload."""

    reference_workload: Timing = Field(validation_alias=AliasChoices("reference_workload", "yardstick"))
    scorers: dict[str, ScorerTiming]


class Overhead(_Part):
    """By how much a frame of the edge takes longer than reading and pose estimation alone, as fractions.

    Attributes:
        by_camera: what the camera's thread does besides, over capture and pose. This lowers the frame rate, since
            scoring runs beside the next frame's poses.
        by_stages: all other stages over capture and pose, wherever they run. Both are of the same frames, so noise
            affects them least.
        by_clock: median of the rounds against a loop of reading and pose estimation, by the time of a frame.
        by_processor: the same by the processor time of all threads.
        rounds_by_clock: `by_clock` of each round.
        rounds_by_processor: `by_processor` of each round.
    """

    by_camera: float
    by_stages: float
    by_clock: float
    by_processor: float
    rounds_by_clock: list[float]
    rounds_by_processor: list[float]


class EdgeTiming(_Part):
    """The whole edge at full speed.

    Attributes:
        share: of each stage in the work.
        frame: time from result to result.
        frames_per_second: median of the rounds.
        person_frames_per_second: the same, times the people in a frame.
        people: mean number in a frame.
        dropped: frames that were skipped.
        processor: processor time of a frame in all threads.
        pose_only: reading and pose estimation alone; None where no poses are estimated or a live source sets the pace.
        overhead: the edge against that; None likewise.
        reference_workload: timed in the same rounds.
        source: what the edge ran on, without passwords.
    """

    share: dict[str, float]
    frame: Timing
    frames_per_second: float
    person_frames_per_second: float
    people: float
    dropped: int
    processor: Timing
    pose_only: Timing | None
    overhead: Overhead | None
    reference_workload: Timing = Field(validation_alias=AliasChoices("reference_workload", "yardstick"))
    source: str


class PacedTiming(_Part):
    """The edge at the source's own pace, with an alarm that is always on.

    Attributes:
        delay: from the arrival of a frame to its result.
        to_event: the same to the delivered event, through store and delivery; None when nobody was scored.
        frames_per_second: mean rate of results.
        dropped: frames that were skipped.
        frames: number of results.
        windows: number of scores.
        seconds: from the first result to the last.
    """

    delay: Timing
    to_event: Timing | None
    frames_per_second: float
    dropped: int
    frames: int
    windows: int
    seconds: float


class ColdStart(_Part):
    """From the start of a process until a step is done; None for a step that was never reached.

    Attributes:
        python: Python runs.
        imported: the edge is imported.
        open: bundle, scorer and source are open.
        frame: the first frame is through.
        score: the first score is there.
        processor: processor time until the first score; other programs hardly change it.
        memory_mb: resident memory after the first score, by start.
    """

    python: Timing | None
    imported: Timing | None = Field(
        validation_alias=AliasChoices("imported", "import"), serialization_alias="import"
    )
    open: Timing | None
    frame: Timing | None
    score: Timing | None
    processor: Timing | None
    memory_mb: list[float] | None = Field(min_length=1)

    @property
    def steps(self) -> dict[str, Timing | None]:
        """The steps in their order, by what is done then."""
        return {
            "Python": self.python, "imports": self.imported, "opened": self.open, "first frame": self.frame,
            "first score": self.score,
        }  # fmt: skip


class ColdStarts(_Part):
    """The start of the edge without pose estimation, and with it where the source needs it."""

    without_poses: ColdStart | None
    with_poses: ColdStart | None

    def by_kind(self) -> dict[str, ColdStart]:
        """Those that were measured, by a name in words."""
        starts = {"without poses": self.without_poses, "with poses": self.with_poses}
        return {kind: start for kind, start in starts.items() if start}


class Cost(_Part):
    """Memory, energy and heat; None for what the machine does not report.

    Attributes:
        peak_memory_mb: of the process that measured.
        gpu_memory_mb: the most that all programs together used.
        engine_build_s: of each engine that is kept for the bundle, by file name.
        meter: what measured the power.
        idle_watts: at rest.
        watts: at the source's pace.
        millijoules_per_frame: at the source's pace.
        millijoules_per_window: of a window scored alone, idle power included, by scorer.
        temperature_c: lowest and highest.
        clock_mhz: lowest and highest.
        throttled: how often the processor slowed down because of heat.
    """

    peak_memory_mb: float | None
    gpu_memory_mb: float | None
    engine_build_s: dict[str, float]
    meter: str | None
    idle_watts: float | None
    watts: float | None
    millijoules_per_frame: float | None
    millijoules_per_window: dict[str, float]
    temperature_c: tuple[float, float] | None
    clock_mhz: tuple[float, float] | None
    throttled: int | None


class Profile(_Part):
    """Everything that was measured, with the machine it was measured on.

    Attributes:
        format: version of the file.
        created: UTC.
        daflow: version of the package.
        bundle: name of its folder.
        bundle_hash: SHA-256 of its manifest.
        scorer: which the edge ran.
        source: what the edge ran on, without passwords.
        seconds: given for each part.
        rounds: of the scorers.
        baseline: the scorer that the others are compared with.
        environment: as `runtime.machine.environment` describes the machine.
        advice: what makes the figures doubtful.
        skipped: scorers that could not be opened, and why.
        scorer_alone: the scorers without the edge.
        stages: the stages of the edge by name; `whole frame` is the work of a frame in all of them.
        edge: the edge at full speed.
        pace: the edge at the source's pace.
        cold_start: the start of the edge.
        cost: memory, energy and heat.
    """

    format: Literal[1] = 1
    created: str
    daflow: str
    bundle: str
    bundle_hash: str
    scorer: str
    source: str
    seconds: float
    rounds: int
    baseline: str
    environment: dict[str, Any]
    advice: list[str]
    skipped: list[str] = Field(validation_alias=AliasChoices("skipped", "left_out"))
    scorer_alone: ScorerComparison
    stages: dict[str, Timing]
    edge: EdgeTiming
    pace: PacedTiming
    cold_start: ColdStarts
    cost: Cost

    def as_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return self.model_dump(mode="json", by_alias=True)


def read_profile(path: Path) -> Profile:
    """Read what `daflow-profile --json` wrote, also before `yardstick` and `left_out` had their present names.

    Raises:
        InputError: the file cannot be read, is damaged, or is of another version.
    """
    again = f"measure again with 'daflow-profile --bundle BUNDLE --json {path.name}'."
    try:
        content = parse_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    except ValueError as error:
        raise InputError(
            f"{path} is damaged or not a profile: it is not valid JSON ({error}); {again}"
        ) from None
    version = content.get("format") if isinstance(content, dict) else None
    if version is None:
        raise InputError(f"{path} is not a profile; {again}")
    if version != FORMAT:
        raise InputError(f"{path} is a profile of format {version}, and this version reads {FORMAT}; {again}")
    try:
        return Profile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{path} is damaged or of an older version ({where}: {first['msg']}); {again}"
        ) from None


def windows_text(count: int) -> str:
    """Say how many windows.

    >>> windows_text(1), windows_text(8)
    ('1 window', '8 windows')
    """
    return f"{count} window{'' if count == 1 else 's'}"

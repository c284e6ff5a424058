"""The whole path in one command: every step is a command of the toolkit, shown as it is typed and run.

The steps run as processes of their own, so that the demo is also a test of the commands as a user meets them.
"""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from daflow.core.command_line import FILE, FOLDER, Command, require_folder_for
from daflow.core.data.synthetic import Scene, generate_clip
from daflow.core.errors import CheckFailed, InputError, require_packages
from daflow.core.programs import python_module

_SEED = 22
_MODULES = {
    "daflow": "daflow.cli",
    "daflow-export": "export.cli",
    "daflow-calibrate": "calibration.cli",
    "daflow-edge": "runtime.cli",
    "daflow-profile": "runtime.profiling",
}


_NEEDED = {
    "train": ["torch", "matplotlib"],
    "export": ["torch", "onnx", "onnxscript", "onnxslim", "onnxruntime"],
    "edge": ["onnxruntime", "av", "cv2"],
}
_NEEDED_FOR_POSES = ["mediapipe", "trackers"]


@click.command(cls=Command)
@click.option(
    "--video",
    type=FILE,
    help="Run the edge on this video with MediaPipe.  [default: a generated stream with a fall]",
)
@click.option(
    "-o",
    "--output",
    type=FOLDER,
    default=Path("demo-output"),
    help="Folder of all that the demo writes.",
)
@click.option("--epochs", default=16, type=click.IntRange(1), help="Epochs of training.")
def demo(video: Path | None, output: Path, epochs: int) -> None:
    """Generate people, train, evaluate, export, build, calibrate, and watch: the whole path, in about two minutes."""
    require_packages(_NEEDED | ({"edge": [*_NEEDED["edge"], *_NEEDED_FOR_POSES]} if video else {}))
    if video:
        if not video.is_file():
            raise InputError(f"There is no video {video}.")
        _check_video(video)
    require_folder_for(output / "demo.png")
    if video:
        _run("daflow", "models", "fetch")  # what may fail for want of a network comes first
    began = time.monotonic()
    data, model, bundle = output / "data", output / "model.pt", output / "bundle"
    events, scores, annotated = (
        output / "events.jsonl",
        output / "scores.csv",
        output / "annotated.mp4",
    )
    for path in (events, scores):
        path.unlink(missing_ok=True)
    poses = ["--poses", data / "test", "--masks", data / "masks"]
    _run("daflow", "generate", "-o", data)
    _run("daflow", "train", "--poses", data / "train", "-o", model, "--epochs", epochs)
    for name in ("untrained", model, bundle):
        if name == bundle:
            _run("daflow-export", model, "-o", bundle, "--fp16")
        _run(
            "daflow",
            "evaluate",
            *poses,
            "--model",
            name,
            "--json",
            _figures(output, name),
            quiet=True,
        )
    _run(
        "daflow-calibrate",
        "alarm",
        "--bundle",
        bundle,
        "--poses",
        data / "train",
        "--quantile",
        "0.999",
    )
    source = str(video) if video else f"synthetic:seed={_SEED},event=fall"
    _run(
        "daflow-edge", "--bundle", bundle, "--source", source, "--events", events, "--scores", scores,
        "--video", annotated,
    )  # fmt: skip
    _run(
        "daflow-profile", "--bundle", bundle, "--seconds", 2, "--json", output / "profile.json",
        "--report", output / "profile.html", quiet=True,
    )  # fmt: skip
    watched = _Watched.read(scores, events, None if video else _event_seconds())
    picture = output / "demo.png"
    _draw(picture, watched, annotated, source)
    click.echo("")
    for name, value in _summary(output, bundle, watched):
        click.echo(f"  {name:<38}{value}")
    click.echo(f"\n{picture}: the score over time and the skeletons; {annotated}: the same as a video")
    click.echo(f"{time.monotonic() - began:.0f} s in all")


def _run(command: str, *arguments: object, quiet: bool = False) -> None:
    """Show and run one command of the toolkit; stop with its exit code when it fails."""
    words = [str(argument) for argument in arguments]
    click.echo(f"\n$ {shlex.join([command, *words])}")
    process = subprocess.run(
        python_module(_MODULES[command], *words),
        check=False, stdout=subprocess.DEVNULL if quiet else None,
    )  # fmt: skip
    if process.returncode < 0:
        raise CheckFailed(
            f"'{command}' was ended by signal {-process.returncode}; 9 may mean too little memory."
        )
    if process.returncode:
        raise SystemExit(process.returncode)  # it has said why


def _check_video(video: Path) -> None:
    from runtime.sources.uri import open_source

    with open_source(str(video.absolute())):
        pass


def _figures(output: Path, name: Path | str) -> Path:
    return output / f"evaluation-{Path(name).stem}.json"


def _event_seconds() -> tuple[float, float]:
    """When the generated fall really begins and ends."""
    scene = Scene(event="fall")
    frames = np.flatnonzero(generate_clip("synthetic", _SEED, scene)[1])
    return frames[0] / scene.fps, frames[-1] / scene.fps


@dataclass(frozen=True)
class _Watched:
    """What the edge wrote: score over time, alarms, and the truth when it is known. Times are seconds.

    `scores` are those of the worst person, in bits, NaN where nobody has one.
    """

    times: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    alarms: list[tuple[float, float]]
    threshold: float | None
    truth: tuple[float, float] | None

    @classmethod
    def read(cls, scores: Path, events: Path, truth: tuple[float, float] | None) -> _Watched:
        with scores.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        lines = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
        ends = [line["time"] for line in lines if line.get("event") == "end"]
        begins = [line["time"] for line in lines if line.get("event") == "begin"]
        return cls(
            times=np.array([float(row["time"]) for row in rows]),
            scores=_without_dips(
                [row["person"] for row in rows], np.array([float(row["score"] or "nan") for row in rows])
            ),
            alarms=list(zip(begins, ends, strict=True)),
            threshold=lines[0]["threshold"] if lines else None,
            truth=truth,
        )


def _without_dips(
    people: Sequence[str], scores: npt.NDArray[np.float64], max_frames: int = 5
) -> npt.NDArray[np.float64]:
    """Bridge the scores where the worst person was missed in a few frames, so that the curve does not drop.

    Args:
        people: the worst person of each frame, "" for nobody.
        scores: of that person in each frame, NaN for nobody.
        max_frames: frames in a row that are bridged.

    >>> _without_dips(["1", "", "1", "2", "1"], np.array([4.0, np.nan, 4.2, 0.5, 4.4])).round(1).tolist()
    [4.0, 4.1, 4.2, 4.3, 4.4]
    """
    bridged: npt.NDArray[np.float64] = scores.copy()
    frame = 0
    while frame < len(people):
        person, before = people[frame], frame
        last = min(frame + max_frames + 1, len(people) - 1)
        after = next((index for index in range(frame + 1, last + 1) if people[index] == person), None)
        frame += 1
        if not person or after is None or after == before + 1:
            continue
        missed = np.arange(before + 1, after)
        line = np.interp(missed, [before, after], [scores[before], scores[after]])
        # Somebody else with a higher score was not there in place of a missed person.
        bridged[missed] = np.fmax(line, scores[missed])
        frame = after
    return bridged


def _summary(output: Path, bundle: Path, watched: _Watched) -> list[tuple[str, str]]:
    manifest = _read(bundle / "manifest.json")
    aucs = [_read(_figures(output, name))["auc"] for name in ("untrained", "model.pt", "bundle")]
    fp16, profile = manifest["verification"]["fp16"]["comparison"], _read(output / "profile.json")
    frame = profile["stages"]["whole frame"]
    engines = [path.name for path in sorted((bundle / "engines").glob("*.engine"))]
    rows = [
        ("parameters", str(manifest["parameters"])),
        ("AUC untrained / trained / exported", " / ".join(f"{100 * auc:.2f} %" for auc in aucs)),
        ("FP16 against PyTorch", f"Spearman {fp16['spearman']:.6f}, dAUC {fp16['auc_delta']:+.3f} points"),
        ("engines", ", ".join(engines) or "none: no TensorRT here"),
        ("alarm threshold", f"{manifest['alarm']['threshold']:.2f} bits"),
        ("a frame of 3 people, without poses", f"p50 {frame['p50_ms']:.2f} ms, p99 {frame['p99_ms']:.2f} ms"),
        ("alarms", ", ".join(f"{begin:.1f}-{end:.1f} s" for begin, end in watched.alarms) or "none"),
    ]  # fmt: skip
    if watched.truth:
        rows.append(("the fall really is at", f"{watched.truth[0]:.1f}-{watched.truth[1]:.1f} s"))
    return rows


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _draw(path: Path, watched: _Watched, annotated: Path, source: str) -> None:
    """Three moments of the annotated video above the score over time."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    last = float(watched.times[-1])
    begin = watched.alarms[0][0] if watched.alarms else last / 2
    moments = [max(0.0, begin - 2), begin + 0.2, min(last, begin + 1.6)]
    figure, axes = plt.subplot_mosaic(
        [["0", "1", "2"], ["score"] * 3],
        figsize=(14, 7.2),
        height_ratios=[1.35, 1],
        layout="constrained",
    )
    for index, picture in enumerate(
        _pictures(annotated, [int(np.searchsorted(watched.times, m)) for m in moments])
    ):
        axes[str(index)].imshow(picture)
        axes[str(index)].set_title(f"{moments[index]:.1f} s", fontsize=10)
        axes[str(index)].axis("off")
    axis = axes["score"]
    if watched.truth:
        axis.axvspan(*watched.truth, color="#d9d9d9", label="the fall, as it was generated")
    for number, span in enumerate(watched.alarms):
        axis.axvspan(*span, ymax=0.06, color="#eb3c32", label="alarm" if number == 0 else None)
    axis.plot(
        watched.times,
        watched.scores,
        color="#1f5fa8",
        linewidth=1.4,
        label="score of the worst person",
    )
    if watched.threshold is not None:
        axis.axhline(watched.threshold, color="#eb3c32", linestyle="--", linewidth=1, label="threshold")
        # Falls score hundreds of times the threshold; below it the axis is linear.
        axis.set_yscale("symlog", linthresh=watched.threshold, linscale=1.5, subs=range(2, 10))
        axis.set_ylim(bottom=min(0.0, float(np.nanmin(watched.scores, initial=0.0))))
    axis.set(xlabel="seconds", ylabel="score, bits of surprise", xlim=(0, last))
    axis.set_title(f"DA-Flow on {Path(source).name}", loc="left", fontsize=11)
    axis.legend(loc="upper left", frameon=False, fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _pictures(video: Path, frames: list[int]) -> list[npt.NDArray[np.uint8]]:
    from runtime.sources.containers import open_file

    found: dict[int, npt.NDArray[np.uint8]] = {}
    with open_file(video) as container:
        for index, picture in enumerate(container.decode(video=0)):
            if index in frames:
                found[index] = picture.to_ndarray(format="rgb24")
            if index >= max(frames):
                break
    return [found[frame] for frame in frames if frame in found]

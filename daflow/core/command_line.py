"""What all five commands share: how they fail, how they log, and the types of their options."""

from __future__ import annotations

import importlib
import json
import logging
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from daflow import __version__
from daflow.core.data.tracks import FrameSize
from daflow.core.errors import InputError, unusable_package
from daflow.core.files import write_text

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])

CONTEXT = {"show_default": True, "help_option_names": ["-h", "--help"], "max_content_width": 100}
_EXTRA_OF_PACKAGE = {
    "torch": "train", "sklearn": "train", "scipy": "train", "matplotlib": "train", "pyarrow": "train", "ray": "ray",
    "onnx": "export", "onnxscript": "export", "onnxslim": "export",
    "onnxruntime": "edge", "mediapipe": "edge", "av": "edge", "trackers": "edge", "cv2": "edge",
}  # fmt: skip


class Command(click.Command):
    """A command whose failures are one line: a full disk and a missing package as much as a wrong value."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["context_settings"] = {**CONTEXT, **kwargs.get("context_settings", {})}
        super().__init__(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and translate what the operating system or an import complains about."""
        logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)
        for package in ("daflow", "export", "calibration", "runtime"):
            logging.getLogger(package).setLevel(logging.INFO)
        try:
            return super().invoke(ctx)
        except ImportError as error:
            package = (error.name or "").split(".")[0]
            if package not in _EXTRA_OF_PACKAGE:
                raise
            raise unusable_package(error, package, _EXTRA_OF_PACKAGE[package]) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f" {error.filename}" if error.filename else ""
            raise InputError(
                f"Cannot read or write{where}: {error.strerror or error}. "
                "Check that it exists, may be written and has room."
            ) from error


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is asked for, so that `--help` needs no torch.

    Args:
        lazy: `{name: "module:attribute"}`.
    """

    def __init__(self, *args: Any, lazy: dict[str, str], **kwargs: Any) -> None:
        kwargs["context_settings"] = CONTEXT
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order of the work, not of the alphabet."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a subcommand."""
        if cmd_name not in self._lazy:
            return None
        module, _, attribute = self._lazy[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


def parse_frame_size(text: str) -> FrameSize:
    """Turn `1920x1080` into `(1920, 1080)`.

    Raises:
        BadParameter: the text is not a size in pixels.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not a size such as 1920x1080.")
    return int(match[1]), int(match[2])


class FiniteRange(click.FloatRange):
    """A range of numbers that NaN and infinity are not in; click's own compares, and NaN compares with nothing."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Turn text into a number of the range."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


FOLDER = click.Path(path_type=Path, file_okay=True, dir_okay=True)
FILE = click.Path(path_type=Path, dir_okay=False)

frame_size_option = click.option(
    "--frame-size",
    type=parse_frame_size,
    metavar="WIDTHxHEIGHT",
    help="Width and height of the video frames in pixels, for all clips. Without it frame_sizes.json in the folder of "
    "the tracks says so, else 1920x1080 is taken. Only the ratio of the two matters.",
)


def task_options(command: _Decorated) -> _Decorated:
    """The options of where many tasks run."""
    workers = click.option(
        "--workers", type=click.IntRange(1), help="Processes on this machine; one for each core without it."
    )
    ray = click.option(
        "--ray",
        "ray_address",
        metavar="ADDRESS",
        help="Run on this Ray cluster instead, such as auto or 10.0.0.1:6379. Its machines need daflow[ray] and the "
        "same paths.",
    )
    return workers(ray(command))


def version_option() -> Callable[[_Decorated], _Decorated]:
    """The `--version` option of a command."""
    return click.version_option(__version__, prog_name="daflow")


def write_json(target: str, content: object) -> None:
    """Write JSON to a file, whole or not at all, or to standard output for `-`."""
    text = json.dumps(content, indent=1) + "\n"
    if target == "-":
        click.echo(text, nl=False)
    else:
        write_text(Path(target), text)


def require_folder_for(path: Path) -> None:
    """Fail before the long work rather than after it when the output cannot be written.

    Raises:
        OSError: the folder of `path` cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise InputError(f"{path} is a folder; the name of a file is wanted.")
    probe = path.parent / f".{path.name}.probe"
    probe.touch()
    probe.unlink()

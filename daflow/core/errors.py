"""The errors of the toolkit: a base class, wrong input, and a failed check.

`daflow.core.command_line` turns them into one line and an exit code.
"""

from __future__ import annotations

SYSTEM_LIBRARIES = "libegl1 libgles2 libgl1 libglib2.0-0"
"""Debian packages of the libraries that MediaPipe and OpenCV load."""

_EXTRA_OF_PACKAGE = {
    "torch": "train", "sklearn": "train", "scipy": "train", "matplotlib": "train", "pyarrow": "train", "ray": "ray",
    "onnx": "export", "onnxscript": "export", "onnxslim": "export",
    "onnxruntime": "edge", "mediapipe": "edge", "av": "edge", "trackers": "edge", "cv2": "edge",
}  # fmt: skip


class DaflowError(Exception):
    """Base class of all errors that the toolkit raises; `message` is one or two sentences for a person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InputError(DaflowError):
    """The input is wrong: a file, a value, a missing package. A command ends with exit code 2."""


class CheckFailed(DaflowError):  # noqa: N818  the result of a check, not an error
    """A check failed, for example a verification limit was missed. A command ends with exit code 1."""


def unusable_package(error: ImportError, package: str, extra: str) -> InputError:
    """Return the error for an optional package that cannot be imported, with the command that installs it.

    Args:
        error: what the import raised.
        package: its name.
        extra: the extra of daflow that installs it.

    >>> unusable_package(ModuleNotFoundError(), "torch", "train").message
    "The package torch is not installed. Install it with: pip install 'daflow[train]'"
    """
    if isinstance(error, ModuleNotFoundError):
        return InputError(
            f"The package {package} is not installed. Install it with: pip install 'daflow[{extra}]'"
        )
    return InputError(
        f"The package {package} cannot be loaded ({error}). On Debian, Ubuntu and JetPack, install its system "
        f"libraries with: apt-get install {SYSTEM_LIBRARIES}"
    )


def explain_import(error: ImportError) -> InputError | None:
    """Return the error for a failed import of an optional package; None for any other import.

    >>> explain_import(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")).message
    "The package torch is not installed. Install it with: pip install 'daflow[train]'"
    """
    package = (error.name or "").split(".")[0]
    extra = _EXTRA_OF_PACKAGE.get(package)
    return None if extra is None else unusable_package(error, package, extra)

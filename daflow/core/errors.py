"""The errors of the toolkit: a base class, wrong input, and a failed check.

`daflow.core.command_line` turns them into one line and an exit code.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence

from daflow.core.log import one_line

SYSTEM_LIBRARIES = "libegl1 libgles2 libgl1 libglib2.0-0"
"""Debian packages of the libraries that MediaPipe and OpenCV load."""

_EXTRA_OF_PACKAGE = {
    "torch": "train", "matplotlib": "train", "pyarrow": "train", "safetensors": "train", "ray": "ray",
    "huggingface_hub": "hub",
    "onnx": "export", "onnxscript": "export", "onnxslim": "export", "tflite": "export", "ai_edge_litert": "export",
    "onnxruntime": "edge", "mediapipe": "edge", "av": "edge", "trackers": "edge", "supervision": "edge", "cv2": "edge",
    "paho": "edge", "prometheus_client": "edge", "starlette": "edge", "uvicorn": "edge", "h11": "edge",
}  # fmt: skip


_MAX_LENGTH = 1_000  # characters of a message


class DaflowError(Exception):
    r"""Base class of all errors that the toolkit raises.

    Args:
        messages: each is one or two sentences for a person. They may quote what a file says: control characters are
            escaped, so that they cannot add a line or rule a terminal, and the middle of a long message is left out.

    >>> InputError("person '\x1b[2J' is not a number").message
    "person '\\x1b[2J' is not a number"
    """

    def __init__(self, *messages: str) -> None:
        super().__init__(*messages)
        self.message = "\n".join(map(_for_a_screen, messages))
        """The messages, each on a line of its own."""

    def __str__(self) -> str:
        return self.message


class InputError(DaflowError):
    """The input is wrong: a file, a value, a missing package. A command ends with exit code 2."""


class CheckFailed(DaflowError):  # noqa: N818  the result of a check, not an error
    """A check failed, for example a verification limit was missed. A command ends with exit code 1."""


def _for_a_screen(message: str) -> str:
    line = one_line(message)
    if len(line) > _MAX_LENGTH:  # as it is shown: an escape is longer than what it stands for
        return f"{line[: _MAX_LENGTH // 2]} ... {line[-_MAX_LENGTH // 4 :]}"
    return line


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
        f"The package {package} cannot be loaded ({error}). {broken_package_advice(str(error), package)}"
    )


def broken_package_advice(reason: str, package: str) -> str:
    """Return what to do about a package that is installed and cannot be imported.

    >>> broken_package_advice("libcuda.so.1: cannot open shared object file", "pycuda")
    "It needs NVIDIA's driver and CUDA; JetPack brings both."
    """
    if any(name in reason for name in ("libcuda", "libcurand")):
        return "It needs NVIDIA's driver and CUDA; JetPack brings both."
    if "cannot open shared object file" in reason:
        return f"On Debian, Ubuntu and JetPack, install its system libraries with: apt-get install {SYSTEM_LIBRARIES}"
    return (
        "It does not fit the libraries of this machine; install it again with: pip install --force-reinstall "
        f"--no-cache-dir {package}"
    )


def require_packages(needed: Mapping[str, Sequence[str]]) -> None:
    """Check before long work that optional packages are installed, without importing them.

    Args:
        needed: the packages by the extra of daflow that installs them.

    Raises:
        InputError: some are not; the message names the extras.

    >>> require_packages({"train": ["numpy"], "export": ["no_such_package"]})
    Traceback (most recent call last):
    daflow.core.errors.InputError: Not installed: no_such_package. Install it with: pip install 'daflow[export]'
    """
    missing = {
        extra: [name for name in packages if not _is_installed(name)] for extra, packages in needed.items()
    }
    names = list(dict.fromkeys(name for packages in missing.values() for name in packages))
    if names:
        extras = ",".join(extra for extra, packages in missing.items() if packages)
        them = "it" if len(names) == 1 else "them"
        raise InputError(
            f"Not installed: {', '.join(names)}. Install {them} with: pip install 'daflow[{extras}]'"
        )


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def explain_import(error: ImportError) -> InputError | None:
    """Return the error for a failed import of an optional package; None for any other import.

    >>> explain_import(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")).message
    "The package torch is not installed. Install it with: pip install 'daflow[train]'"
    """
    package = (error.name or "").split(".")[0]
    extra = _EXTRA_OF_PACKAGE.get(package)
    return None if extra is None else unusable_package(error, package, extra)

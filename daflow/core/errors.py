"""How the toolkit fails: one error class, and the two ways in which a caller may want to tell failures apart.

They know nothing of the command line, which turns them into one line and an exit code (`daflow.core.command_line`).
"""

from __future__ import annotations

SYSTEM_LIBRARIES = "libegl1 libgles2 libgl1 libglib2.0-0"
"""Debian's packages of what MediaPipe and OpenCV load."""


class DaflowError(Exception):
    """Whatever the toolkit raises on purpose; `message` is one or two sentences for a person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InputError(DaflowError):
    """The input is wrong: a file, a value, a missing package. A command ends with exit code 2."""


class CheckFailed(DaflowError):  # noqa: N818  the outcome of a check, not a fault
    """The thing that was checked does not hold: a verification limit was missed. A command ends with exit code 1."""


def unusable_package(error: ImportError, package: str, extra: str) -> InputError:
    """The error for an optional package that cannot be imported, with the command that helps.

    Args:
        error: what the import raised.
        package: its name.
        extra: the extra of daflow that brings it.

    >>> unusable_package(ModuleNotFoundError(), "torch", "train").message
    "The package torch is not installed; install it with: pip install 'daflow[train]'"
    """
    if isinstance(error, ModuleNotFoundError):
        return InputError(
            f"The package {package} is not installed; install it with: pip install 'daflow[{extra}]'"
        )
    return InputError(
        f"The package {package} cannot be loaded ({error}). On Debian, Ubuntu and JetPack its system libraries come "
        f"with: apt-get install {SYSTEM_LIBRARIES}"
    )

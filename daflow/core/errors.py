"""The two ways in which a command can fail, each with its exit code.

Both are click exceptions, so that every command prints them as one line and no caller has to translate.
"""

from __future__ import annotations

import click

SYSTEM_LIBRARIES = "libegl1 libgles2 libgl1 libglib2.0-0"
"""Debian's packages of what MediaPipe and OpenCV load."""


class InputError(click.ClickException):
    """The input is wrong: a file, a value, a missing package. Exit code 2."""

    exit_code = 2


class CheckFailed(click.ClickException):
    """The thing that was checked does not hold: a verification limit was missed. Exit code 1."""

    exit_code = 1


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

"""The two ways in which a command can fail, each with its exit code.

Both are click exceptions, so that every command prints them as one line and no caller has to translate.
"""

from __future__ import annotations

import click


class InputError(click.ClickException):
    """The input is wrong: a file, a value, a missing package. Exit code 2."""

    exit_code = 2


class CheckFailed(click.ClickException):
    """The thing that was checked does not hold: a verification limit was missed. Exit code 1."""

    exit_code = 1


def missing_package(package: str, extra: str) -> InputError:
    """The error for an optional package that is not installed, with the command that installs it.

    >>> missing_package("torch", "train").message
    "The package torch is not installed; install it with: pip install 'daflow[train]'"
    """
    return InputError(
        f"The package {package} is not installed; install it with: pip install 'daflow[{extra}]'"
    )

"""Where the time of a frame goes on this machine: the command `daflow-profile`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.profiling.cli import main

__all__ = ["main"]


def __getattr__(name: str) -> object:
    """Import the command when it is asked for: `first_score` times the imports, so this package must have none."""
    if name != "main":
        raise AttributeError(name)
    from runtime.profiling import cli

    return cli.main

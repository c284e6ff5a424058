"""Where the time of a frame goes on this machine: the command `daflow-profile`."""

from runtime.profiling.cli import main

__all__ = ["main"]

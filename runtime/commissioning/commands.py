"""Commands that make a bundle: processes of low priority, which end when the watching does.

They run in processes of their own, since a device that watches needs none of what they load, and a part that runs out
of memory must not end the watching.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from daflow.core.programs import find_program

Runner = Callable[[Sequence[str], Path], str | None]
"""Runs a command and appends its output to a file; returns None, or the last line of the output when it failed."""


class CommandRunner:
    """Runs one command after the other, until another thread stops it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def __call__(self, words: Sequence[str], log: Path) -> str | None:
        """Run a command with low priority, and append its output to a file; see `Runner`."""
        nice = [program, "-n", "10"] if (program := find_program("nice")) else []
        with self._lock:
            if self._stopped:
                return "It was stopped."
            # A session of its own: Ctrl-C ends the watching, which ends this in order.
            self._process = process = subprocess.Popen(
                [*nice, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace", start_new_session=True,
            )  # fmt: skip
        output, _ = process.communicate()
        with self._lock:
            self._process = None
        with log.open("a") as file:
            file.write(output)
        if process.returncode == 0:
            return None
        lines = [line for line in output.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {process.returncode}."

    def stop(self) -> None:
        """End the command that runs, with all of its processes."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)


def run_command(words: Sequence[str], log: Path) -> str | None:
    """Run a command that nobody stops; see `Runner`."""
    return CommandRunner()(words, log)

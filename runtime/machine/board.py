"""The machine that this runs on: access to its files and commands, its temperature, and this process's memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daflow.core.programs import find_program, python_code

Ran = subprocess.CompletedProcess[str]

_TIMEOUT_S = 30.0  # chosen: longer than importing any of the packages takes
_CONSTANT_ZONE = "PMIC-Die"  # this zone of some Jetsons always reads 100 degrees
_PLAUSIBLE = (-60.0, 200.0)  # °C; a sensor without power gives values such as -256


def temperature(root: Path = Path("/")) -> float | None:
    """Return the temperature of the hottest zone in degrees Celsius, None when no sensor can be read.

    Args:
        root: the folder that has `sys`.
    """
    degrees = []
    for zone in root.glob("sys/class/thermal/thermal_zone*"):
        try:
            if (zone / "type").read_text(encoding="utf-8").strip() == _CONSTANT_ZONE:
                continue
            degrees.append(int((zone / "temp").read_text(encoding="utf-8")) / 1000)
        except (OSError, ValueError):
            continue  # a sensor without power cannot be read
    return max((value for value in degrees if _PLAUSIBLE[0] < value < _PLAUSIBLE[1]), default=None)


def run(command: Sequence[str], timeout: float = _TIMEOUT_S) -> Ran:
    """Run a command; like in a shell, the exit status is 124 when it is too slow and 127 when it is missing."""
    program = find_program(command[0])
    if program is None:
        return Ran(command, 127, "", "not found")
    try:
        return subprocess.run(
            [program, *command[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            check=False, timeout=timeout,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Ran(command, 124, "", f"no answer within {timeout:.0f} s")
    except OSError as error:
        return Ran(command, 127, "", error.strerror or str(error))


@dataclass(frozen=True)
class Machine:
    """Access to a machine's files and commands that never raises.

    Attributes:
        root: the folder that has `proc`, `sys`, `etc`, `usr` and `dev`.
        run: runs a command and never raises.
    """

    root: Path = Path("/")
    run: Callable[[Sequence[str]], Ran] = run

    def read(self, path: str) -> str:
        """Return the text of a system file, stripped; empty when it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
        except OSError:
            return ""

    def exists(self, path: str) -> bool:
        """Return whether a system file exists."""
        return (self.root / path).exists()

    def python(self, program: str) -> Ran:
        """Run a program in a new Python process, which imports from the same places as this one."""
        return self.run(python_code(program))

    @property
    def is_jetson(self) -> bool:
        """Whether this is an NVIDIA Jetson."""
        return "Jetson" in self.read("proc/device-tree/model") or bool(self.read("etc/nv_tegra_release"))


def memory_mb() -> float | None:
    """Return the resident memory of this process in megabytes, None without /proc."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  called often
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except (OSError, ValueError, IndexError):
        return None

"""How other programs are started: nothing that lies in the working directory runs, be it a module or a program.

`python -m` and `python -c` import from the working directory first, so a folder with a `json.py` in it would run that.
A PATH with an empty or relative entry finds programs there.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

_RUN = "import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module in a new process of this Python, as `python -m` does.

    The process imports from the places of this one, without the working directory.

    Args:
        module: with dots; a package's `__main__` runs.
        arguments: its arguments.
    """
    return [*python_code(_RUN.format(module=module)), *arguments]


def python_code(code: str) -> list[str]:
    """Return the command that runs code in a new process of this Python, which imports as `python_module` says."""
    places = [place for place in sys.path if Path(place).is_absolute()]
    # -P keeps Python 3.11 and newer from importing anything before the first line. Older ones import nothing; they
    # have no -P, and -I would also leave out the packages that are installed for the user alone.
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    return [sys.executable, *safe, "-c", f"import sys\nsys.path[:] = {places!r}\n{code}"]


def find_program(name: str) -> str | None:
    """Return the path of a program in a folder of PATH, None when it is in none; relative folders are left out."""
    folders = [folder for folder in os.get_exec_path() if Path(folder).is_absolute()]
    return shutil.which(name, path=os.pathsep.join(folders))

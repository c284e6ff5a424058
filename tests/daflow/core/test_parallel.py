"""Many tasks at once: each has its outcome, whatever the others do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daflow.core.errors import InputError
from daflow.core.parallel import Outcome, run_tasks


def work(task: int) -> int:
    """Stands for a clip: 3 is broken, 5 kills its process."""
    if task == 3:
        raise InputError("three is broken")
    if task == 4:
        raise ZeroDivisionError("four")
    if task == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return task * task


def test_neither_an_error_nor_a_dead_process_stops_the_rest() -> None:
    outcomes = {outcome.task: outcome for outcome in run_tasks(work, list(range(9)), workers=3)}
    assert set(outcomes) == set(range(9))
    assert all(outcomes[task].result == task * task for task in (0, 1, 2, 6, 7, 8))
    assert outcomes[3] == Outcome(3, None, "three is broken")
    assert outcomes[4].error == "ZeroDivisionError: four"
    assert outcomes[5].result is None
    assert "its process died" in str(outcomes[5].error)


def test_one_worker_is_this_process() -> None:
    assert [outcome.result for outcome in run_tasks(_pid, [1, 2], workers=1)] == [os.getpid()] * 2
    assert os.getpid() not in [outcome.result for outcome in run_tasks(_pid, [1, 2], workers=2)]


def _pid(_: int) -> int:
    return os.getpid()


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="Python 3.10 has no PYTHONSAFEPATH; SECURITY.md says so"
)
def test_workers_import_nothing_from_the_working_directory(tmp_path: Path) -> None:
    hostile, installed = tmp_path / "hostile", tmp_path / "bin"
    (hostile / "multiprocessing").mkdir(parents=True)
    (hostile / "multiprocessing" / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    installed.mkdir()
    command = installed / "command.py"
    command.write_text(
        "from daflow.core.parallel import run_tasks\n"
        "if __name__ == '__main__':\n"
        "    print(sorted(outcome.result for outcome in run_tasks(abs, [-1, -2], 2)))\n"
    )
    ran = subprocess.run(
        [sys.executable, str(command)], cwd=hostile, capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.returncode) == ("[1, 2]\n", 0), ran.stderr
    assert not (tmp_path / "ran").exists()

"""Commands that make a bundle end with the watching."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from runtime.commissioning.commands import CommandRunner

_WAITS = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"


def test_a_command_ends_when_the_watching_does_and_no_other_begins(tmp_path: Path) -> None:
    runner, began, said = CommandRunner(), tmp_path / "began", list[str | None]()
    words = [sys.executable, "-c", _WAITS, str(began)]
    thread = threading.Thread(target=lambda: said.append(runner(words, tmp_path / "log")))
    thread.start()
    while not began.exists():
        assert thread.is_alive()
        time.sleep(0.02)
    runner.stop()
    thread.join(60)
    assert said == ["exit code -9."]
    assert runner([sys.executable, "-c", "print('again')"], tmp_path / "log") == "It was stopped."
    assert "again" not in (tmp_path / "log").read_text()

from __future__ import annotations

import io

import pytest

from daflow.core.progress import track_bytes


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_download_is_a_bar_of_bytes_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with track_bytes("model.task", 2_000_000) as show:
        for done in range(0, 2_000_001, 500_000):
            show(done)
    assert "model.task" in terminal.getvalue()
    assert "2.00M" in terminal.getvalue()


def test_elsewhere_a_download_is_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with track_bytes("model.task", 2_000_000) as show:
        show(1_000_000)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("daflow.core.progress._SECONDS_BETWEEN_LINES", -1.0)
    with track_bytes("model\x1b.task", 2_000_000) as show:
        show(1_000_000)
    assert capsys.readouterr().err == "model\\x1b.task: 1.0 of 2.0 MB\n"

from __future__ import annotations

import io

import pytest

from daflow.core.progress import track_bytes, track_share


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


CAMERAS = {"door": "half of it is there", "hall": "nobody came"}


def test_of_several_parts_each_has_a_line_below_the_one_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with track_share("commissioning", 60) as show:
        show(0.25, CAMERAS)
        show(0.5, {"door": "all of it is there"})
    shown = terminal.getvalue()
    assert "door: half of it is there" in shown
    assert "hall: nobody came" in shown
    assert "50 %" in shown
    assert "door: all of it" not in shown, "the only one needs no name"


def test_elsewhere_parts_are_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with track_share("commissioning", -1) as show:
        show(0.25, CAMERAS)
        show(0.5, {"door": "half\nof it"})
    assert capsys.readouterr().err.splitlines() == [
        "commissioning: 25 %",
        "door: half of it is there",
        "hall: nobody came",
        "commissioning: 50 %; half\\nof it",
    ]

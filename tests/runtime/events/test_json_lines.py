from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from daflow.core.errors import InputError
from runtime.events.delivery import DeliveryFailed
from runtime.events.json_lines import JsonLines, Stdout
from runtime.events.message import EventMessage

MakeMessage = Callable[..., EventMessage]

FULL_DISK = """
import json, resource, sys
from pathlib import Path
from runtime.events.delivery import DeliveryFailed
from runtime.events.json_lines import JsonLines
from runtime.events.message import EventMessage

path = Path(sys.argv[1])
lines = JsonLines(path)
messages = [
    EventMessage(f"{n:032x}", 0, "end", "door", 0.0, {"schema": 1, "n": n, "text": "x" * 900})
    for n in range(20)
]
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
try:
    lines.deliver(messages)
except DeliveryFailed as failure:
    done, reason = failure.delivered, failure.reason
text = path.read_text()
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
lines.deliver(messages[done:])
print(json.dumps([done, reason, text]))
"""


def read(path: Path) -> list[tuple[str, int]]:
    return [(line["id"], line["sequence"]) for line in map(json.loads, path.read_text().splitlines())]


def test_each_message_is_a_line(tmp_path: Path, make_message: MakeMessage) -> None:
    path = tmp_path / "new" / "events.jsonl"
    first, second = make_message(), make_message(sequence=1, kind="end")
    JsonLines(path).deliver([first])
    JsonLines(path).deliver([second])
    assert path.read_text() == first.json() + "\n" + second.json() + "\n"


@pytest.mark.parametrize("kept", [1, 9, 10, 200, -1])
def test_half_a_line_of_a_killed_process_is_removed(
    tmp_path: Path, make_message: MakeMessage, caplog: pytest.LogCaptureFixture, kept: int
) -> None:
    path = tmp_path / "events.jsonl"
    first, second = make_message(), make_message(sequence=1, kind="end", text="ä" * 100_000)
    path.write_text(first.json() + "\n" + second.json()[:kept])
    JsonLines(path).deliver([second])
    assert read(path) == [("a" * 32, 0), ("a" * 32, 1)]
    assert "Removed an incomplete line" in caplog.text


def test_another_last_line_is_ended(tmp_path: Path, make_message: MakeMessage) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("a note of mine")
    message = make_message()
    JsonLines(path).deliver([message])
    assert path.read_text() == f"a note of mine\n{message.json()}\n"


def test_a_full_disk_leaves_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    delivered, reason, text = json.loads(done.stdout)
    assert delivered == 5
    assert "File too large" in reason
    assert text.endswith("\n")
    assert [json.loads(line)["n"] for line in text.splitlines()] == list(range(5))
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == list(range(20))


def test_a_file_that_was_rotated_is_begun_anew(tmp_path: Path, make_message: MakeMessage) -> None:
    path = tmp_path / "events.jsonl"
    lines = JsonLines(path)
    lines.deliver([make_message()])
    path.rename(tmp_path / "events.jsonl.1")
    lines.deliver([make_message(sequence=1)])
    assert (read(tmp_path / "events.jsonl.1"), read(path)) == ([("a" * 32, 0)], [("a" * 32, 1)])


def test_a_folder_that_is_gone_is_a_failure_that_may_pass(tmp_path: Path, make_message: MakeMessage) -> None:
    path = tmp_path / "disk" / "events.jsonl"
    lines = JsonLines(path)
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(DeliveryFailed, match="No such file"):
        lines.deliver([make_message()])
    path.parent.mkdir()
    lines.deliver([make_message()])
    assert len(read(path)) == 1


def test_a_path_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Cannot write events to .*Is a directory"):
        JsonLines(tmp_path)


def test_a_pipe_will_do(tmp_path: Path, make_message: MakeMessage) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    message = make_message(peak=None)
    JsonLines(pipe).deliver([message])
    assert os.read(reader, 65536).decode() == message.json() + "\n"
    os.close(reader)


def test_standard_output_takes_lines(make_message: MakeMessage, capsys: pytest.CaptureFixture[str]) -> None:
    messages = [make_message(), make_message(sequence=1, kind="end")]
    Stdout().deliver(messages)
    assert capsys.readouterr().out == "".join(message.json() + "\n" for message in messages)


def test_a_reader_who_has_gone_is_a_failure(
    make_message: MakeMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = os.pipe()
    os.close(there)
    with os.fdopen(here, "w", closefd=False) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(DeliveryFailed, match="Broken pipe"):
            Stdout().deliver([make_message()])
        os.dup2(os.open(os.devnull, os.O_WRONLY), here)

"""Known vulnerabilities of the pinned packages are noticed: pip-audit, against a database that answers as OSV does."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


class _Database(BaseHTTPRequestHandler):
    """Knows one vulnerability, of starlette before 1.0.1."""

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["content-length"])))
        affected = query["package"]["name"] == "starlette" and query["version"] == "0.40.0"
        vulnerability = {
            "id": "PYSEC-0000-1", "summary": "made up", "details": "made up", "aliases": ["CVE-0000-1"],
            "affected": [{
                "package": {"name": "starlette", "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0.1"}]}],
            }],
        }  # fmt: skip
        body = json.dumps({"vulns": [vulnerability]} if affected else {}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
        """Say nothing."""


@pytest.fixture
def database() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Database) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def audit(tmp_path: Path, url: str, *versions: str) -> tuple[int, str]:
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("# comment\n" + "\n".join(versions) + "\n")
    command = [sys.executable, "scripts/audit.py", "--constraints", constraints, "--osv-url", url]
    said = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False)
    if "cannot be installed" in said.stdout:
        pytest.skip("pip-audit cannot be installed here")
    return said.returncode, said.stdout


@pytest.mark.everything
def test_a_known_vulnerability_fails_whichever_python_the_version_is_for(
    database: str, tmp_path: Path
) -> None:
    for condition in ("<", ">="):
        other = f"starlette==0.40.0; python_version {condition} '3.11'"
        assert audit(tmp_path, database, "click==8.1.0", other) == (
            1,
            "starlette 0.40.0: PYSEC-0000-1, mended in 1.0.1\n",
        )
    assert audit(tmp_path, database, "click==8.1.0  # why", "starlette==1.0.1") == (
        0,
        "No known vulnerability.\n",
    )


@pytest.mark.everything
def test_a_database_that_cannot_be_reached_is_said_and_is_no_failure(tmp_path: Path) -> None:
    code, said = audit(tmp_path, "http://127.0.0.1:9/v1/query", "click==8.1.0")
    assert (code, said) == (0, "Nothing was audited: http://127.0.0.1:9/v1/query cannot be reached.\n")


def audited(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *answers: tuple[str, str],
) -> tuple[int, str]:
    """Run the script with a pip-audit that answers so, on standard output and standard error."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    said = iter(answers)
    monkeypatch.setattr(script, "_pip_audit", lambda: Path("python"))
    monkeypatch.setattr(script, "_audit", lambda *_: subprocess.CompletedProcess([], 1, *next(said)))
    (tmp_path / "constraints.txt").write_text("click==8.1.0\n")
    words = ["audit.py", "--constraints", str(tmp_path / "constraints.txt"), "--osv-url", "http://osv"]
    monkeypatch.setattr(sys, "argv", words)
    return script.main(), capsys.readouterr().out


FOUND = json.dumps(
    {
        "dependencies": [
            {"name": "click", "version": "8.1.0", "vulns": [{"id": "PYSEC-0000-1", "fix_versions": []}]}
        ]
    }
)
LINE = "click 8.1.0: PYSEC-0000-1, mended in no version\n"
UNREACHED = ("", "Traceback\nrequests.exceptions.ConnectionError: Max retries exceeded\n")
BROKEN = ("", "WARNING: more\nERROR: invalid specifier\n    ^\n")


def test_what_one_run_finds_is_told_though_the_other_gets_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for answers in (((FOUND, ""), UNREACHED), (UNREACHED, (FOUND, ""))):
        code, said = audited(tmp_path, monkeypatch, capsys, *answers)
        assert (code, said) == (1, f"{LINE}Not everything was audited: http://osv cannot be reached.\n")


def test_a_pip_audit_that_fails_for_another_reason_is_a_failure_with_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = (json.dumps({"dependencies": [{"name": "click", "version": "8.1.0", "vulns": []}]}), "")
    code, said = audited(tmp_path, monkeypatch, capsys, clean, BROKEN)
    assert (code, said) == (1, "Not everything was audited: ERROR: invalid specifier\n")
    code, said = audited(tmp_path, monkeypatch, capsys, UNREACHED, UNREACHED)
    assert (code, said) == (0, "Nothing was audited: http://osv cannot be reached.\n")

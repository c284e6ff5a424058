#!/usr/bin/env python
"""Asks the OSV database (osv.dev) which versions of constraints.txt have known vulnerabilities, by pip-audit.

    .venv/bin/python scripts/audit.py

Exit code 1 when one has, and when pip-audit fails. Without a way to the database nothing can be found: a line says so,
and the exit code is 0.
pip-audit is installed apart from the environment of the project, into build/audit.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / "build" / "audit"
PIP_AUDIT = "pip-audit==2.10.1"
ACCEPTED = {
    "CVE-2023-48022": "Ray: a cluster has no authentication, which SECURITY.md says",
}
"""Known vulnerabilities that no version mends, each with the reason why the package is used all the same."""
_NO_CONNECTION = re.compile(r"(?:Connect|Connection|Proxy)Error|(?:Connect|Read)Timeout|Could not connect")


def main() -> int:
    """Audit, and print a line for each finding."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--constraints", type=Path, default=ROOT / "constraints.txt")
    parser.add_argument("--osv-url", default="https://api.osv.dev/v1/query", help="The database, for tests.")
    options = parser.parse_args()
    python = _pip_audit()
    if python is None:
        print("Nothing was audited: pip-audit cannot be installed here.")
        return 0
    found: list[dict[str, Any]] = []
    failures: dict[str, bool] = {}  # why something was not audited, and whether it is an error
    for older in (True, False):
        said = _audit(python, _versions(options.constraints, older), options.osv_url)
        try:
            found += json.loads(said.stdout)["dependencies"]
        except (ValueError, KeyError, TypeError):
            unreached = _NO_CONNECTION.search(said.stderr) is not None
            failures[f"{options.osv_url} cannot be reached." if unreached else _reason(said)] = not unreached
    lines = {
        f"{dependency['name']} {dependency['version']}: {vulnerability['id']}, "
        f"mended in {', '.join(vulnerability['fix_versions']) or 'no version'}"
        for dependency in found
        for vulnerability in dependency.get("vulns", ())
    }
    unknown = {
        f"{each['name']}: not audited, {each['skip_reason']}" for each in found if "skip_reason" in each
    }
    missing = [f"{'Not everything' if found else 'Nothing'} was audited: {why}" for why in failures]
    print("\n".join([*sorted(lines), *sorted(unknown), *missing]) or "No known vulnerability.")
    return 1 if lines or any(failures.values()) else 0


def _pip_audit() -> Path | None:
    """Return the interpreter of an environment that has pip-audit; None if it cannot be installed."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PIP_AUDIT]
    return None if subprocess.run(list(map(str, install)), check=False).returncode else python


def _versions(constraints: Path, older: bool) -> list[str]:
    """Return the pinned versions, without conditions: those for Python 3.10, or those for newer ones."""
    other = ">=" if older else "<"
    lines = [line.partition("#")[0].strip() for line in constraints.read_text(encoding="utf-8").splitlines()]
    parts = [line.partition(";") for line in lines if line]
    return [version.strip() for version, _, condition in parts if f"python_version {other}" not in condition]


def _audit(python: Path, versions: Sequence[str], url: str) -> subprocess.CompletedProcess[str]:
    """Run pip-audit: its standard output is JSON unless it fails."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("\n".join(versions) + "\n", encoding="utf-8")
        ignored = [word for name in ACCEPTED for word in ("--ignore-vuln", name)]
        words = [
            "--vulnerability-service",
            "osv",
            "--osv-url",
            url,
            "--format",
            "json",
            "--progress-spinner",
            "off",
        ]
        command = [
            str(python),
            "-m",
            "pip_audit",
            "-r",
            str(file),
            "--disable-pip",
            "--no-deps",
            *words,
            *ignored,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def _reason(said: subprocess.CompletedProcess[str]) -> str:
    """Return the last line of an error, which may have a picture of the wrong place below it."""
    lines = [f"pip-audit ended with {said.returncode}", *filter(None, said.stderr.splitlines())]
    return next((line for line in reversed(lines) if "error" in line.lower()), lines[-1])


if __name__ == "__main__":
    sys.exit(main())

"""The command `daflow doctor`: what on this machine stands in the way."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from daflow.command import FOLDER, Command, write_json
from daflow.errors import CheckFailed
from runtime.board import Machine
from runtime.doctor import Finding, State, diagnose

_MARKS: dict[State, str] = {"ok": "ok", "warning": "warn", "problem": "FAIL", "absent": "-"}


@click.command(cls=Command)
@click.option("--bundle", type=FOLDER, help="Check this bundle too.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="SRC",
    help="Check that this camera or file can be reached, named as daflow-edge takes it; several times for several. "
    "Passwords in it are not printed.",
)
@click.option(
    "--store", type=FOLDER, default=Path(), show_default="this folder", help="Look for free disk here."
)
@click.option(
    "--json", "json_target", metavar="FILE", help="Write the findings as JSON; - is standard output."
)
def doctor(bundle: Path | None, sources: tuple[str, ...], store: Path, json_target: str | None) -> None:
    """Check this machine for what daflow-edge needs, and say what helps.

    Exit code 1 when there is a problem; warnings (such as clocks that vary) and what is not there but need not be
    (such as a GPU) leave it 0.
    """
    findings = diagnose(Machine(), bundle, sources, store)
    problems = [finding.name for finding in findings if finding.state == "problem"]
    if json_target:
        write_json(json_target, {"ok": not problems, "findings": [asdict(finding) for finding in findings]})
    if json_target != "-":
        click.echo(table(findings))
    if problems:
        raise CheckFailed(f"This needs to be put right before daflow-edge can run: {', '.join(problems)}.")


def table(findings: Sequence[Finding]) -> str:
    """One line a finding, and its advice below it.

    >>> print(table([Finding("GPU", "absent", "none"), Finding("clock", "warning", "slow", "Wind it up.")]))
    -     GPU    none
    warn  clock  slow
                 Wind it up.
    """
    width = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.state]:<4}  {finding.name:<{width}}  {finding.found}")
        if finding.advice:
            lines.append(textwrap.indent(finding.advice, " " * (width + 8)))
    return "\n".join(lines)

"""The command `daflow doctor`: what keeps daflow-edge from running on this machine."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from daflow.core.command_line import FILE, FOLDER, Command, json_option, write_json
from daflow.core.errors import CheckFailed
from daflow.core.log import one_line
from runtime.config.options import OPTION_NAMES, named_sources
from runtime.doctor.diagnose import diagnose
from runtime.doctor.findings import Finding, State
from runtime.machine.board import Machine

_MARKS: dict[State, str] = {"ok": "ok", "warning": "warn", "problem": "FAIL", "absent": "-"}
_WIDTH = 100


@click.command(cls=Command)
@click.option(
    "--config",
    "path",
    type=FILE,
    help="Check what this configuration of daflow-edge needs: its bundle, cameras, pose model, packages, disks, page, "
    "broker and secrets. Run it as the user of the service, with the service's environment.",
)
@click.option("--bundle", type=FOLDER, help="Check this bundle too.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="[NAME=]SRC",
    help="Take a picture from this camera or recording, named as for daflow-edge; may be given several times. "
    "Passwords in it are not printed.",
)
@click.option(
    "--store",
    type=FOLDER,
    help="Check the free disk space here.  [default: what the configuration names, else this folder]",
)
@json_option("the findings")
def doctor(
    path: Path | None,
    bundle: Path | None,
    sources: tuple[str, ...],
    store: Path | None,
    json_target: str | None,
) -> None:
    """Check whether this machine has what daflow-edge needs, and say what to do about what is missing.

    Exit code 1 when there is a problem, 2 when the configuration is invalid. Warnings (such as clocks that vary) and
    optional parts that are missing (such as a GPU) leave it 0.
    """
    config = None
    if path is not None:
        from runtime.config.file import make_config

        config = make_config(path, {}, OPTION_NAMES)
    cameras = named_sources(sources)
    if cameras:
        from runtime.config.options import refuse_secrets

        refuse_secrets(cameras.values())
    findings = diagnose(Machine(), bundle, cameras, store, config)
    problems = [finding.name for finding in findings if finding.state == "problem"]
    if json_target:
        write_json(json_target, {"ok": not problems, "findings": [asdict(finding) for finding in findings]})
    if json_target != "-":
        click.echo(table(findings))
    if problems:
        raise CheckFailed(
            f"daflow-edge cannot run here before these problems are solved: {', '.join(problems)}."
        )


def table(findings: Sequence[Finding]) -> str:
    """Return one line per finding with its advice below it; long lines are wrapped.

    >>> print(table([Finding("GPU", "absent", "none"), Finding("clock", "warning", "not synchronised", "Set it.")]))
    -     GPU    none
    warn  clock  not synchronised
                 Set it.
    """
    width = max((len(finding.name) for finding in findings), default=0)
    indent = " " * (width + 8)
    lines = []
    for finding in findings:
        head = f"{_MARKS[finding.state]:<4}  {finding.name:<{width}}  "
        lines += _wrapped(finding.found, head, indent) or [head.rstrip()]
        lines += _wrapped(finding.advice or "", indent, indent)
    return "\n".join(lines)


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        one_line(text), max(_WIDTH, len(others) + 40), initial_indent=first, subsequent_indent=others,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip

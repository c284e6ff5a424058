"""`daflow-edge alarms`: the stored alarms, what was said of them, and how many of those were real."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from daflow.core.alarms.p_value import NARROW_SPACE
from daflow.core.command_line import FILE, Command, json_option, write_json
from daflow.core.errors import InputError
from daflow.core.log import one_line
from runtime.config.file import make_config
from runtime.events.precision import WeeklyPrecision, weekly_precision
from runtime.events.stored_alarms import read_alarms


@click.command("alarms", cls=Command)
@click.option("--store", type=FILE, help="The event store: the file of --store of daflow-edge.")
@click.option("--config", "config", type=FILE, help="Take the store of this configuration of daflow-edge.")
@click.option("--camera", metavar="NAME", help="Show this camera only.")
@click.option(
    "--last",
    default=50,
    type=click.IntRange(0),
    help="How many alarms to list, the newest; the precision is of all.",
)
@json_option("the alarms and the precision")
def alarms(
    store: Path | None, config: Path | None, camera: str | None, last: int, json_target: str | None
) -> None:
    """List the stored alarms with their labels, and the share of real ones by camera and week.

    The precision is the share of the labelled alarms that are labelled real, with its 95 % interval. It says nothing of
    alarms without a label, nor of what raised no alarm. The store may be in use.
    """
    found = read_alarms(_store_of(store, config))
    if camera is not None:
        found = [alarm for alarm in found if alarm["camera"] == camera]
    weeks = weekly_precision(found)
    shown = found[max(0, len(found) - last) :]
    if json_target:
        write_json(json_target, {"alarms": shown, "precision": [week.facts() for week in weeks]})
    if json_target != "-":
        for line in _lines(shown, weeks, len(found)):
            click.echo(one_line(line))


def _store_of(store: Path | None, config: Path | None) -> Path:
    if (store is None) == (config is None):
        raise click.UsageError("Give --store FILE, or the --config of daflow-edge.")
    if store is not None:
        return store
    named = make_config(config, {}, {}).store.path
    if named is None:
        raise InputError(f"{config} has no store.path: its alarms are deleted when daflow-edge stops.")
    return named


def _lines(shown: Sequence[dict[str, Any]], weeks: Sequence[WeeklyPrecision], total: int) -> Iterator[str]:
    if not total:
        yield "no alarm is stored"
        return
    if len(shown) < total:
        yield f"the last {len(shown)} of {total} alarms"
    yield from _table(["began", "camera", "seconds", "score", "label", "why"], map(_alarm, shown))
    yield ""
    header = ["week", "camera", "alarms", "real", "false", "precision"]
    yield from _table(header, map(_week, weeks))


def _alarm(alarm: dict[str, Any]) -> list[str]:
    score, seconds = alarm["score"], alarm["seconds"]
    ended = alarm["ended_utc"] is not None
    why = [str(alarm["why"] or alarm["rarity"] or "").replace(NARROW_SPACE, " ")] + (
        [] if alarm.get("armed", True) else ["disarmed"]
    )
    return [
        _local(alarm["began_utc"]),
        str(alarm["camera"]),
        f"{seconds:.1f}" if ended and seconds is not None else "on",
        "-" if score is None else f"{score:.2f}",
        alarm["label"] or "-",
        ", ".join(filter(None, why)).replace(NARROW_SPACE, " "),
    ]


def _week(week: WeeklyPrecision) -> list[str]:
    text = "-"
    if week.precision is not None and week.interval is not None:
        low, high = (round(100 * bound) for bound in week.interval)
        text = f"{100 * week.precision:.0f} % ({low} to {high} %)"
    return [week.week, week.camera, str(week.alarms), str(week.real), str(week.false), text]


def _table(header: list[str], rows: Iterator[list[str]]) -> Iterator[str]:
    cells = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _local(utc: object) -> str:
    """Return a time as the clock on the wall shows it."""
    try:
        return datetime.fromisoformat(str(utc)).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return "-"

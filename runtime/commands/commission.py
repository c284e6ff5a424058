"""`daflow-edge commission`: watch a camera until its recordings are enough, then make its own bundle of them."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from daflow.core.command_line import (
    FOLDER,
    LOG_HANDLER,
    FiniteRange,
    GroupedCommand,
    GroupedOption,
    json_option,
    write_json,
)
from daflow.core.errors import CheckFailed, DaflowError, InputError
from daflow.core.files import locked
from daflow.core.progress import track_share
from daflow.core.shipped import bundle_or_default
from runtime.commissioning import steps
from runtime.commissioning.needs import Needs, describe
from runtime.commissioning.progress import Progress
from runtime.commissioning.recordings import Recordings
from runtime.commissioning.steps import Commissioned
from runtime.config.file import make_config
from runtime.config.options import (
    OPTION_NAMES,
    SOURCES,
    chosen,
    config_options,
    refuse_secret_services,
    refuse_secret_url,
    refuse_secrets,
)
from runtime.config.schema import Config
from runtime.outputs.run_files import check_outputs
from runtime.service.logs import set_up_logs
from runtime.service.process import private_files, signals
from runtime.service.service import Service
from runtime.sources.uri import check_present, is_live

logger = logging.getLogger(__name__)

GROUP = "Commissioning"
_CAMERA = "camera"  # its name
_RETRY_SECONDS = 3600.0
_LINE_SECONDS = 600.0  # between lines where there is no terminal


@click.command("commission", cls=GroupedCommand)
@click.argument("folder", type=FOLDER)
@click.option(
    "--source",
    cls=GroupedOption,
    group=SOURCES,
    metavar="SRC",
    help="The camera, or a recording of it, named as for daflow-edge. Commission each camera in a folder of its own.",
)
@click.option(
    "--false-alarms-per-day",
    "per_day",
    cls=GroupedOption,
    group=GROUP,
    default=1.0,
    type=FiniteRange(0, min_open=True),
    help="False alarms per day that normal behaviour may cause; it decides how much has to be recorded.",
)
@click.option(
    "--now",
    cls=GroupedOption,
    group=GROUP,
    is_flag=True,
    help="Do not watch: make the bundle of what is recorded, even if that supports no rate yet.",
)
@click.option(
    "--again",
    cls=GroupedOption,
    group=GROUP,
    is_flag=True,
    help="Add recordings to those of a camera that is commissioned, and replace its bundle unless the new one is worse "
    "on recordings that were kept for it.",
)
@json_option("the result")
@config_options
def commission(
    folder: Path,
    source: str | None,
    per_day: float,
    now: bool,
    again: bool,
    json_target: str | None,
    **values: Any,
) -> None:
    """Watch a camera, and make a bundle of its own of what was seen: FOLDER/bundle.

    People are recorded as skeletons, without pictures, in FOLDER/recordings. Until they are enough for the rate of
    false alarms, alarms are raised with --bundle, and marked as provisional. Then the model is trained and verified,
    or only kept where torch is not installed, and its alarm is calibrated and checked on recordings that were held
    out. Zones that were drawn on the page (--serve) are in FOLDER/zones.json, and count in the calibration. A camera
    is watched on with the new bundle. It may be stopped at any time, and goes on when it is run again.

    Alarms and their labels are kept in --store, by default FOLDER/events.sqlite. Recordings of alarms that are labelled
    real are left out of what is normal, and with --again the new bundle must raise what the old one raises of them.
    """
    options = chosen(values)
    base = options.pop(("bundle",), None)
    _refuse_what_is_fixed(options)
    if not again:
        _refuse_commissioned(folder)
    recordings, needs = Recordings(folder), Needs(per_day)
    store = Path(options.setdefault(("store", "path"), folder / "events.sqlite"))
    if now and source:
        raise click.UsageError("Give --source to watch, or --now to use what is recorded.")
    if now and not recordings.files():
        raise InputError(f"Nothing is recorded in {recordings.folder}. Watch a camera first: --source.")
    if not now:
        source = _checked_source(source, options)
    made: Commissioned | None = None
    with _alone(recordings):
        if source is not None:
            made = _watch(
                folder, recordings, needs, _prepare(folder, recordings, base, source, options), source
            )
            recorded = recordings.total().since(steps.used_before(folder))
            if made is None and needs.missing(recorded):
                raise CheckFailed(
                    f"Not commissioned yet: {describe(recorded, needs)}. What was recorded is kept: run it again to go "
                    "on, or with --now to use what is there."
                )
        made = made or steps.make_bundle(folder, per_day, store=store)
    if json_target:
        write_json(json_target, {**vars(made), "bundle": str(steps.bundle_of(folder)), "per_day": per_day})
    if json_target != "-":
        for line in _lines(folder, per_day, made):
            click.echo(line)
    if made.lost:
        raise CheckFailed(
            f"{steps.bundle_of(folder)} was not changed: the new one does not raise {len(made.lost)} of the alarms "
            f"that are labelled real: {'; '.join(made.lost)}."
        )
    if not made.replaced:
        raise CheckFailed(f"{steps.bundle_of(folder)} was not changed: the new one raised more false alarms.")


def _refuse_what_is_fixed(options: dict[tuple[str, ...], Any]) -> None:
    if ("record",) in options:
        raise click.UsageError("--record is not needed here: everything is recorded in FOLDER/recordings.")
    if ("zones_file",) in options:
        raise click.UsageError("--zones-file is not needed here: drawn zones are in FOLDER/zones.json.")


def _refuse_commissioned(folder: Path) -> None:
    if not steps.is_commissioned(folder):
        return
    zones = steps.zones_of(folder)
    own = f"--zones-file {zones} " if zones.exists() else ""
    raise InputError(
        f"{folder} is commissioned. Watch with: daflow-edge --bundle {steps.bundle_of(folder)} {own}--source ..., or "
        "add recordings with --again."
    )


def _checked_source(source: str | None, options: dict[tuple[str, ...], Any]) -> str:
    if source is None:
        raise click.UsageError("Missing option '--source', the camera to watch.")
    refuse_secrets([source])
    refuse_secret_url(str(options.get(("webhook", "url"), "")))
    refuse_secret_services(options.get(("notify", "urls"), ()))
    check_present(source)
    return source


@contextlib.contextmanager
def _alone(recordings: Recordings) -> Iterator[None]:
    """Keep other processes from commissioning the same camera: one would remove what the other records."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(recordings.folder, wait=False))
        except BlockingIOError:
            raise InputError(
                f"{recordings.folder.parent} is being commissioned by another process. Stop that one first."
            ) from None
        yield


def _prepare(
    folder: Path, recordings: Recordings, base: Any, source: str, options: dict[tuple[str, ...], Any]
) -> Config:
    """Give the camera a bundle and a new run of recordings, and return the configuration to watch it with."""
    bundle = steps.bundle_of(folder)
    if not bundle.is_dir():
        steps.begin(folder, bundle_or_default(Path(base) if base else None))
    run = recordings.new_run(is_live(source))
    options |= {
        ("bundle",): bundle, ("cameras", _CAMERA, "source"): source, ("record",): run,
        ("zones_file",): steps.zones_of(folder),
    }  # fmt: skip
    config = make_config(None, options, OPTION_NAMES)
    check_outputs(config)
    return config


def _watch(
    folder: Path, recordings: Recordings, needs: Needs, config: Config, source: str
) -> Commissioned | None:
    """Watch until the recording ends or the command is stopped; return what a camera was commissioned to meanwhile."""
    set_up = partial(set_up_logs, click.get_current_context().meta[LOG_HANDLER])
    set_up(config.log)
    work = _Work(folder, needs, config.store.path) if is_live(source) else None
    with private_files():
        with (
            Service(config, lambda: config, set_up_logs=set_up) as service,
            signals(service),
            track_share("commissioning", _LINE_SECONDS) as show,
        ):
            progress = Progress(recordings.total, needs, steps.used_before(folder))
            service.commissioning[_CAMERA] = lambda: {
                **progress.facts(),
                "state": work.state if work else "recording",
            }

            def each() -> None:
                if recorded := progress.measure():
                    show(needs.share(recorded), progress.words())
                    if work and not needs.missing(recorded):
                        work.begin()
                if work and work.done():
                    service.reload()

            service.run(each)
        if errors := service.errors():
            raise InputError(*errors)
        if not service.stopped:
            assert config.record is not None
            recordings.complete(config.record)
    return work.finish() if work else None


class _Work:
    """Makes the bundle in a thread, while the camera is watched."""

    def __init__(self, folder: Path, needs: Needs, store: Path | None = None) -> None:
        self._folder = folder
        self._needs = needs
        self._store = store
        self._not_before = 0.0
        self._thread: threading.Thread | None = None
        self._made: Commissioned | None = None
        self._told = False

    @property
    def state(self) -> str:
        """`recording`, `making` the bundle, `failed` (it is tried again), `kept` (the old one is better) or `done`."""
        if self._made is not None:
            return "done" if self._made.replaced else "kept"
        if self._thread is not None:
            return "making"
        return "failed" if self._not_before else "recording"

    def begin(self) -> None:
        """Begin, unless it has begun, or has failed within the last hour."""
        if self._thread is None and time.monotonic() >= self._not_before:
            self._thread = threading.Thread(target=self._run, name="commissioning", daemon=True)
            self._thread.start()

    def done(self) -> bool:
        """Say once that there is a new bundle."""
        if self._made is None or self._told:
            return False
        self._told = True
        return self._made.replaced

    def finish(self) -> Commissioned | None:
        """Wait for the end; None when nothing was made."""
        if (thread := self._thread) is not None:
            thread.join()
        return self._made

    def _run(self) -> None:
        try:
            self._made = steps.make_bundle(self._folder, self._needs.per_day, store=self._store)
        except (DaflowError, OSError) as error:
            logger.error("commissioning failed, and is tried again in an hour: %s", error)
            self._not_before = time.monotonic() + _RETRY_SECONDS
            self._thread = None


def _lines(folder: Path, per_day: float, made: Commissioned) -> list[str]:
    bundle = steps.bundle_of(folder)
    how = "trained and calibrated" if made.trained else "calibrated (torch is not installed, so not trained)"
    checked = f"{made.false_alarms} false alarms in {made.hours:.3g} hours that were kept to check it"
    lines = [f"{bundle}: {how} for {per_day:g} false alarms per day; {checked}"]
    if made.labels:
        lines.append(made.labels)
    if made.silent:
        lines.append(
            f"alarms that are labelled real and that the bundle does not raise: {'; '.join(made.silent)}"
        )
    if not made.promised:
        supported = made.supported_per_day
        rate = "no rate of false alarms" if supported is None else f"--false-alarms-per-day {supported:g}"
        lines.append(f"PROVISIONAL: the recordings do not support this rate; they support {rate}")
    return lines

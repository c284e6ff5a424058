"""`daflow-edge commission`: watch cameras until their recordings are enough, then make their own bundle of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from daflow.core.errors import CheckFailed, InputError
from daflow.core.progress import track_share
from runtime.commissioning.bundle_maker import Commissioned, make_bundle
from runtime.commissioning.folder import (
    alone,
    bundle_of,
    is_commissioned,
    known_cameras,
    used_before,
    zones_of,
)
from runtime.commissioning.needs import Needs, Recorded, describe
from runtime.commissioning.recordings import Recordings
from runtime.commissioning.results import result_lines, results_as_values
from runtime.config.file import make_config
from runtime.config.options import (
    OPTION_NAMES,
    SOURCES,
    chosen,
    config_options_without,
    named_sources,
    refuse_secret_services,
    refuse_secret_url,
    refuse_secrets,
)
from runtime.config.schema import Config
from runtime.outputs.run_files import check_outputs
from runtime.service.logs import set_up_logs
from runtime.service.process import private_files, signals
from runtime.service.service import Service
from runtime.sources.uri import check_present

GROUP = "Commissioning"
_LINE_SECONDS = 600.0  # between lines where there is no terminal


@click.command("commission", cls=GroupedCommand)
@click.argument("folder", type=FOLDER)
@click.option(
    "--source",
    "sources",
    cls=GroupedOption,
    group=SOURCES,
    multiple=True,
    metavar="[NAME=]SRC",
    help="The camera, or a recording of it, named as for daflow-edge. May be given several times: the cameras get one "
    "model, and an alarm each.",
)
@click.option(
    "--false-alarms-per-day",
    "per_day",
    cls=GroupedOption,
    group=GROUP,
    default=1.0,
    type=FiniteRange(0, min_open=True),
    help="False alarms per day that normal behaviour may cause on each camera; it decides how much has to be recorded.",
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
    help="Add recordings to those of cameras that are commissioned, and replace their bundle unless the new one is "
    "worse on recordings that were kept for it.",
)
@json_option("the result")
@config_options_without("commissioning")
def commission(
    folder: Path,
    sources: tuple[str, ...],
    per_day: float,
    now: bool,
    again: bool,
    json_target: str | None,
    **values: Any,
) -> None:
    """Watch cameras, and make a bundle of their own of what was seen: FOLDER/bundle.

    People are recorded as skeletons, without pictures, in FOLDER/recordings. Until they are enough for the rate of
    false alarms, alarms are raised with --bundle, and marked as provisional. Then the model is trained and verified,
    or only kept where torch is not installed, and its alarm is calibrated and checked on recordings that were held
    out. Of several cameras, the model is trained on the recordings of all, and each is calibrated on its own, once they
    are enough; others stay provisional until theirs are. Zones that were drawn on the page (--serve) are in
    FOLDER/zones.json, and count in the calibration. Cameras are watched on with the new bundle. It may be stopped at
    any time, and goes on when it is run again. In a configuration file, [commissioning] does the same.

    Alarms and their labels are kept in --store, by default FOLDER/events.sqlite. Recordings of alarms that are labelled
    real are left out of what is normal, and with --again the new bundle must raise what the old one raises of them.
    """
    options = chosen(values)
    _refuse_what_is_fixed(options)
    cameras = named_sources(sources)
    several = len(cameras) > 1 or known_cameras(folder) != [None]
    keys = (list(cameras) if several else [None]) if cameras else known_cameras(folder)
    if not again:
        _refuse_commissioned(folder, keys)
    recordings = Recordings(folder)
    store = Path(options.setdefault(("store", "path"), folder / "events.sqlite"))
    if now and cameras:
        raise click.UsageError("Give --source to watch, or --now to use what is recorded.")
    if now and not recordings.files():
        raise InputError(f"Nothing is recorded in {recordings.folder}. Watch a camera first: --source.")
    made: Commissioned | None = None
    if not now:
        _check_sources(cameras, options)
        options |= {("cameras", name, "source"): source for name, source in cameras.items()}
        options |= {
            ("commissioning", "folder"): folder,
            ("commissioning", "false_alarms_per_day"): per_day,
            ("commissioning", "again"): again,
            ("zones_file",): zones_of(folder),
        }
        config = make_config(None, options, OPTION_NAMES)
        check_outputs(config)
        made, stopped = _watch(config)
        if made is None:
            keys = _enough(folder, Needs(per_day), keys, again, stopped)
    if made is None:
        with alone(folder):
            made = make_bundle(folder, per_day, store=store, cameras=keys)
    if json_target:
        write_json(json_target, results_as_values(bundle_of(folder), per_day, made))
    if json_target != "-":
        for line in result_lines(bundle_of(folder), per_day, made):
            click.echo(line)
    _refuse_worse(bundle_of(folder), made)


def _refuse_what_is_fixed(options: dict[tuple[str, ...], Any]) -> None:
    if ("record",) in options:
        raise click.UsageError("--record is not needed here: everything is recorded in FOLDER/recordings.")
    if ("zones_file",) in options:
        raise click.UsageError("--zones-file is not needed here: drawn zones are in FOLDER/zones.json.")


def _refuse_commissioned(folder: Path, cameras: Sequence[str | None]) -> None:
    if not all(is_commissioned(folder, camera) for camera in cameras):
        return
    zones = zones_of(folder)
    own = f"--zones-file {zones} " if zones.exists() else ""
    raise InputError(
        f"{folder} is commissioned. Watch with: daflow-edge --bundle {bundle_of(folder)} {own}--source ..., or "
        "add recordings with --again."
    )


def _check_sources(cameras: Mapping[str, str], options: dict[tuple[str, ...], Any]) -> None:
    if not cameras:
        raise click.UsageError("Missing option '--source', the camera to watch.")
    refuse_secrets(cameras.values())
    refuse_secret_url(str(options.get(("webhook", "url"), "")))
    refuse_secret_services(options.get(("notify", "urls"), ()))
    for source in cameras.values():
        check_present(source)


def _watch(config: Config) -> tuple[Commissioned | None, bool]:
    """Watch until the recordings end or the command is stopped.

    Returns:
        What cameras were commissioned to meanwhile, and whether it was stopped.
    """
    set_up = partial(set_up_logs, click.get_current_context().meta[LOG_HANDLER])
    set_up(config.log)
    with private_files():
        with (
            Service(config, lambda: config, set_up_logs=set_up) as service,
            signals(service),
            track_share("commissioning", _LINE_SECONDS) as show,
        ):
            commissioner = service.commissioner
            assert commissioner is not None
            service.run(lambda: show(*commissioner.progress()))
        if errors := service.errors():
            raise InputError(*errors)
    return commissioner.made, service.stopped


def _enough(
    folder: Path, needs: Needs, cameras: Sequence[str | None], again: bool, stopped: bool
) -> list[str | None]:
    """Return the cameras whose recordings are enough, and those that are commissioned.

    Raises:
        CheckFailed: those of none are enough, or the watching was stopped before the bundle was made.
    """
    recordings = Recordings(folder)
    said, ready = [], []
    for camera in cameras:
        used = used_before(folder, camera) if again else Recorded()
        recorded = recordings.total(camera).since(used)
        said.append(f"{'' if camera is None else f'{camera}: '}{describe(recorded, needs)}")
        if not needs.missing(recorded):
            ready.append(camera)
    if stopped or not ready:
        raise CheckFailed(
            f"Not commissioned yet: {'; '.join(said)}. What was recorded is kept: run it again to go on, or with --now "
            "to use what is there."
        )
    return [camera for camera in cameras if camera in ready or is_commissioned(folder, camera)]


def _refuse_worse(bundle: Path, made: Commissioned) -> None:
    lost = [alarm for result in made.cameras.values() for alarm in result.lost]
    if lost and not made.replaced:
        raise CheckFailed(
            f"{bundle} was not changed: the new one does not raise {len(lost)} of the alarms that are labelled real: "
            f"{'; '.join(lost)}."
        )
    if not made.replaced:
        raise CheckFailed(f"{bundle} was not changed: the new one raised more false alarms.")

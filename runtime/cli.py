"""The command `daflow-edge`: score the people in cameras or recordings and raise alarms."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from daflow.core.command_line import (
    FILE,
    LOG_HANDLER,
    GroupedCommandWithSubcommands,
    GroupedOption,
    version_option,
)
from daflow.core.errors import InputError
from daflow.core.log import one_line
from runtime.commands.alarms import alarms
from runtime.commands.commission import commission
from runtime.config.file import hidden_addresses, make_config, to_toml
from runtime.config.options import (
    OPTION_NAMES,
    SOURCES,
    chosen,
    config_options,
    named_sources,
    refuse_secret_services,
    refuse_secret_url,
    refuse_secrets,
)
from runtime.config.schema import Config
from runtime.doctor.config_checks import config_errors
from runtime.machine.board import Machine
from runtime.outputs.run_files import check_outputs
from runtime.service.logs import set_up_logs
from runtime.service.process import private_files, signals
from runtime.service.service import Service
from runtime.sources.uri import check_present


@click.command("daflow-edge", cls=GroupedCommandWithSubcommands)
@click.option(
    "--config",
    "path",
    cls=GroupedOption,
    group="Configuration",
    type=FILE,
    help="TOML file with any of the options below, and with cameras; options of the command line override it. "
    "--print-config shows one. SIGHUP reads it again.",
)
@click.option(
    "--source",
    "sources",
    cls=GroupedOption,
    group=SOURCES,
    multiple=True,
    metavar="[NAME=]SRC",
    help="A video file, a folder of images, rtsp://..., v4l2:///dev/video0, csi://0, gst:PIPELINE, tracks:FILE, or "
    "synthetic: (such as synthetic:seed=3,event=fall). May be given several times. ${NAME} is replaced by the "
    "environment variable of that name, for passwords.",
)
@click.option(
    "--check-config",
    cls=GroupedOption,
    group="Configuration",
    is_flag=True,
    help="Check the configuration and what it names without connecting to anything, and stop.",
)
@click.option(
    "--print-config",
    cls=GroupedOption,
    group="Configuration",
    is_flag=True,
    help="Print the whole configuration as TOML, and stop.",
)
@config_options
@version_option()
def main(
    path: Path | None, sources: tuple[str, ...], check_config: bool, print_config: bool, **values: Any
) -> None:
    """Score the movement of everybody in cameras or recordings, and raise an alarm when someone moves abnormally.

    Ctrl-C or SIGTERM ends the run with everything written. Only your user may read the files that it writes.
    """
    options = chosen(values)
    cameras = named_sources(sources)
    refuse_secrets(cameras.values())
    for name, uri in cameras.items():
        if path is None:
            check_present(uri)
        options["cameras", name, "source"] = uri
    refuse_secret_url(str(options.get(("webhook", "url"), "")))
    refuse_secret_services(options.get(("notify", "urls"), ()))

    def read() -> Config:
        return make_config(path, options, OPTION_NAMES)

    config = read()
    check_outputs(config)
    set_up = partial(set_up_logs, click.get_current_context().meta[LOG_HANDLER])
    set_up(config.log)
    if print_config:
        click.echo(to_toml(config), nl=False)
        if left_out := hidden_addresses(config):
            click.echo(
                f"Not printed whole, as they may hold secrets: {', '.join(left_out)}. Complete them before this "
                "configuration is used.",
                err=True,
            )
        return
    if check_config:
        if found := config_errors(config, Machine()):
            raise InputError(*found)
        click.echo(f"{path or 'the options'}: {len(config.cameras)} cameras, nothing is wrong")
        return
    reread = read if path else None
    with private_files(), Service(config, reread, set_up_logs=set_up) as service, signals(service):
        service.run()
    for line in service.summary():
        click.echo(one_line(line), err=config.print_events)
    if errors := service.errors():
        raise InputError(*errors)


main.add(commission)
main.add(alarms)

if __name__ == "__main__":
    main()

"""The command `daflow-calibrate`: from recordings of normal behaviour to the alarm threshold of a bundle."""

from __future__ import annotations

import click

from daflow.core.command_line import LazyGroup, version_option


@click.group(
    cls=LazyGroup,
    lazy={"alarm": "calibration.commands.alarm:alarm", "check": "calibration.commands.check:check"},
)
@version_option()
def main() -> None:
    """Calibrate a bundle on recordings of normal behaviour, and check it on others."""


if __name__ == "__main__":
    main()

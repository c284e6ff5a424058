"""The command `daflow-calibrate`: from recordings of normal behaviour to the alarm threshold of a bundle."""

from __future__ import annotations

import click

from daflow.command import LazyGroup, version_option


@click.group(
    cls=LazyGroup,
    lazy={"alarm": "calibration.alarm_command:alarm", "check": "calibration.check_command:check"},
)
@version_option()
def main() -> None:
    """Calibrate a bundle on recordings of normal behaviour, and check it on others."""


if __name__ == "__main__":
    main()

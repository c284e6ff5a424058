"""The command `daflow`: train a model on normal behaviour, evaluate it, and run the whole path."""

from __future__ import annotations

import click

from daflow.core.command_line import (
    LazyGroup,
    version_option,
)


@click.group(
    cls=LazyGroup,
    lazy={
        "demo": "daflow.commands.demo:demo",
        "generate": "daflow.commands.generate:generate",
        "poses": "daflow.commands.poses:poses",
        "convert": "daflow.commands.convert:convert",
        "train": "daflow.commands.train:train",
        "import-stgnf": "daflow.commands.import_stgnf:import_stgnf",
        "evaluate": "daflow.commands.evaluate:evaluate",
        "score": "daflow.commands.score:score",
        "study": "daflow.commands.study:study",
        "models": "runtime.commands.models:models",
        "doctor": "runtime.commands.doctor:doctor",
    },
)
@version_option()
def main() -> None:
    """Skeleton-based video anomaly detection: train on normal behaviour, evaluate, and watch."""


if __name__ == "__main__":
    main()

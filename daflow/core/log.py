"""The log of the toolkit's packages, apart from the log of the process."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

PACKAGES = ("daflow", "export", "calibration", "runtime")


@contextlib.contextmanager
def log_to_stderr() -> Iterator[logging.Handler]:
    """Log the toolkit's packages to standard error while a command runs, one line per message; yield the handler.

    The root logger is not changed and the packages' loggers are restored, so that a program with its own log can run
    commands.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    loggers = [logging.getLogger(package) for package in PACKAGES]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)

"""The log of the toolkit's packages, apart from the log of the process, and text as a terminal may get it."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator

PACKAGES = ("daflow", "export", "calibration", "runtime")

# Also line and paragraph separators, and what changes the direction of the text after it.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def one_line(text: str) -> str:
    r"""Return text with the escapes of its control characters: a file's name adds no line and colours no screen.

    >>> one_line("a\nb\x1b[2J")
    'a\\nb\\x1b[2J'
    """
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


class LineFormatter(logging.Formatter):
    """One line per record: level and message."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the name of `logging`
        """Return the line, below which `logging` writes a traceback when there is one."""
        return one_line(super().formatMessage(record))


@contextlib.contextmanager
def log_to_stderr() -> Iterator[logging.Handler]:
    """Log the toolkit's packages to standard error while a command runs, one line per message; yield the handler.

    The root logger is not changed and the packages' loggers are restored, so that a program with its own log can run
    commands.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter("%(levelname)s: %(message)s"))
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

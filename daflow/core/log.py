"""The log of the toolkit's packages, apart from the log of the process, and text as a terminal may get it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

PACKAGES = ("daflow", "export", "calibration", "runtime")

_JOINERS = "\u200c\u200d"  # which some scripts need within words


def one_line(text: str) -> str:
    r"""Return text with the escapes of what no screen shows: a file's name adds no line and colours no screen.

    These are control characters, ends of lines and paragraphs, and what is invisible or changes the direction of text.

    >>> one_line("a\nb\x1b[2J\ufeff")
    'a\\nb\\x1b[2J\\ufeff'
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in _JOINERS else repr(letter)[1:-1] for letter in text
    )


def shortened(text: str, letters: int = 80) -> str:
    """Return the beginning of a text that may be long, such as a name in a file that somebody else wrote.

    >>> shortened("a" * 100, letters=4)
    'aaaa...'
    """
    return text if len(text) <= letters else f"{text[:letters]}..."


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

"""The format and the level of the log on standard error, for people or for programs."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

from daflow.core.log import PACKAGES, one_line
from runtime.config.schema import LogOptions


class JsonFormatter(logging.Formatter):
    """One JSON object per line: `time` (UTC, ISO 8601), `level`, `logger`, `thread`, `message`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line of JSON."""
        time = datetime.fromtimestamp(record.created, timezone.utc)
        line = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """One line per record: local time with its offset from UTC, level, message.

    Control characters are written as their escapes, so that the name of a file cannot add a line or colour the screen.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line of text, with a traceback below it when there is one."""
        time = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="seconds")
        line = f"{time} {record.levelname}: {one_line(record.getMessage())}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logs(handler: logging.Handler, options: LogOptions) -> None:
    """Give a handler of the packages' loggers the format, and these loggers the level, that the options ask for.

    Args:
        handler: the one that the command added, see `daflow.core.command_line.log_to_stderr`; others are left alone.
        options: format and level.
    """
    handler.setFormatter(JsonFormatter() if options.format == "json" else TextFormatter())
    for package in PACKAGES:
        logging.getLogger(package).setLevel(options.level.upper())

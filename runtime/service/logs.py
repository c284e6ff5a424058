"""The format and the level of the log on standard error, for people or for programs."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

from daflow.core.log import PACKAGES
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


def set_up_logs(handler: logging.Handler, options: LogOptions) -> None:
    """Give a handler of the packages' loggers the format, and these loggers the level, that the options ask for.

    Args:
        handler: the one that the command added, see `daflow.core.command_line.log_to_stderr`; others are left alone.
        options: format and level.
    """
    handler.setFormatter(
        JsonFormatter() if options.format == "json" else logging.Formatter("%(levelname)s: %(message)s")
    )
    for package in PACKAGES:
        logging.getLogger(package).setLevel(options.level.upper())

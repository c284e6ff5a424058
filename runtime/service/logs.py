"""The log on standard error, for people or for machines."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

from daflow.core.command_line import PACKAGES
from runtime.config.schema import LogOptions


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (UTC, ISO 8601), `level`, `logger`, `thread`, `message`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line of JSON."""
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        line = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up_logs(options: LogOptions) -> None:
    """Use this format and level for all that this toolkit logs."""
    for package in PACKAGES:
        logger = logging.getLogger(package)
        logger.setLevel(options.level.upper())
        for handler in logger.handlers:
            handler.setFormatter(
                JsonFormatter()
                if options.format == "json"
                else logging.Formatter("%(levelname)s: %(message)s")
            )

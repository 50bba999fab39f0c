"""What the service says: lines for people, or JSON objects for a log store."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone
from typing import Any, Final, Literal

LogFormat = Literal["text", "json"]
LOGGER: Final = logging.getLogger("plumbline_edge")
FIELDS: Final = "fields"
"""Name of the record's attribute that holds what `event` was given."""


class TextFormatter(logging.Formatter):
    """The message alone, a warning marked as one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line for people."""
        mark = "warning: " if record.levelno >= logging.WARNING else ""
        return mark + record.getMessage()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, message and the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": time, "level": record.levelname.lower(), "message": record.getMessage()}
        line.update(getattr(record, FIELDS, {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(log_format: LogFormat) -> None:
    """Write to standard output in this format."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    LOGGER.handlers = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def event(message: str, **fields: object) -> None:
    """Log a line; `fields` show in JSON alone."""
    LOGGER.info(message, extra={FIELDS: fields})


def warn(message: str) -> None:
    """Log that something is not as it should be, and that the service goes on."""
    LOGGER.warning(message)

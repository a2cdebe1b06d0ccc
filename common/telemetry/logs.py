"""Structured logs: one JSON object a line, with whatever a call passed as ``extra``."""

import json
import logging
import sys
from typing import Final

from common.settings import Settings
from common.telemetry.tracing import current_trace_id
from common.times import to_iso

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields: dict[str, object] = {
            "time": to_iso(int(record.created * 1000)),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields.update((key, value) for key, value in record.__dict__.items() if key not in _STANDARD)
        trace_id = current_trace_id()
        if trace_id is not None:
            fields["trace_id"] = trace_id
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, separators=(",", ":"))


def configure_logging(settings: Settings, *, service: str) -> None:
    """Send all logs of the process to standard error, as JSON, from the configured level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for chatty in ("httpcore", "nats", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.INFO, logging.getLevelName(settings.log_level)))

"""The pod's log: one JSON object a line on stderr, for the server and its run processes alike."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

_LONGEST_TRACE = 16_000


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Write one record; JSON escapes control characters, so that no text can fake a second line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)[-_LONGEST_TRACE:]
        return json.dumps(line, default=str)


class PodLogger:
    """Writes events with fields."""

    def __init__(self) -> None:
        """Write through the logger of the package."""
        self._logger = logging.getLogger("assay_pods")

    def info(self, event: str, **fields: Any) -> None:
        """Say that something happened."""
        self._logger.info("%s", event, extra={"fields": fields})

    def warning(self, event: str, **fields: Any) -> None:
        """Say that something needs attention."""
        self._logger.warning("%s", event, extra={"fields": fields})

    def exception(self, event: str, **fields: Any) -> None:
        """Say that something failed, with the trace of the exception that is being handled."""
        self._logger.exception("%s", event, extra={"fields": fields})


def configure_logging() -> None:
    """Send all logging of this process to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("assay_pods").setLevel(logging.INFO)
    logging.captureWarnings(True)


log = PodLogger()

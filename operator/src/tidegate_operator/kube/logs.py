"""Logs as JSON lines on stderr; libraries speak from warning on."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

OURS: Final = ("tidegate", "tidegate_operator")
TOO_MUCH: Final = "kopf._core.reactor.running"
"""Warns at every start that it leaves the signals alone, which is what is wanted."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_KOPF: Final = frozenset({"k8s_skip", "k8s_ref", "settings"})


class JsonLines(logging.Formatter):
    """A record as ``{"time", "level", "logger", "message", ...}``; extras become fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        time = datetime.fromtimestamp(record.created, UTC)
        document: dict[str, object] = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        document |= {k: v for k, v in vars(record).items() if k not in _STANDARD | _KOPF}
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str, ensure_ascii=False)


def set_up_logs(level: str, stream: TextIO = sys.stderr) -> None:
    """Send every logger of this process to `stream`; `level` is for the operator's own."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(TOO_MUCH).setLevel(logging.ERROR)
    for name in OURS:
        logging.getLogger(name).setLevel(level.upper())

"""One log set-up for every program: JSON lines for a collector, text lines on a terminal.

Own loggers are named ``tidegate.*``; libraries write from warning on. What a stranger can cause by
sending nonsense (a library's line per bad request, a full port) is written a few times a minute
and then only counted, so that a scanner cannot flood the log.

A formatter of our own instead of a library: python-json-logger needs a subclass for the level's
name and the time, which leaves nothing of its advantage.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TextIO

LIMITED: Final = "tidegate.ports"
"""The logger for what a peer's connections cause; rate-limited as libraries are."""

PER_MINUTE: Final = 10
"""Lines of one kind (logger and message before its arguments are filled in) within a minute."""

_KINDS: Final = 256
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """A record as ``{"time", "level", "logger", "message", ...}``; extras become fields."""

    def __init__(self, hidden: Collection[str] = ()) -> None:
        super().__init__()
        self._hidden = _STANDARD | set(hidden)

    def document(self, record: logging.LogRecord) -> dict[str, object]:
        """The fields of the line, in order."""
        written = datetime.fromtimestamp(record.created, UTC)
        document: dict[str, object] = {
            "time": written.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        document |= {k: v for k, v in vars(record).items() if k not in self._hidden}
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return document

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        return json.dumps(self.document(record), default=str, ensure_ascii=False)


class TextLines(JsonLines):
    """The same for a terminal: ``09:03:50.123 WARNING tidegate.x: message key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it."""
        document = self.document(record)
        clock = datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "milliseconds")
        level, name, message = (document.pop(key) for key in ("level", "logger", "message"))
        trace = document.pop("exception", None)
        fields = "".join(f" {k}={v}" for k, v in document.items() if k != "time")
        line = f"{clock[11:23]} {str(level).upper():7} {name}: {message}{fields}"
        return line if trace is None else f"{line}\n{trace}"


class RateLimit(logging.Filter):
    """Lets `PER_MINUTE` lines of one kind through; the next minute's first one counts the rest.

    Own loggers but `LIMITED` pass: their lines come with a state's change, not with a request.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[str, str], tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the record; adds ``suppressed`` to it where lines were left out."""
        if record.name.startswith("tidegate") and record.name != LIMITED:
            return True
        kind, minute = (record.name, str(record.msg)), int(self._clock() // 60)
        since, count = self._kinds.get(kind, (minute, 0))
        if since != minute:
            if count > PER_MINUTE:
                record.suppressed = count - PER_MINUTE
            since, count = minute, 0
        if kind not in self._kinds and len(self._kinds) >= _KINDS:
            self._kinds.clear()  # a message with its arguments filled in makes a kind of its own
        self._kinds[kind] = since, count + 1
        return count < PER_MINUTE


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to a stream that may be closed: the program goes on without a log."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        pass


@dataclass(frozen=True, slots=True)
class LogRules:
    """What a program's libraries need: `hidden` are extras that one adds to each record; the
    logger `muted` writes errors only.
    """

    hidden: tuple[str, ...] = ()
    muted: str = ""


NO_RULES: Final = LogRules()


def set_up_logs(level: str, stream: TextIO | None = None, rules: LogRules = NO_RULES) -> None:
    """Send every logger of this process to `stream` (default: stderr); `level` is for our own."""
    stream = stream or sys.stderr
    handler = _Handler(stream)
    terminal = stream is not None and stream.isatty()
    handler.setFormatter(TextLines(rules.hidden) if terminal else JsonLines(rules.hidden))
    handler.addFilter(RateLimit())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    if rules.muted:
        logging.getLogger(rules.muted).setLevel(logging.ERROR)
    logging.getLogger("tidegate").setLevel(level.upper())

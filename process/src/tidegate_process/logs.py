"""One log set-up for every program: JSON lines for a collector, text lines on a terminal.

Own loggers are named ``tidegate.*``; libraries write from warning on. Each line is written a number
of times a minute and then only counted, so that neither a scanner (a library's line per bad
request, a full port) nor a tenant (a pod that is denied again and again) can flood the log.

A formatter of our own instead of a library: python-json-logger needs a subclass for the level's
name and the time, which leaves nothing of its advantage.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TextIO

LIMITED: Final = "tidegate.ports"
"""The logger for what a peer's connections cause; rate-limited as libraries are."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Lines within a minute: of one kind (logger and message before its arguments are filled in),
    and of one logger, because some libraries fill in what the peer has sent.
    """

    of_a_kind: int
    of_a_logger: int


BY_PEERS: Final = Rate(10, 60)
"""For `LIMITED` and libraries: a line costs a peer one bad request."""

OWN: Final = Rate(120, 600)
"""For our other loggers, whose lines come with a state's change: a rollout of a large fleet."""

MESSAGE_LENGTH: Final = 4096
"""The most of a message that is written; it may quote what a peer has sent."""

_ANY: Final = ""
"""Stands for all kinds of a logger together."""

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
            "message": record.getMessage()[:MESSAGE_LENGTH],
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
    """Lets lines through at their `Rate`; the next minute's first one counts the rest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._minute = 0
        self._lines: Counter[tuple[str, str]] = Counter()
        self._suppressed: Counter[str] = Counter()
        self._told: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the record; adds ``suppressed`` to a logger's first line after some of
        its lines were left out.
        """
        self._begin_minute()
        rate = OWN if _is_own(record.name) else BY_PEERS
        kind, logger = (record.name, str(record.msg)), (record.name, _ANY)
        if self._lines[logger] >= rate.of_a_logger or self._lines[kind] >= rate.of_a_kind:
            self._suppressed[record.name] += 1
            return False
        self._lines.update((kind, logger))
        if suppressed := self._told.pop(record.name, 0):
            record.suppressed = suppressed
        return True

    def _begin_minute(self) -> None:
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute = minute
            self._lines.clear()
            self._told.update(self._suppressed)
            self._suppressed.clear()


def _is_own(logger: str) -> bool:
    return logger.startswith("tidegate") and logger != LIMITED


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

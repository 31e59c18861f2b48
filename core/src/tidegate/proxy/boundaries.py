"""Where an event stream's events end, found without decoding them.

An event ends with a blank line, and a line with CRLF, LF or CR (WHATWG 9.2.6), so the only thing to
keep is how many line ends have come since the last other byte. Between two pieces of a stream it is
enough to look at the end of the piece; the inside is searched only where a stream is to be left.
"""

from __future__ import annotations

import re
from typing import Final

_BOM: Final = b"\xef\xbb\xbf"
_BREAK: Final = re.compile(rb"\r\n|\r|\n")
_BLANK_LINE: Final = re.compile(rb"(?:\r\n|\r(?!\n)|\n)(?:\r\n|\r(?!\n)|\n)")
_BOUNDARY: Final = 2
"""Line ends in a row: one ends the line before, the other is a blank line."""


class Boundaries:
    """The place in one event stream that the bytes fed so far have reached."""

    __slots__ = ("_after_cr", "_breaks", "_start")

    def __init__(self) -> None:
        self._breaks = _BOUNDARY
        self._after_cr = False
        self._start: bytes | None = b""

    @property
    def is_at_start(self) -> bool:
        """Whether nothing has come yet, not even a part of a byte order mark."""
        return self._start == b""

    @property
    def is_between_events(self) -> bool:
        """Whether an event has just ended, or none has begun: here a stream may be ended."""
        return self._breaks >= _BOUNDARY

    @property
    def takes_more(self) -> bool:
        """Whether other lines may stand here with more of the stream behind them.

        Not behind a CR, to which a LF may belong that is still on its way, nor where a byte order
        mark may follow.
        """
        return self._breaks >= _BOUNDARY and not self._after_cr and self._start is None

    def at_event_end(self) -> None:
        """The caller has seen that the stream has come to an event's end, by a LF."""
        self._breaks = _BOUNDARY
        self._after_cr = False
        self._start = None

    def feed(self, data: bytes) -> None:
        """Go on behind `data`."""
        if self._start is not None:
            data = self._behind_mark(data)
        if not data:
            return
        run = data[len(data.rstrip(b"\r\n")) :]
        is_run_only = len(run) == len(data)
        if not is_run_only:
            self._breaks = 0
        elif self._after_cr and run.startswith(b"\n"):
            run = run[1:]
            if not run:
                self._after_cr = False
                return
        if run:
            self._breaks = min(_BOUNDARY, self._breaks + len(_BREAK.findall(run)))
        self._after_cr = run.endswith(b"\r")

    def first_in(self, data: bytes) -> int:
        """How many bytes of `data`, which comes next, belong to the event that is under way.

        0 between two events; -1 where the event's end is not in `data`. Changes nothing.
        """
        if not data:
            return 0 if self.is_between_events else -1
        at = 1 if self._after_cr and data.startswith(b"\n") else 0
        if self._breaks >= _BOUNDARY:
            return at
        if self._breaks:
            blank = _BREAK.match(data, at)
            if blank is not None:
                return blank.end()
        found = _BLANK_LINE.search(data, at)
        return -1 if found is None else found.end()

    def _behind_mark(self, data: bytes) -> bytes:
        """Drop a byte order mark, which may come in parts; returns what is behind it."""
        assert self._start is not None
        start = self._start + data
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._start = start
            self._breaks = 0 if start else _BOUNDARY
            return b""
        self._start = None
        if start.startswith(_BOM):
            self._breaks = _BOUNDARY
            return start[len(_BOM) :]
        return start


def behind_mark(data: bytes) -> bytes:
    """`data` without the byte order mark that it may begin with."""
    return data.removeprefix(_BOM)

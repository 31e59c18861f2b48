"""Incremental, bounded decoding of an event stream.

Bytes go in as they arrive, split anywhere; events, ``retry:`` changes and comments come out. The
stream is cut into lines as bytes and each line is decoded on its own: CR and LF never occur
inside a UTF-8 sequence, and a broken sequence never swallows them, so the outcome is that of
decoding the whole (Encoding standard, "UTF-8 decode" with replacement).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidegate.contract.errors import DocumentError

MAX_RETRY_MS = 2**31 - 1
"""Timers take 32 bits: more would fire at once in browsers and Node, a hot loop."""

_BOM = b"\xef\xbb\xbf"
_BREAK = re.compile(rb"[\r\n]")
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Event:
    """One dispatched event; `id` is the last event id in force, `type` never empty."""

    type: str
    data: str
    id: str


@dataclass(frozen=True, slots=True)
class Retry:
    """The server changed the reconnection time, in milliseconds."""

    ms: int


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment line: no event, but a sign of life."""

    text: str


Item = Event | Retry | Comment


class Decoder:
    """Decodes one connection's event stream (WHATWG 9.2.6); make a new one per connection.

    `last_event_id` carries over what earlier connections left in force. A line longer than
    `max_line_bytes` or an event with more than `max_event_bytes` of data raises `DocumentError`,
    after which the decoder must not be fed any more. What an end of file leaves unfinished is
    discarded with the decoder, id included.
    """

    def __init__(
        self,
        *,
        last_event_id: str = "",
        max_line_bytes: int = 1 << 20,
        max_event_bytes: int = 4 << 20,
    ) -> None:
        self.last_event_id = last_event_id
        self._max_line_bytes = max_line_bytes
        self._max_event_bytes = max_event_bytes
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._after_cr = False
        self._at_start = True
        self._id = last_event_id
        self._type = ""
        self._data: list[str] = []
        self._data_bytes = 0

    def feed(self, chunk: bytes) -> list[Item]:
        """Take the next bytes; returns what they complete, in order."""
        items: list[Item] = []
        at = 0
        if self._after_cr and chunk:
            self._after_cr = False
            at = 1 if chunk[0] == 0x0A else 0
        while (found := _BREAK.search(chunk, at)) is not None:
            self._line(self._take_line(chunk[at : found.start()]), items)
            at = found.end()
            if chunk[found.start()] == 0x0D:
                # A bare CR ends the line at once; only a LF right behind it belongs to it.
                if at == len(chunk):
                    self._after_cr = True
                elif chunk[at] == 0x0A:
                    at += 1
        self._keep(chunk[at:])
        return items

    def _keep(self, rest: bytes) -> None:
        # Parts are kept in a list: joining per chunk would be quadratic in the line's length.
        if rest:
            self._partial.append(rest)
            self._partial_bytes += len(rest)
            self._check_line(self._partial_bytes)

    def _take_line(self, end: bytes) -> bytes:
        self._check_line(self._partial_bytes + len(end))
        line = b"".join([*self._partial, end]) if self._partial else end
        self._partial.clear()
        self._partial_bytes = 0
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        return line

    def _check_line(self, size: int) -> None:
        if size > self._max_line_bytes:
            problem = f"is longer than {self._max_line_bytes} bytes"
            raise DocumentError("event stream", "line", problem)

    def _line(self, line: bytes, items: list[Item]) -> None:
        if not line:
            self._dispatch(items)
            return
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        if name == b"data":
            self._append_data(text, len(value))
        elif name == b"event":
            self._type = text
        elif name == b"id":
            if "\0" not in text:
                self._id = text
        elif name == b"retry":
            if _DIGITS.fullmatch(text):
                items.append(Retry(_clamped(text)))
        elif not name:
            items.append(Comment(text))

    def _append_data(self, text: str, size: int) -> None:
        self._data_bytes += size + 1
        if self._data_bytes > self._max_event_bytes:
            problem = f"is larger than {self._max_event_bytes} bytes"
            raise DocumentError("event stream", "data", problem)
        self._data.append(text)

    def _dispatch(self, items: list[Item]) -> None:
        # An id is adopted at the blank line even where there is no data, hence no event.
        self.last_event_id = self._id
        if self._data:
            data = "\n".join(self._data)
            items.append(Event(self._type or "message", data, self.last_event_id))
            self._data.clear()
            self._data_bytes = 0
        self._type = ""


def _clamped(digits: str) -> int:
    significant = digits.lstrip("0") or "0"
    # Python refuses to convert thousands of digits; anything that long is over the limit anyway.
    return MAX_RETRY_MS if len(significant) > 10 else min(int(significant), MAX_RETRY_MS)

"""An event stream that is passed on, and that can be left between two events.

The application's bytes are never changed. Chunk framing belongs to a connection: a piece of whole
chunks is passed on as it came (the usual case, tested for first), any other is framed anew, so that
each write ends between two chunks and something can be put behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Protocol

from tidegate.contract.errors import DocumentError
from tidegate.proxy.bodies import Body, Chunked
from tidegate.proxy.boundaries import Boundaries, behind_mark
from tidegate.proxy.insertions import HEARTBEAT
from tidegate.proxy.kinds import TAIL_BYTES, Kind
from tidegate.wire.http import LAST_CHUNK, frame

_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,3})\r\n")
"""Of chunks up to 4 KiB: the last one is kept, and must not be large."""

_EVENT_AND_CHUNK_END: Final = b"\n\n\r\n"
_LEAST_CHUNK: Final = 2


class Owner(Protocol):
    """The exchange that the stream belongs to."""

    def stream_ended(self, rest: bytes) -> None:
        """The application has ended its answer, which has been passed on whole."""

    def stream_left(self, cause: str) -> None:
        """The stream was ended here, and its last bytes have been written."""

    def answer_broken(self) -> None:
        """The application's bytes are not what its head has announced."""


class EventStream:
    """One event stream, sent by `write`, in chunks if `frames`; `first` goes in front of all."""

    __slots__ = (
        "_body", "_boundaries", "_can_insert", "_cause", "_first", "_frames", "_has_written",
        "_is_opaque", "_is_plain", "_last", "_last_words", "_mark_may_come", "_owner", "_quiet",
        "_tail", "write",
    )  # fmt: skip

    def __init__(
        self,
        owner: Owner,
        write: Callable[[bytes], None],
        body: Body,
        *,
        kind: Kind,
        frames: bool,
        first: bytes,
    ) -> None:
        self._owner = owner
        self.write = write
        self._body = body
        self._frames = frames
        # Into what is finite or compressed nothing of ours is put.
        self._can_insert = kind == "endless"
        self._is_opaque = kind == "opaque"
        self._first = first if kind == "endless" else b""
        self._boundaries = Boundaries()
        self._last_words: bytes | None = None
        self._cause = ""
        self._mark_may_come = False
        self._has_written = False
        self._quiet = 0
        self._tail = b""
        self._last: bytes | None = None
        # Whether pieces may be passed on without a look at anything but their two ends.
        self._is_plain = frames and isinstance(body, Chunked) and not self._first

    @property
    def tail(self) -> bytes:
        """The last bytes that came from the application, framing included."""
        self._settle()
        return self._tail

    def feed(self, data: bytes) -> None:
        """The application has sent `data`."""
        if self._is_plain:
            # One chunk of whole events: most of what an application ever sends. What follows from
            # it is worked out when it is asked for.
            size = _SIZE.match(data)
            if size is not None and data.endswith(_EVENT_AND_CHUNK_END):
                length = int(size[1], 16)
                if length >= _LEAST_CHUNK and size.end() + length + 2 == len(data):
                    self._last = data
                    self.write(data)
                    return
        self._settle()
        self._has_written = True
        self._take(data)

    def _settle(self) -> None:
        """Take into account what has been passed on without a closer look."""
        last, self._last = self._last, None
        if last is not None:
            self._has_written = True
            self._tail = last[-TAIL_BYTES:]
            self._boundaries.at_event_end()

    def _take(self, data: bytes) -> None:
        body = self._body
        try:
            payload, rest = body.feed(data)
        except DocumentError:
            self._owner.answer_broken()
            return
        if payload:
            self._tail = payload[-TAIL_BYTES:]
            if self._last_words is not None:
                if self._leave_in(payload):
                    return
            elif self._first or self._mark_may_come:
                self._begin(payload)
            else:
                is_whole = self._frames and isinstance(body, Chunked) and body.is_whole
                self.write(data if is_whole else self._framed(payload))
            self._boundaries.feed(payload)
        if body.is_done:
            if self._frames:
                self.write(body.last_chunk if isinstance(body, Chunked) else LAST_CHUNK)
            self._owner.stream_ended(rest)
        elif isinstance(body, Chunked):
            self._is_plain = self._frames and self._last_words is None and body.is_between_chunks

    def _begin(self, payload: bytes) -> None:
        """Send the first bytes of the stream with ours in front, behind a byte order mark."""
        first, self._first = self._first, b""
        without = behind_mark(payload)
        mark = payload[: len(payload) - len(without)]
        if self._mark_may_come:
            mark, self._mark_may_come = b"", False  # it would stand in the midst, where it is text
        out = mark + first + without
        if out:
            self.write(self._framed(out))

    def _framed(self, payload: bytes) -> bytes:
        return frame(payload) if self._frames else payload

    def beat(self, quiet_rounds: int) -> bool:
        """A round of the heartbeat's clock; whether a comment line was sent.

        One is due where nothing has come for `quiet_rounds`, and may be put in.
        """
        self._settle()
        if self._has_written:
            self._has_written = False
            self._quiet = 0
            return False
        self._quiet += 1
        boundaries = self._boundaries
        may = boundaries.takes_more or boundaries.is_at_start
        if self._quiet < quiet_rounds or not may or not self._can_insert or self._last_words:
            return False
        self._quiet = 0
        if boundaries.is_at_start:
            self._mark_may_come = True
            self._is_plain = False
        first, self._first = self._first, b""
        self.write(self._framed(first + HEARTBEAT))
        return True

    def let_go(self, words: bytes, cause: str) -> bool:
        """Leave the stream between two events, with `words`; whether that was possible now."""
        self._settle()
        self._cause = cause
        if self._is_opaque:
            self._leave(b"")
            return True
        if self._boundaries.is_between_events:
            self._leave(words)
            return True
        self._last_words = words
        self._is_plain = False
        return False

    def _leave_in(self, payload: bytes) -> bool:
        end = self._boundaries.first_in(payload)
        if end < 0:
            self.write(self._framed(payload))
            return False
        assert self._last_words is not None
        if end:
            self.write(self._framed(payload[:end]))
        self._leave(self._last_words)
        return True

    def _leave(self, words: bytes) -> None:
        if words:
            self.write(self._framed(self._first + words))
        if self._frames and (words or self._is_opaque):
            self.write(LAST_CHUNK)
        self._owner.stream_left(self._cause)

    def break_off(self, words: bytes) -> None:
        """The application is gone: end cleanly, with `words` where no event is under way."""
        self._settle()
        if words and self._boundaries.is_between_events and self._can_insert:
            self.write(self._framed(self._last_words or self._first + words))
        if self._frames:
            self.write(LAST_CHUNK)

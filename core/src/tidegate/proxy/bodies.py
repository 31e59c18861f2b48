"""Where a body ends (RFC 9112, section 6.3), and chunk framing (7.1), read strictly.

`feed` takes bytes as they arrive and returns the body's own bytes and what is behind its end.
Chunked bodies are not passed on as they came: their framing is read here and made anew, so that no
extension, odd line end or unchecked trailer reaches the other side. Only a piece that is whole
plain chunks may be sent as it is (`Chunked.is_whole`), which is the usual case.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from tidegate.contract.errors import DocumentError

MAX_SIZE_LINE: Final = 1024
"""Bytes of a chunk's size line, extensions included."""

MAX_TRAILER_BYTES: Final = 16 * 1024
"""Bytes of all trailer fields together."""

_CRLF: Final = b"\r\n"
_SIZE_LINE: Final = 0
_TRAILER: Final = -1
"""Where a chunked body is; any number above is the bytes of a chunk that are still to come."""

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})((?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?)\r\n")
_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t\x20-\x7e\x80-\xff]*\r\n")
_NOT_IN_TRAILERS: Final = frozenset(
    {b"content-length", b"transfer-encoding", b"host", b"connection", b"te", b"trailer",
     b"content-encoding", b"content-type", b"authorization", b"cookie", b"set-cookie", b"expect"}
)  # fmt: skip
"""Fields that frame, route or authorize a message stand in front of it (RFC 9110, 6.5.1)."""


class Body(Protocol):
    """A body that is being received. `is_done`: its end has come."""

    is_done: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take `data`; returns the part of the body in it, and what is behind the body's end.

        Raises `DocumentError` for bytes that are not a body; nothing may be fed after that.
        """


class Sized:
    """A body of `length` bytes, which may be none."""

    __slots__ = ("_left", "is_done")

    def __init__(self, length: int) -> None:
        self._left = length
        self.is_done = length == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Body`."""
        if len(data) < self._left:
            self._left -= len(data)
            return data, b""
        left, self._left, self.is_done = self._left, 0, True
        if len(data) == left:
            return data, b""
        return data[:left], data[left:]


class UntilClose:
    """A body that ends with its connection; only a response can have one."""

    __slots__ = ("is_done",)

    def __init__(self) -> None:
        self.is_done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Body`."""
        return data, b""


class Chunked:
    """A chunked body. `trailer` holds the lines of its trailer section once it is done."""

    __slots__ = ("_line", "_state", "is_done", "is_whole", "trailer")

    def __init__(self) -> None:
        self.is_done = False
        self.is_whole = False
        """Whether the data last fed was whole chunks without extensions, with nothing behind."""
        self.trailer = b""
        self._line = b""
        self._state = _SIZE_LINE

    @property
    def is_between_chunks(self) -> bool:
        """Whether the next byte begins a size line."""
        return self._state == _SIZE_LINE and not self._line

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Body`."""
        self.is_whole = self.is_between_chunks
        parts: list[bytes] = []
        at = 0
        while at < len(data) and not self.is_done:
            if self._state == _SIZE_LINE:
                at = self._size_line(data, at)
            elif self._state == _TRAILER:
                at = self._trailer_line(data, at)
            else:
                at = self._chunk(data, at, parts)
        self.is_whole = self.is_whole and self.is_between_chunks and not self.is_done
        return parts[0] if len(parts) == 1 else b"".join(parts), data[at:]

    def _size_line(self, data: bytes, at: int) -> int:
        found = None if self._line else _SIZE.match(data, at)
        if found is None:
            line, at = self._take_line(data, at, MAX_SIZE_LINE, "chunk size")
            if line is None:
                return at
            found = _SIZE.fullmatch(line)
            if found is None:
                raise DocumentError("chunked body", "size", "is not a hexadecimal number and CRLF")
        else:
            at = found.end()
            if at - found.start() > MAX_SIZE_LINE:
                raise DocumentError("chunked body", "chunk size", f"exceeds {MAX_SIZE_LINE} bytes")
        if found[2]:
            self.is_whole = False
        size = int(found[1], 16)
        self._state = size + len(_CRLF) if size else _TRAILER
        return at

    def _chunk(self, data: bytes, at: int, parts: list[bytes]) -> int:
        body_left = self._state - len(_CRLF)
        if body_left > 0:
            part = data[at : at + body_left]
            parts.append(part)
            self._state -= len(part)
            at += len(part)
        if 0 < self._state <= len(_CRLF) and at < len(data):
            expected = _CRLF[-self._state :]
            ending = data[at : at + len(expected)]
            if not expected.startswith(ending):
                raise DocumentError("chunked body", "data", "is not followed by CRLF")
            self._state -= len(ending)
            at += len(ending)
        return at

    def _trailer_line(self, data: bytes, at: int) -> int:
        limit = MAX_TRAILER_BYTES - len(self.trailer)
        line, at = self._take_line(data, at, limit, "trailer")
        if line == _CRLF:
            self.is_done = True
        elif line is not None:
            found = _FIELD.fullmatch(line)
            if found is None:
                raise DocumentError("chunked body", "trailer", "is not a field and CRLF")
            if found[1].lower() in _NOT_IN_TRAILERS:
                raise DocumentError("chunked body", "trailer", "holds a field of the head")
            self.trailer += line
        return at

    def _take_line(self, data: bytes, at: int, limit: int, field: str) -> tuple[bytes | None, int]:
        """The line that ends in `data`, or ``None`` and its part is kept."""
        end = data.find(b"\n", at) + 1
        line = self._line + data[at : end or len(data)]
        if len(line) > limit:
            raise DocumentError("chunked body", field, f"exceeds {limit} bytes")
        self._line = b"" if end else line
        return (line, end) if end else (None, len(data))

    @property
    def last_chunk(self) -> bytes:
        """What ends this body where it is sent on: the last chunk and the trailer."""
        return b"0\r\n%b\r\n" % self.trailer

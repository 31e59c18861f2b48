"""Reading a stream as cheaply as Python can: response head, chunks, event blocks.

Only what a Tidegate sidecar sends is understood (HTTP/1.1 chunked or close-delimited body, LF line
ends); anything else raises `BadStreamError`, which the client counts as a broken stream.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate_lab.errors import LabError

MAX_HEAD_BYTES = 16 * 1024


class BadStreamError(LabError):
    """Raised when the bytes are not the stream they should be."""


@dataclass(frozen=True, slots=True)
class Head:
    """A response's status, content type without parameters, and whether its body is chunked."""

    status: int
    content_type: str
    chunked: bool


def parse_head(raw: bytes) -> Head:
    """Read status line and headers, up to but without the empty line."""
    lines = raw.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise BadStreamError(f"not an HTTP response: {lines[0][:80]!r}")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip().lower()
    return Head(
        status=int(words[1]),
        content_type=headers.get("content-type", "").partition(";")[0].strip(),
        chunked=headers.get("transfer-encoding") == "chunked",
    )


class BlockReader:
    """A response body in pieces to event blocks (the lines between two empty ones)."""

    def __init__(self, *, chunked: bool) -> None:
        self._chunked = chunked
        self._raw = b""
        self._text = b""
        self.ended = False

    def feed(self, data: bytes) -> list[bytes]:
        """The blocks that are complete now; `ended` is set by the last chunk.

        Raises `BadStreamError` for a chunk size that is none.
        """
        text = self._text + (self._dechunk(data) if self._chunked else data)
        blocks = text.split(b"\n\n")
        self._text = blocks.pop()
        return blocks

    def _dechunk(self, data: bytes) -> bytes:
        raw = self._raw + data if self._raw else data
        text = b""
        position = 0
        while True:
            line_end = raw.find(b"\r\n", position)
            if line_end < 0:
                break
            try:
                size = int(raw[position:line_end], 16)
            except ValueError:
                bad = raw[position:line_end][:80]
                raise BadStreamError(f"not a chunk size: {bad!r}") from None
            end = line_end + 2 + size
            if len(raw) < end + 2:
                break
            if size == 0:
                self.ended = True
                break
            text += raw[line_end + 2 : end]
            position = end + 2
        self._raw = raw[position:]
        return text


def fields_of(block: bytes) -> tuple[bytes, bytes | None, bytes, int | None]:
    """``(event, id, data, retry_ms)`` of a block; a comment line is no field."""
    event, identifier, data, retry_ms = b"message", None, b"", None
    for line in block.split(b"\n"):
        name, _, value = line.partition(b": ")
        if name == b"data":
            data = data + b"\n" + value if data else value
        elif name == b"id":
            identifier = value
        elif name == b"event":
            event = value
        elif name == b"retry" and value.isdigit():
            retry_ms = int(value)
    return event, identifier, data, retry_ms

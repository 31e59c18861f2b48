"""The little HTTP/1.1 that a stream needs once it has left the web server: head and chunks.

RFC 9112: a response of unknown length is sent in chunks (section 7.1) to an HTTP/1.1 client and
delimited by the close of the connection (section 6.3) for an HTTP/1.0 client.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from tidegate.contract.errors import DocumentError

LAST_CHUNK = b"0\r\n\r\n"
"""Ends a chunked body; without it a client knows that the stream was cut."""

Headers = tuple[tuple[bytes, bytes], ...]


def frame(body: bytes) -> bytes:
    """Make one chunk of `body` (not empty: an empty chunk would end the response)."""
    return b"%x\r\n%b\r\n" % (len(body), body)


def unframe(chunks: bytes) -> bytes:
    """The bodies of whole `chunks`, joined; raises `DocumentError` where they are not whole."""
    bodies = []
    at = 0
    while at < len(chunks):
        line_end = chunks.find(b"\r\n", at)
        try:
            size = int(chunks[at:line_end], 16)
        except ValueError:
            raise DocumentError("chunked body", "size", "is not a hexadecimal number") from None
        start = line_end + 2
        at = start + size + 2
        if line_end < 0 or chunks[at - 2 : at] != b"\r\n":
            raise DocumentError("chunked body", "data", "is not a whole chunk")
        bodies.append(chunks[start : start + size])
    return b"".join(bodies)


def response_head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Status line, `headers` and the blank line."""
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())]
    lines += [b"%b: %b\r\n" % header for header in headers]
    return b"".join([*lines, b"\r\n"])

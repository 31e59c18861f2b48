"""Decisions of the door as bytes for a connection that has been taken over.

The ordinary ASGI way sends the same status, headers and body through the web server.
"""

from __future__ import annotations

from tidegate.stream.door import STREAM_HEADERS, Bounce, Refuse
from tidegate.wire.http import LAST_CHUNK, frame, response_head, unframe
from tidegate_sidecar.engine.stream import StreamTransport

CHUNKED_HEAD = response_head(200, (*STREAM_HEADERS, (b"transfer-encoding", b"chunked")))
"""The head of a stream for HTTP/1.1."""

UNFRAMED_HEAD = response_head(200, STREAM_HEADERS)
"""The same for HTTP/1.0, which knows no chunks: the body ends with the connection."""


def bounce_answer(bounce: Bounce, *, chunked: bool) -> bytes:
    """A whole bounce."""
    if chunked:
        return CHUNKED_HEAD + frame(bounce.body) + LAST_CHUNK
    return UNFRAMED_HEAD + bounce.body


def refusal_answer(refuse: Refuse) -> bytes:
    """A whole refusal."""
    return response_head(refuse.status, refuse.headers) + refuse.body


class UnframingTransport:
    """A transport to an HTTP/1.0 client: takes the chunks all share, sends their bodies."""

    __slots__ = ("_transport",)

    def __init__(self, transport: StreamTransport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        """Send the bodies of whole chunks."""
        body = unframe(data)
        if body:
            self._transport.write(body)

    def close(self) -> None:
        """Close once the buffer is flushed."""
        self._transport.close()

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Bytes not yet taken by the socket."""
        return self._transport.get_write_buffer_size()

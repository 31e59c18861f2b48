"""Decisions of the door as bytes for a connection that has been taken over.

The ordinary ASGI way sends the same status, headers and body through the web server.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tidegate.stream.cors import CorsPolicy, header_value
from tidegate.stream.decisions import STREAM_HEADERS, Bounce, Refuse
from tidegate.wire.http import LAST_CHUNK, Headers, frame, response_head, unframe
from tidegate_sidecar.engine.stream import StreamTransport


@dataclass(frozen=True, slots=True)
class Heads:
    """What stands before the body, made once for each listed origin.

    `chunked` is the head of a stream for HTTP/1.1; `unframed` the same for HTTP/1.0, which knows
    no chunks: the body ends with the connection. `cors` goes into the head of a refusal.
    """

    chunked: bytes
    unframed: bytes
    cors: Headers

    def bounce(self, bounce: Bounce, *, chunked: bool) -> bytes:
        """A whole bounce."""
        if chunked:
            return self.chunked + frame(bounce.body) + LAST_CHUNK
        return self.unframed + bounce.body

    def refusal(self, refuse: Refuse) -> bytes:
        """A whole refusal."""
        return response_head(refuse.status, (*refuse.headers, *self.cors)) + refuse.body


class HeadsByOrigin:
    """All heads of one policy."""

    def __init__(self, cors: CorsPolicy) -> None:
        self._asks_for_origin = cors.is_on
        self._other = _heads(cors.of(b""))
        self._listed = {origin: _heads(extra) for origin, extra in cors.all_answers().items()}

    def of(self, request_headers: Iterable[tuple[bytes, bytes]]) -> Heads:
        """The heads for a request with these headers (names in lower case)."""
        if not self._asks_for_origin:
            return self._other
        return self._listed.get(header_value(request_headers, b"origin"), self._other)


def _heads(cors: Headers) -> Heads:
    headers = (*STREAM_HEADERS, *cors)
    chunked = response_head(200, (*headers, (b"transfer-encoding", b"chunked")))
    return Heads(chunked, response_head(200, headers), cors)


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

    def get_extra_info(self, name: str) -> Any:
        """The connection's own."""
        return self._transport.get_extra_info(name)

"""One connection of a load client: the request out, the head in, then event blocks.

A plain asyncio protocol without a task: a thousand clients at twenty events a second are twenty
thousand blocks a second, all of them checked on a fraction of a core.
"""

from __future__ import annotations

import asyncio
import json
from typing import Protocol, cast

from tidegate.contract.stream_events import CONNECTED, CURSOR, GAP, SHUTDOWN
from tidegate_lab.door import Endpoint
from tidegate_lab.load.wire import (
    MAX_HEAD_BYTES,
    BadStreamError,
    BlockReader,
    fields_of,
    parse_head,
)

_CONNECTED = CONNECTED.encode()
_GAP = GAP.encode()
_CURSOR = CURSOR.encode()
_SHUTDOWN = SHUTDOWN.encode()


class Listener(Protocol):
    """The receiver of a connection's events."""

    def on_connected(self, stream: Connection, position: bytes) -> None:
        """The stream is live at `position`; on the pod `stream.pod`."""

    def on_event(self, stream: Connection, identifier: bytes) -> None:
        """An application event."""

    def on_position(self, identifier: bytes) -> None:
        """The cursor moved on without an application event."""

    def on_gap(self) -> None:
        """The server announced a gap."""

    def on_goodbye(self, stream: Connection) -> None:
        """`shutdown`: the stream is about to end, or was never to be."""

    def on_retry(self, retry_ms: int) -> None:
        """A `retry:` line."""

    def on_end(self, stream: Connection, why: str) -> None:
        """The connection is over; `stream` holds its last position."""


class Connection(asyncio.Protocol):
    """A stream being asked for, then read. `status` is 0 until the head has come."""

    def __init__(self, listener: Listener, endpoint: Endpoint, request: bytes) -> None:
        self.endpoint = endpoint
        self.pod = endpoint.pod
        self.status = 0
        self.event_stream = False
        self.established = False
        self.goodbye = False
        self.over = False
        self._listener = listener
        self._request = request
        self._head = b""
        self._reader: BlockReader | None = None
        self._transport: asyncio.Transport | None = None

    def close(self) -> None:
        """End it from this side."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by type
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Head or body; a malformed one ends the connection."""
        try:
            if self._reader is None:
                self._read_head(data)
            else:
                self._read_body(data)
        except BadStreamError as error:
            self._end(str(error))

    def eof_received(self) -> None:
        """The server has ended the stream."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed or reset."""
        self._end("closed" if exc is None else type(exc).__name__)

    def time_out(self) -> None:
        """Close a connection without a response head in time."""
        if self.status == 0:
            self._end("no answer")

    def _end(self, why: str) -> None:
        if not self.over:
            self.over = True
            self.close()
            self._listener.on_end(self, why)

    def _read_head(self, data: bytes) -> None:
        self._head += data
        raw, found, body = self._head.partition(b"\r\n\r\n")
        if not found:
            if len(raw) > MAX_HEAD_BYTES:
                raise BadStreamError("the response's head does not end")
            return
        head = parse_head(raw)
        self.status = head.status
        self.event_stream = head.status == 200 and head.content_type == "text/event-stream"
        if not self.event_stream:
            self._end(f"status {head.status}, {head.content_type}")
            return
        self._reader = BlockReader(chunked=head.chunked)
        self._read_body(body)

    def _read_body(self, data: bytes) -> None:
        assert self._reader is not None
        for block in self._reader.feed(data):
            if self.over:
                return
            self._read_block(block)
        if self._reader.ended:
            self._end("ended")

    def _read_block(self, block: bytes) -> None:
        event, identifier, data, retry_ms = fields_of(block)
        if retry_ms is not None:
            self._listener.on_retry(retry_ms)
        if not data:
            return
        if event == _SHUTDOWN:
            self.goodbye = True
        if event == _CONNECTED:
            self.established = True
            self.pod = str(json.loads(data)["pod"])
            self._listener.on_connected(self, identifier or b"")
        elif event in (_CURSOR, _GAP, _SHUTDOWN):
            if identifier is not None:
                self._listener.on_position(identifier)
            if event == _GAP:
                self._listener.on_gap()
            elif event == _SHUTDOWN:
                self._listener.on_goodbye(self)
        elif identifier is not None:
            self._listener.on_event(self, identifier)

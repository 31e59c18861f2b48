"""One open stream: the slim object that a connection becomes once it has left the web server.

It is the transport's protocol and a row of state, nothing more: no task, no queue, no buffer of
its own. What happens to it is reported to its `Host`, the engine; what it lacks is in the log.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import Any, Protocol

from tidegate.contract.errors import IllegalTransitionError
from tidegate.contract.stream_events import GapReason
from tidegate.stream.audience import Audience
from tidegate.stream.log import EventLog
from tidegate_sidecar.engine.phase import TRANSITIONS, Phase


class Queue(IntEnum):
    """Where a stream that is not live waits to be served on its own."""

    NONE = 0
    LATE = 1
    REPLAY = 2


class StreamTransport(Protocol):
    """What a stream needs of a connection; asyncio's transports have it."""

    def write(self, data: bytes) -> None:
        """Send or buffer `data`."""

    def close(self) -> None:
        """Close once the buffer is flushed."""

    def abort(self) -> None:
        """Close now; the buffer is lost."""

    def get_write_buffer_size(self) -> int:
        """Bytes not yet taken by the socket."""

    def get_extra_info(self, name: str) -> Any:
        """What is known of the connection; ``socket`` where it has one of its own."""


class Host(Protocol):
    """The receiver of a stream's events, called from the transport's callbacks."""

    def client_spoke(self, stream: Stream) -> None:
        """The client has sent bytes after its request."""

    def stalled(self, stream: Stream) -> None:
        """The socket takes no more."""

    def flowing(self, stream: Stream) -> None:
        """The socket has taken everything."""

    def lost(self, stream: Stream, error: Exception | None) -> None:
        """The connection is gone."""


class Stream(asyncio.BaseProtocol):
    """One stream's state.

    `cursor` is the position up to which its audience has been handed to the transport. A `live`
    stream is served by its audience's pass; one that is not is stalled, in a `queue` to be served
    on its own, or past its goodbye. `stall` is the buffered size and the time of the last progress
    while the socket is full. `lost` is a loss that is not announced yet: the last id and the
    reason. `cost_bytes` is its memory (`memory`).
    """

    __slots__ = (
        "accepted_s",
        "audience",
        "client",
        "cost_bytes",
        "cursor",
        "handover",
        "host",
        "last_write_s",
        "live",
        "lost",
        "newer",
        "number",
        "older",
        "phase",
        "queue",
        "slot",
        "spread_ms",
        "stall",
        "transport",
    )

    def __init__(
        self,
        host: Host,
        transport: StreamTransport,
        audience: Audience[Stream],
        *,
        number: int,
        client: str | None,
        handover: bool,
        spread_ms: int,
        cursor: int,
        now: float,
        cost_bytes: int,
    ) -> None:
        self.host = host
        self.transport = transport
        self.audience = audience
        self.number = number
        self.client = client
        self.handover = handover
        self.spread_ms = spread_ms
        self.cursor = cursor
        self.cost_bytes = cost_bytes
        self.accepted_s = self.last_write_s = now
        self.live = False
        self.queue = Queue.NONE
        self.phase = Phase.OPEN
        self.slot = -1
        self.older: Stream | None = None
        self.newer: Stream | None = None
        self.stall: tuple[int, float] | None = None
        self.lost: tuple[str, GapReason] | None = None

    @property
    def name(self) -> str:
        """The stream's id, as `connected` announces it."""
        return f"{self.number:x}"

    def enter(self, phase: Phase) -> None:
        """Go on to `phase`; raises `IllegalTransitionError` where the table has no such way."""
        if phase not in TRANSITIONS[self.phase]:
            raise IllegalTransitionError(f"stream {self.name}: {self.phase.name} to {phase.name}")
        self.phase = phase

    def data_received(self, data: bytes) -> None:
        """The client sends bytes, which a stream's client never does."""
        self.host.client_spoke(self)

    def eof_received(self) -> None:
        """The client has closed its side; returning nothing closes ours (asyncio)."""

    def pause_writing(self) -> None:
        """The socket is full: pass over this stream, its cursor stays."""
        self.host.stalled(self)

    def resume_writing(self) -> None:
        """The socket has drained: catch up."""
        self.host.flowing(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.host.lost(self, exc)


def final_cursor(log: EventLog, stream: Stream) -> str:
    """The id of the position up to which an open `stream` has been handed everything."""
    if stream.lost is not None:
        return stream.lost[0]  # a loss not announced yet: the next delivery announces it
    up_to_date = stream.live and stream.cursor >= stream.audience.head
    return log.cursor(max(stream.cursor, log.head) if up_to_date else stream.cursor)

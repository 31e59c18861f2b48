"""A client as a browser's EventSource is, and one that hands over.

EventSource: reconnects after `retry:` (sticky) or 3 s, sends `Last-Event-ID`, stops on
any status but 200 or a wrong content type (WHATWG HTML, server-sent events). A handover client asks
for `?handover=1`, opens its next stream at `shutdown` and closes the old one when the new one is
`connected` on another pod.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from tidegate.contract.names import (
    HEADER_LAST_EVENT_ID,
    PATH_SUBSCRIBE,
    QUERY_HANDOVER,
    QUERY_TOPIC,
)
from tidegate_lab.door import FrontDoor
from tidegate_lab.load.connection import Connection
from tidegate_lab.load.tally import Receipts, Tally

DEFAULT_RETRY_S = 3.0
CONNECT_TIMEOUT_S = 3.0
HEAD_TIMEOUT_S = 5.0
HANDOVER_RETRY_S = 0.25
"""A handover's `retry:` may be a millisecond; one that failed must not become a hot loop."""


@dataclass(slots=True)
class World:
    """What all clients of a process share."""

    door: FrontDoor
    tally: Tally
    epoch: bytes = b""
    stopped: bool = False
    connecting: set[asyncio.Task[None]] = field(default_factory=set)
    clock: Callable[[], float] = time.monotonic


class Client:
    """One client id and the stream it holds; during a handover, two."""

    def __init__(self, world: World, name: str, topics: tuple[str, ...], handover: bool) -> None:
        self.name = name
        self.topics = topics
        self.receipts = Receipts()
        self.moves = 0
        self.dead = False
        self._world = world
        self._handover = handover
        self._retry_s = DEFAULT_RETRY_S
        self._cursor = b""
        self._live: Connection | None = None
        self._asking = False
        self._offline_s: float | None = None
        query = [(QUERY_TOPIC, topic) for topic in topics]
        if handover:
            query.append((QUERY_HANDOVER, "1"))
        path = PATH_SUBSCRIBE.format(client_id=quote(name, safe="")) + "?" + urlencode(query)
        self._request = f"GET {path} HTTP/1.1\r\nAccept: text/event-stream\r\n".encode()

    def open(self) -> None:
        """Ask the door and connect; what comes of it arrives at the `on_` methods."""
        self._asking = True
        if self._world.stopped:
            return
        if self.receipts.first >= 0:
            self._world.tally.attempts += 1
        task = asyncio.create_task(self._connect())
        self._world.connecting.add(task)
        task.add_done_callback(self._world.connecting.discard)

    def close(self) -> None:
        """Leave, as a closed page does."""
        if self._live is not None:
            self._live.close()

    async def _connect(self) -> None:
        endpoint = self._world.door.choose()
        if endpoint is None:
            self._failed("no endpoint")
            return
        request = self._request + f"Host: {endpoint.host}:{endpoint.port}\r\n".encode()
        if self._cursor:
            request += f"{HEADER_LAST_EVENT_ID}: ".encode() + self._cursor + b"\r\n"
        stream = Connection(self, endpoint, request + b"\r\n")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await loop.create_connection(lambda: stream, endpoint.host, endpoint.port)
        except (OSError, TimeoutError) as error:
            self._failed(type(error).__name__)
            return
        loop.call_later(HEAD_TIMEOUT_S, stream.time_out)

    def _failed(self, why: str) -> None:
        if not self._world.stopped:
            self._world.tally.failed(why)
            self._ask_again()

    def _ask_again(self) -> None:
        """Try again after `retry:`; a handover that still holds its old stream need not rush."""
        self._asking = True
        wait_s = self._retry_s if self._live is None else max(self._retry_s, HANDOVER_RETRY_S)
        asyncio.get_running_loop().call_later(wait_s, self.open)

    # Called by the connection.

    def on_connected(self, stream: Connection, position: bytes) -> None:
        """Live: the first time, after a move, or as the second half of a handover."""
        world, now = self._world, self._world.clock()
        world.tally.changed(now, stream.pod, 1)
        epoch, _, seq = position.rpartition(b"-")
        self._asking = False
        if self.receipts.first < 0:
            self.receipts.first = int(seq)
            world.epoch = world.epoch or epoch
        else:
            self.moves += 1
            offline = 0.0 if self._offline_s is None else now - self._offline_s
            world.tally.moved(now, offline)
        self._offline_s = None
        self._cursor = position
        old, self._live = self._live, stream
        if old is not None and old.pod == stream.pod:  # a handover that led nowhere: try again
            self._live = old
            stream.close()
        elif old is not None:
            old.close()

    def on_event(self, stream: Connection, identifier: bytes) -> None:
        """Check it: its place in the order, and whether it came before."""
        world = self._world
        epoch, _, seq = identifier.rpartition(b"-")
        self._cursor = identifier
        world.tally.received += 1
        if epoch != world.epoch:
            world.tally.foreign_events += 1
            return
        self.receipts.take(int(seq), world.clock())

    def on_position(self, identifier: bytes) -> None:
        """Resume from here."""
        self._cursor = identifier

    def on_gap(self) -> None:
        """Counted; what is missing shows against the ledger."""
        self._world.tally.gaps += 1

    def on_goodbye(self, stream: Connection) -> None:
        """A handover client opens its next stream now; the others wait for the end."""
        if self._handover and stream.established and not self._asking:
            self.open()

    def on_retry(self, retry_ms: int) -> None:
        """Sticky until the next one."""
        self._retry_s = retry_ms / 1000

    def on_end(self, stream: Connection, why: str) -> None:
        """A stream is over: count how, and come back unless dead or already on the way."""
        world, now = self._world, self._world.clock()
        if world.stopped:
            return
        if stream.established:
            world.tally.changed(now, stream.pod, -1)
        if stream is self._live:
            self._live = None
            self._offline_s = now
        self._count_end(stream, why)
        replaced = self._live is not None and not self._live.goodbye
        if self.dead or replaced or (stream.established and self._asking):
            return
        self._ask_again()

    def _count_end(self, stream: Connection, why: str) -> None:
        tally = self._world.tally
        if stream.status not in (0, 200):
            tally.non_200 += 1
        if stream.status != 0 and not stream.event_stream:
            tally.clients_dead += 1
            self.dead = True
        elif stream.established:
            replaced = self._live is not None and self._live is not stream
            if not stream.goodbye and not replaced:
                tally.cut_without_goodbye += 1
        elif stream.goodbye:
            tally.bounced += 1
        else:
            tally.failed(why)

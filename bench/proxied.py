"""The application behind the proxies of `bench.proxy`: streams at a given rate, and a large body.

As little work as Python allows, so that it keeps up with any proxy: ``GET /large`` answers with
`LARGE_BYTES`, ``GET /quiet`` with a stream of one event, everything else with one that goes on. It
prints its port and ends with its input.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop

EVENT = b"id: 1\ndata: " + b"x" * 86 + b"\n\n"
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
LARGE_BYTES = 256 << 20
SLICES = 20
"""Parts of an interval in which one after the other share of the streams gets its event."""

_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_PIECE = b"x" * (1 << 18)


class Connection(asyncio.Protocol):
    """One connection; its requests come whole and one after the other."""

    def __init__(self, streams: dict[asyncio.Transport, None]) -> None:
        self._streams = streams
        self._left = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request."""
        if data.startswith(b"GET /large "):
            self._left = LARGE_BYTES
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE_BYTES)
            self.resume_writing()
        else:
            self._transport.write(_STREAM + CHUNK)
            if not data.startswith(b"GET /quiet "):
                self._streams[self._transport] = None

    def pause_writing(self) -> None:
        """Wait."""
        self._paused = True

    def resume_writing(self) -> None:
        """Send more of the body."""
        self._paused = False
        while self._left and not self._paused:
            self._transport.write(_PIECE)
            self._left -= len(_PIECE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the stream."""
        self._streams.pop(self._transport, None)


async def _main(rate_per_s: float) -> None:
    streams: dict[asyncio.Transport, None] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(streams), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = loop.run_in_executor(None, sys.stdin.read)
    step_s = 1.0 / rate_per_s / SLICES
    number, due_s = 0, loop.time()
    while not ended.done():
        due_s = max(due_s + step_s, loop.time() - step_s)
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        number += 1
        for transport in list(streams)[number % SLICES :: SLICES]:
            transport.write(CHUNK)


if __name__ == "__main__":
    uvloop.run(_main(float(sys.argv[1])))

"""The anchor for new streams, in the same run: the least ASGI application that opens a stream.

Uvicorn, uvloop and httptools as under the engine, the head and the first bytes by `send`, and then
a task that waits for the client to go. What a stream costs here says how fast this machine is
today; no absolute figure of another machine does.

It answers every line on standard input with ``{"open": n}`` and ends when that does.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

import uvicorn
import uvloop

FIRST = b'retry: 1000\nid: e-1\nevent: connected\ndata: {"pod":"bench"}\n\n'
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"connection", b"close"),
]


class Streams:
    """The application; `open` counts its streams."""

    def __init__(self) -> None:
        self.open = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One stream, until its client goes."""
        self.open += 1
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": FIRST, "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self.open -= 1


async def _main() -> None:
    streams = Streams()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    config = uvicorn.Config(
        streams,
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
        backlog=4096,
    )
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    while await commands.readline():
        print(json.dumps({"open": streams.open}), flush=True)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    uvloop.run(_main())

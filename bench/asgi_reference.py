"""The anchor for new streams, in the same run: the least ASGI application that opens a stream.

Uvicorn, uvloop and httptools as under the engine, the head and the first bytes by `send`, and then
a task that waits for the client to go. What a stream costs here says how fast this machine is
today; no absolute figure of another machine does.

It answers every command with ``{"open": n}``.
"""

from __future__ import annotations

import socket
from typing import Any

import uvloop

from bench.child import BACKLOG, serve

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

    async def tell(_command: dict[str, Any]) -> dict[str, int]:
        return {"open": streams.open}

    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    await serve(streams, listener, tell, http="httptools")


if __name__ == "__main__":
    uvloop.run(_main())

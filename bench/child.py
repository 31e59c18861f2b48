"""What every server under test is around its application: uvicorn, and a line protocol.

It prints ``{"port": p}``, then answers each JSON line on standard input with one, and ends when
the input does.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

BACKLOG = 4096

Answer = Callable[[dict[str, Any]], Awaitable[Any]]


async def serve(app: Any, listener: socket.socket, answer: Answer, *, http: Any) -> None:
    """Serve the ASGI `app` on `listener` with the protocol `http`; `answer` gets the commands."""
    config = uvicorn.Config(
        app,
        http=http,
        lifespan="off",
        log_level="warning",
        access_log=False,
        backlog=BACKLOG,
    )
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    while line := await commands.readline():
        print(json.dumps(await answer(json.loads(line))), flush=True)
    server.should_exit = True
    await serving

"""One address in front of several pods, as a Service is: new connections go to the chosen pod."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from kit.forwarding import pass_on


class FrontDoor:
    """Passes bytes both ways; `target_port` may be changed for the connections to come."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(OSError):
            inner_reader, inner_writer = await asyncio.open_connection(
                "127.0.0.1", self.target_port
            )
            there = asyncio.create_task(pass_on(reader, inner_writer))
            back = asyncio.create_task(pass_on(inner_reader, writer))
            await asyncio.gather(there, back)
        writer.close()


@contextlib.asynccontextmanager
async def front_door(target_port: int) -> AsyncIterator[FrontDoor]:
    """Open a door until the block ends."""
    door = FrontDoor(target_port)
    server = await asyncio.start_server(door.handle, "127.0.0.1", 0)
    door.port = server.sockets[0].getsockname()[1]
    try:
        yield door
    finally:
        server.close()

"""Ports on loopback."""

from __future__ import annotations

import asyncio
import socket


def free_port() -> int:
    """A port that nothing listens on now, for programs that cannot take port 0."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def accepts(port: int) -> bool:
    """Whether a connection to the port succeeds."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True

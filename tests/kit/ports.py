"""Ports on loopback."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import socket

FIRST = 20_000
PER_PROCESS = 3_000
"""Each test process has its own range, below the ports that the kernel gives to connections and to
listeners on port 0, so that none is taken between the question and the program's start."""


def free_ports(count: int) -> list[int]:
    """Different ports that nothing listens on now, for programs that cannot take port 0."""
    first = FIRST + PER_PROCESS * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    candidates = random.sample(range(first, first + PER_PROCESS), PER_PROCESS)
    return list(itertools.islice(filter(_is_free, candidates), count))


def free_port() -> int:
    """One such port."""
    (port,) = free_ports(1)
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


async def accepts(port: int) -> bool:
    """Whether a connection to the port succeeds."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True

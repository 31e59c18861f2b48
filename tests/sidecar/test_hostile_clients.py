"""A real sidecar under clients that read nothing: its memory stays bounded, others are served."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

import pytest
from kit.memory import resident_bytes
from kit.sidecar_process import LIMIT_S, SidecarProcess

MIB = 2**20
BUDGET = 8 * MIB
RING = 6 * MIB
CLIENTS = 400


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's memory from /proc")
async def test_replays_that_are_not_read_stay_within_the_memory_of_streams() -> None:
    settings = {"TIDEGATE_MAX_STREAM_BYTES": str(BUDGET), "TIDEGATE_RING_BYTES": str(RING)}
    async with SidecarProcess(**settings) as sidecar:
        published = [await sidecar.publish("x" * 100_000) for _ in range(70)]
        oldest = published[20].json()["id"]
        honest = await sidecar.stream(path="/sse/subscribe/honest")
        pid = sidecar.process.pid
        before = resident_bytes(pid)
        async with contextlib.AsyncExitStack() as stack:
            for number in range(CLIENTS):
                await _replayer(stack, sidecar.listening["public"], number, oldest)
            await _until_ended(sidecar, CLIENTS // 4)
            # Twice: the allocator keeps what streams held that have been ended.
            assert resident_bytes(pid) - before < 2 * BUDGET
            await sidecar.publish("still live")
            await honest.until(b"data: still live")


async def _replayer(
    stack: contextlib.AsyncExitStack, port: int, number: int, event_id: str
) -> None:
    sock = stack.enter_context(socket.socket())
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", port))
    head = f"GET /sse/subscribe/{number} HTTP/1.1\r\nHost: x\r\nLast-Event-ID: {event_id}\r\n\r\n"
    await loop.sock_sendall(sock, head.encode())


async def _until_ended(sidecar: SidecarProcess, count: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            metrics = (await sidecar.get("admin", "/metrics")).text
            ended = metrics.partition('tidegate_streams_ended_total{cause="backlog"} ')[2]
            if ended and float(ended.partition("\n")[0]) >= count:
                return
            await asyncio.sleep(0.1)

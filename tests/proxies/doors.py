"""The documented proxies by name, and streams read through them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

from kit.raw_stream import RawStream
from kit.sidecar_process import SidecarProcess
from proxies.programs import haproxy, nginx

from tidegate.wire.decode import Comment, Decoder, Event, Item

AT_ONCE_S = 10.0
"""Far more than a busy machine needs, far less than any buffer or timeout of a proxy."""

ADDED_S = 0.1
"""The most that a proxy adds to the quickest of several events; HAProxy's coalescing adds 0.2 s."""


@contextlib.asynccontextmanager
async def door(
    kind: str, folder: Path, *sidecars: SidecarProcess, idle: str = "60s"
) -> AsyncIterator[int]:
    """The port of a proxy in front of two sidecars (of one: it stands twice)."""
    values = {}
    for number, sidecar in enumerate((sidecars * 2)[:2], start=1):
        values[f"STREAMS_{number}"] = f"127.0.0.1:{sidecar.listening['public']}"
        values[f"ADMIN_PORT_{number}"] = str(sidecar.listening["admin"])
    if kind == "haproxy":
        async with haproxy(values | {"IDLE_TIMEOUT": idle}) as port:
            yield port
    else:
        buffering = kind.removeprefix("nginx-buffering-")
        settings = f"proxy_buffering {buffering}; proxy_read_timeout {idle};"
        async with nginx(folder / kind, values, settings) as port:
            yield port


class Through:
    """One stream through a proxy."""

    def __init__(self) -> None:
        self.raw = RawStream()

    async def open(self, port: int, held_by: SidecarProcess) -> Through:
        """Ask for a stream; the connection is closed with the sidecar at the latest."""
        await self.raw.open(port, "/events")
        held_by.streams.append(self.raw)
        return self

    @property
    def head(self) -> str:
        return self.raw.received.partition(b"\r\n\r\n")[0].decode().lower()

    @property
    def items(self) -> list[Item]:
        return Decoder().feed(_dechunked(self.raw.received.partition(b"\r\n\r\n")[2]))

    @property
    def events(self) -> list[Event]:
        return [item for item in self.items if isinstance(item, Event)]

    @property
    def data(self) -> list[str]:
        return [event.data for event in self.events if event.type == "message"]

    @property
    def heartbeats(self) -> int:
        return sum(isinstance(item, Comment) for item in self.items)

    async def until_event(self, text: str) -> float:
        """Read until the text has come; returns how long that took."""
        start_s = time.monotonic()
        await self.raw.until(text.encode())
        return time.monotonic() - start_s

    async def until_over(self) -> bytes:
        """Read to the end of the answer, behind which a proxy may keep the connection."""
        while not (self.raw.ended or self.raw.is_complete):
            await self.raw.more()
        return self.raw.received

    async def until_heartbeats(self, count: int) -> None:
        while self.heartbeats < count:
            await self.raw.more()
            assert not self.raw.ended


@contextlib.asynccontextmanager
async def mute_reader(port: int, path: str) -> AsyncIterator[None]:
    """A client that asks for a stream and reads nothing of it."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(connection, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        yield


def _dechunked(body: bytes) -> bytes:
    out = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size or b"0", 16)
        if not length or len(rest) < length:
            break
        out, body = out + rest[:length], rest[length + 2 :]
    return out

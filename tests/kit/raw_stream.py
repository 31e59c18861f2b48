"""A raw HTTP/1.1 client for one event stream: it sees every byte, and reads only when asked."""

from __future__ import annotations

import asyncio
import contextlib

LIMIT_S = 30.0


class RawStream:
    """One connection; `received` is all that was read."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __init__(self) -> None:
        self.received = b""
        self.ended = False

    async def open(self, port: int, path: str, cursor: str | None = None) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        resume = f"Last-Event-ID: {cursor}\r\n" if cursor else ""
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\n{resume}\r\n".encode())
        await self.writer.drain()

    async def more(self, limit_s: float = LIMIT_S) -> None:
        piece = await asyncio.wait_for(self.reader.read(65536), limit_s)
        self.ended = not piece
        self.received += piece

    async def until(self, text: bytes) -> None:
        while text not in self.received:
            await self.more()
            assert not self.ended, self.received

    async def until_end(self) -> bytes:
        """Reads to the end; returns everything. The last chunk must be there: no cut."""
        while not self.ended:
            await self.more()
        return self.received

    @property
    def is_complete(self) -> bool:
        """Whether the body ended as chunked bodies end."""
        return self.received.endswith(b"0\r\n\r\n")

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

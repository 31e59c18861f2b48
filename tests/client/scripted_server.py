"""A small event-stream server on loopback that gives one scripted answer per connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from kit.waiting import until

Answer = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    """Request line, headers (names in lower case) and body, as bytes."""

    line: bytes
    headers: dict[bytes, bytes]
    body: bytes = b""


@dataclass
class ScriptedServer:
    """The n-th connection gets the n-th answer and then the last one; or what `choose` returns."""

    answers: tuple[Answer, ...]
    choose: Callable[[ScriptedServer], Answer] | None = None
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    open_count: int = 0
    sockets: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sockets += 1
        try:
            await self._converse(reader, writer)
        finally:
            self.sockets -= 1

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            line, *rest = head[:-4].split(b"\r\n")
            fields = (header.split(b": ", 1) for header in rest)
            headers = {name.lower(): value for name, value in fields}
            body = await reader.readexactly(int(headers.get(b"content-length", 0)))
            request = Request(line, headers, body)
            self.requests.append(request)
            self.open_count += 1
            try:
                await self._answer()(request, writer)
                await writer.drain()
                if not writer.is_closing():
                    await reader.read()
            finally:
                self.open_count -= 1
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def _answer(self) -> Answer:
        if self.choose is not None:
            return self.choose(self)
        return self.answers[min(len(self.requests), len(self.answers)) - 1]


@contextlib.asynccontextmanager
async def scripted(
    *answers: Answer, choose: Callable[[ScriptedServer], Answer] | None = None
) -> AsyncIterator[ScriptedServer]:
    """Serve these answers, or what `choose` returns for each request, until the block ends."""
    scripted_server = ScriptedServer(answers, choose)
    server = await asyncio.start_server(scripted_server.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    scripted_server.url = f"http://127.0.0.1:{port}/events"
    try:
        yield scripted_server
    finally:
        server.close()
        # A transport that is left open when the event loop ends is a warning in a later test; from
        # accepting a connection to its handler asyncio takes some turns.
        for _ in range(10):
            await asyncio.sleep(0)
        await until(lambda: scripted_server.sockets == 0)


def stream(*blocks: str) -> Answer:
    """A stream that stays open."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        writer.write("".join(blocks).encode())

    return answer


def ended(*blocks: str) -> Answer:
    """A stream that ends."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        await stream(*blocks)(request, writer)
        writer.close()

    return answer


def refused(status: int, header: str = "X-Nothing: 1") -> Answer:
    """No stream."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} No\r\n{header}\r\nContent-Length: 0\r\n".encode())
        writer.write(b"Connection: close\r\n\r\n")
        writer.close()

    return answer


def event(event_id: str, data: str = "x", kind: str = "message") -> str:
    """One event."""
    return f"id: {event_id}\nevent: {kind}\ndata: {data}\n\n"


def connected(pod: str, event_id: str, heartbeat_ms: int = 15_000) -> str:
    """The first event of a Tidegate stream."""
    data = {"pod": pod, "stream": "1", "heartbeat_ms": heartbeat_ms, "spread_ms": 0}
    return event(event_id, json.dumps(data), "connected")


def shutdown(event_id: str, after_ms: int = 0, deadline_ms: int = 5000) -> str:
    """A goodbye."""
    data = {"reason": "drain", "reconnect_after_ms": after_ms, "deadline_ms": deadline_ms}
    return event(event_id, json.dumps(data), "shutdown")

"""A proxy in the test's own loop, a scripted application behind it, and clients that see bytes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from kit.waiting import until

from tidegate.contract.proxy import ProxySettings
from tidegate.contract.settings import parse
from tidegate_process.descriptors import Descriptors
from tidegate_process.listeners import bind
from tidegate_sidecar.proxy.proxy import Proxy

LIMIT_S = 30.0


class Peer:
    """One connection, from either side; `received` is all that was read so far."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.received = b""

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def until(self, text: bytes) -> bytes:
        """Read until `text` has come; returns everything."""
        while text not in self.received:
            piece = await asyncio.wait_for(self.reader.read(65536), LIMIT_S)
            assert piece, self.received
            self.received += piece
        return self.received

    async def take(self, text: bytes) -> bytes:
        """Read until `text`; returns what came up to its end and forgets it."""
        await self.until(text)
        end = self.received.index(text) + len(text)
        taken, self.received = self.received[:end], self.received[end:]
        return taken

    async def exactly(self, count: int) -> bytes:
        while len(self.received) < count:
            piece = await asyncio.wait_for(self.reader.read(65536), LIMIT_S)
            assert piece, self.received
            self.received += piece
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    async def until_end(self) -> bytes:
        """Read to the end of the connection, by a reset, too; returns everything."""
        with contextlib.suppress(ConnectionError):
            while piece := await asyncio.wait_for(self.reader.read(65536), LIMIT_S):
                self.received += piece
        return self.received

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


Handler = Callable[[Peer], Awaitable[None]]


class World:
    """`proxy` with `app` as the handler of each of its connections to the application."""

    proxy: Proxy
    public: int

    def __init__(self) -> None:
        self.app: Handler = nothing
        self.connections = 0
        self.peers: list[Peer] = []
        self.failures: list[BaseException] = []

    async def client(self, *parts: bytes) -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.public))
        self.peers.append(peer)
        await peer.send(*parts)
        return peer


@contextlib.asynccontextmanager
async def serving(
    handler: Handler, failures: list[BaseException] | None = None
) -> AsyncIterator[int]:
    """A server with `handler` for each connection; gives its port, and waits for all of them."""
    active = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal active
        active += 1
        peer = Peer(reader, writer)
        try:
            await handler(peer)
        except ConnectionError:
            pass
        except AssertionError as error:
            if failures is None:
                raise
            failures.append(error)
        finally:
            await peer.close()
            active -= 1

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await until(lambda: not active)


async def nothing(_: Peer) -> None:
    """An application that hangs up."""


@contextlib.asynccontextmanager
async def world(**settings: str) -> AsyncIterator[World]:
    """A proxy with `settings` in front of a scripted application."""
    made = World()

    async def handle(peer: Peer) -> None:
        made.connections += 1
        await made.app(peer)

    async with serving(handle, made.failures) as upstream:
        texts = {"upstream": f"http://127.0.0.1:{upstream}", "linger_s": "0"}
        texts |= {"crash_spread_max_ms": "0"} | settings
        chosen, problems = parse(ProxySettings, texts)
        assert chosen is not None, problems
        listener = bind("127.0.0.1", 0, "port")
        made.public = listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        made.proxy = Proxy(chosen, listener, Descriptors(4096), time.monotonic, loop)
        await made.proxy.start()
        try:
            yield made
            assert not made.failures, made.failures
        finally:
            for peer in made.peers:
                await peer.close()
            await made.proxy.stop()


def get(path: str = "/", *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: shop.example", *headers]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


EVENTS = get("/events", "Accept: text/event-stream")

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def unchunk(received: bytes) -> bytes:
    """The payload of the chunks behind a head, as far as they are whole."""
    rest, payload = received.partition(b"\r\n\r\n")[2], b""
    while rest:
        line, found, behind = rest.partition(b"\r\n")
        if not found:
            break
        size = int(line, 16)
        payload, rest = payload + behind[:size], behind[size + 2 :]
    return payload

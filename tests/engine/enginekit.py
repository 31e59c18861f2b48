"""A real server around an engine, a raw client that sees every byte, and a fake transport."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

import uvicorn
from kit.waiting import until
from uvicorn.server import ServerState

from tidegate.auth.guard import Guard
from tidegate.contract.publish import To
from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate.drain.decision import Goodbye
from tidegate.stream.decisions import Accept, Recall
from tidegate.stream.log import EventLog, LogEntry
from tidegate.stream.requests import Recalled, StreamRequest
from tidegate.wire.decode import Decoder, Event, Item
from tidegate_sidecar.engine import Engine, tune_listener
from tidegate_sidecar.engine.stream import Stream

EVERYONE = To(everyone=True)
DRAIN = Goodbye("drain", 750, 5000)
TIMEOUT_S = 10.0


class Client:
    """A connection that keeps everything it receives."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.raw = b""
        self.ended = False
        self._task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await self.reader.read(1 << 16):
                self.raw += data
        self.ended = True

    @property
    def head(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[0].decode().lower()

    @property
    def status(self) -> int:
        return int(self.head.split()[1]) if self.head else 0

    @property
    def body(self) -> bytes:
        body = self.raw.partition(b"\r\n\r\n")[2]
        if "transfer-encoding: chunked" not in self.head:
            return body
        out = b""
        while body:
            size, found, rest = body.partition(b"\r\n")
            if not found or not int(size, 16):
                break
            out, body = out + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return out

    @property
    def ended_cleanly(self) -> bool:
        return self.ended and self.raw.endswith(b"0\r\n\r\n")

    @property
    def items(self) -> list[Item]:
        return Decoder().feed(self.body)

    @property
    def events(self) -> list[Event]:
        return [item for item in self.items if isinstance(item, Event)]

    def of(self, type_: str) -> list[Event]:
        return [event for event in self.events if event.type == type_]

    @property
    def data(self) -> list[str]:
        return [event.data for event in self.of("message")]

    async def connected(self) -> Client:
        await until(lambda: self.of("connected"))
        return self

    async def close(self) -> None:
        self.writer.close()
        self._task.cancel()
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await self._task
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


class Served:
    """An engine behind uvicorn on a free port."""

    def __init__(
        self, engine: Engine, log: EventLog, port: int, connections: Collection[Any]
    ) -> None:
        self.engine, self.log, self.port, self.connections = engine, log, port, connections
        self.clients: list[Client] = []
        self.mute: list[socket.socket] = []

    async def send(self, *parts: bytes) -> Client:
        """Connect and send `parts`, each in a packet of its own."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        sock = client.writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            client.writer.write(part)
            await client.writer.drain()
            await asyncio.sleep(0.005)
        return client

    async def get(
        self, path: str, *, method: str = "GET", version: str = "1.1", headers: str = ""
    ) -> Client:
        head = f"{method} {path} HTTP/{version}\r\nHost: x\r\n{headers}\r\n"
        return await self.send(head.encode())

    async def stream(self, path: str, **more: str) -> Client:
        return await (await self.get(path, **more)).connected()

    async def mute_stream(self, path: str, receive_buffer: int = 2048) -> socket.socket:
        """A stream whose client reads nothing, with the smallest buffer there is by default."""
        loop = asyncio.get_running_loop()
        before = self.engine.open_count
        sock = socket.socket()
        self.mute.append(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", self.port))
        await loop.sock_sendall(sock, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await until(lambda: self.engine.open_count > before)
        return sock

    def publish(self, data: str, to: To = EVERYONE, event: str | None = None) -> None:
        self.engine.reader.append(LogEntry(self.log.head + 1, to, data, event))

    async def stall(self, count: int = 1) -> None:
        """Publish until `count` streams have a full socket."""
        before = self.engine.counters["stalls"]
        for _ in range(5000):
            if self.engine.counters["stalls"] - before >= count:
                return
            self.publish("x" * 8192, event="filler")
            await self.engine.reader.caught_up()
        raise AssertionError("no stream has stalled")


@contextlib.asynccontextmanager
async def serving(
    streams: StreamSettings = StreamSettings(),
    limits: Limits = Limits(),
    *,
    way: str = "takeover",
    beside: Any = None,
    **ring: int,
) -> AsyncIterator[Served]:
    """Serve an engine, by takeover or (with h11, which has none) the ordinary way.

    uvicorn's protocols without its server, whose shutdown sleeps. `beside` is an ASGI app for
    ``/beside``.
    """
    log = EventLog("e", **ring)
    loop = asyncio.get_running_loop()
    engine = Engine(streams, limits, log, pod_name="web-1", clock=time.monotonic, loop=loop)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (beside if scope["path"] == "/beside" else engine.asgi_app)(scope, receive, send)

    http: Any = engine.protocol_class() if way == "takeover" else "h11"
    config = uvicorn.Config(app, http=http, lifespan="off", log_config=None)
    config.load()
    state = ServerState()

    def protocol() -> asyncio.Protocol:
        make: Any = config.http_protocol_class
        made: asyncio.Protocol = make(config, state, {}, loop)
        return made

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    tune_listener(listener, streams.write_timeout_s)
    server = await loop.create_server(protocol, sock=listener)
    engine.start()
    served = Served(engine, log, listener.getsockname()[1], state.connections)
    try:
        yield served
    finally:
        engine.stop()
        server.close()
        for sock in served.mute:
            sock.close()
        for client in served.clients:
            await client.close()
        await until(lambda: not state.connections and not state.tasks)
        await until(lambda: engine.lingering_count == 0)


class FakeSocketTransport(asyncio.Transport):
    """Just enough of a transport for uvicorn's protocol to be taken over."""

    def __init__(self) -> None:
        super().__init__()
        self.protocols: list[Any] = []
        self.written = b""

    @property
    def protocol(self) -> Any:
        return self.protocols[-1]

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def set_protocol(self, protocol: Any) -> None:
        self.protocols.append(protocol)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        self.written += data

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False


class FakeTransport:
    """A transport in memory; `fails` makes every write raise."""

    def __init__(self) -> None:
        self.written = b""
        self.buffered = 0
        self.fails = self.closed = self.aborted = False

    def write(self, data: bytes) -> None:
        if self.fails:
            raise RuntimeError("the transport is broken")
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def get_extra_info(self, name: str) -> Any:
        return None


class Bench:
    """An engine without a server, on `clock`, else on one that only `now` moves."""

    def __init__(
        self,
        streams: StreamSettings = StreamSettings(),
        limits: Limits = Limits(),
        clock: Callable[[], float] | None = None,
        guard: Guard | None = None,
        wall_clock: Callable[[], float] = time.time,
        **ring: int,
    ) -> None:
        self.now = 0.0
        self.log = EventLog("e", **ring)
        self.engine = Engine(
            streams,
            limits,
            self.log,
            pod_name="web-1",
            clock=clock or (lambda: self.now),
            loop=asyncio.get_running_loop(),
            guard=guard,
            wall_clock=wall_clock,
        )

    def open(
        self, target: str = "/events", last_event_id: str = ""
    ) -> tuple[Stream, FakeTransport]:
        path, _, query = target.encode().partition(b"?")
        request = StreamRequest("GET", "1.1", path, query, last_event_id.encode())
        accepted = self.engine.admission.decide(request, "takeover")
        if isinstance(accepted, Recall):
            known = accepted.answered(Recalled(newest=10**6))
            accepted = self.engine.admission.decide(known, "takeover")
        assert isinstance(accepted, Accept)
        transport = FakeTransport()
        stream = self.engine.admission.admit(transport, accepted)
        self.engine.admission.open_with(stream, accepted, b"")
        return stream, transport

    def publish(self, data: str, to: To = EVERYONE) -> None:
        self.engine.reader.append(LogEntry(self.log.head + 1, to, data))

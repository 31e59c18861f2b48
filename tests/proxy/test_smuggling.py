"""What reaches the application is what a strict reader of the client's bytes reads, or nothing.

The reader is h11, which shares no code with the proxy; it reads what the client sent and what the
application got. The corpus is made from a seed: heads and bodies in which framing, names, values
and line ends are bent in the ways in which readers are known to disagree.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any, cast

import h11

from tidegate.contract.proxy import ProxySettings
from tidegate.contract.settings import parse
from tidegate.proxy.kinds import Rules
from tidegate_process.limits import PortLimits
from tidegate_process.ports import Port, TimeLimit
from tidegate_sidecar.proxy.client import Client
from tidegate_sidecar.proxy.context import Context
from tidegate_sidecar.proxy.streams import ProxyStreams
from tidegate_sidecar.proxy.upstream import Upstream, Upstreams

HEADS, BODIES = 6000, 2000
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.sent += bytes(data)

    def close(self) -> None:
        self.closed = True

    abort = close
    write_eof = close

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        pass


class NoNetwork(Upstreams):
    """Connections to the application that keep what it gets."""

    made: list[Upstream]

    def take(self) -> Upstream | None:
        upstream = Upstream()
        upstream.connection_made(Wire())
        self.made.append(upstream)
        return upstream


class World:
    def __init__(self) -> None:
        settings, _ = parse(ProxySettings, {"upstream": "http://127.0.0.1:1"})
        assert settings is not None
        loop = asyncio.get_running_loop()
        self.upstreams = NoNetwork(settings.application, lambda: 0.0, loop)
        self.upstreams.made = []
        self.context = Context(
            settings,
            lambda: 0.0,
            loop,
            Port("public", PortLimits(connections=100_000), lambda: 0.0),
            ProxyStreams(lambda: 0.0),
            self.upstreams,
            connecting=TimeLimit(5, lambda: 0.0),
            silence=TimeLimit(600, lambda: 0.0),
            idle=TimeLimit(75, lambda: 0.0),
            queue=None,
            rules=Rules(),
        )

    async def received(self, parts: list[bytes]) -> bytes:
        """What the application gets when a client sends `parts`, and it answers each request."""
        self.upstreams.made.clear()
        client = Client(self.context)
        client.connection_made(Wire())
        for part in parts:
            client.data_received(part)
        for _ in range(4):
            for upstream in list(self.upstreams.made):
                if upstream.owner is not None and complete(cast("Wire", upstream.transport).sent):
                    upstream.data_received(ANSWER)
            await asyncio.sleep(0)
        client.connection_lost(None)
        return b"".join(cast("Wire", u.transport).sent for u in self.upstreams.made)


Message = tuple[bytes, bytes, bytes, bool]


def read(data: bytes) -> tuple[list[Message], bool]:
    """The requests in `data` as h11 reads them, each with whether it is whole, and whether it
    finds an error.
    """
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    found: list[Message] = []
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return found, True
        if isinstance(event, h11.Request):
            found.append((event.method, event.target, b"", False))
        elif isinstance(event, h11.Data):
            method, target, body, _ = found[-1]
            found[-1] = (method, target, body + bytes(event.data), False)
        elif isinstance(event, h11.EndOfMessage):
            found[-1] = (*found[-1][:3], True)
            if found[-1][0] == b"CONNECT":
                return found, False
            connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is h11.MUST_CLOSE:
                return found, False
            connection.start_next_cycle()
        else:
            return found, False


def complete(data: bytes) -> bool:
    found, _ = read(data)
    return bool(found) and found[-1][3]


LENGTHS = ["5", "05", "+5", "-5", "5,5", "5, 5", "0x5", "", "5 ", " 5", "5\t", "1_0", "5;", "５",
           "99999999999999999999", "0", "5\x0b", "5\x00"]  # fmt: skip
CODINGS = ["chunked", "Chunked", "CHUNKED", " chunked", "chunked ", "xchunked", "chunked, identity",
           "identity, chunked", "gzip, chunked", "chunked, chunked", "\x0bchunked", "chunked\x00",
           "identity", "", '"chunked"', "chunked;q=1", "chu nked"]  # fmt: skip
NAMES = ["{}"] * 24 + ["{} ", "{}\t", " {}", "\t{}", "x-{}", "{}\x00", "{}_", "{}\r", "\n{}"]
ENDS = ["\r\n"] * 80 + ["\n", "\r", "\r\r\n", "\n\r", "\r\n ", "\r\n\t", "\x00\r\n"]
OTHERS = ["Accept: */*", "Cookie: a=b", "Connection: close", "Connection: keep-alive",
          "Connection: transfer-encoding", "Connection: content-length, host",
          "Expect: 100-continue",
          "X: \x7f", "Upgrade: h2c", "TE: trailers", "Trailer: Content-Length", "X:", ":x", "X",
          "Keep-Alive: 5", "X-Forwarded-For: 1\r\n2", "Host : b"]  # fmt: skip
FIRST = ["POST / HTTP/1.1"] * 48 + ["GET / HTTP/1.1", "POST  / HTTP/1.1", "POST /\tHTTP/1.1",
         "POST / HTTP/1.0",
         "POST / HTTP/1.2", "POST / HTTP/2.0", "POST / http/1.1", "POST /a b HTTP/1.1", "POST /",
         "post / HTTP/1.1", "POST http://evil/ HTTP/1.1", "POST / HTTP/1.1 ", "P(ST / HTTP/1.1",
         "CONNECT a:1 HTTP/1.1", "OPTIONS * HTTP/1.1", "POST /#a HTTP/1.1", "POST /\x01 HTTP/1.1",
         " POST / HTTP/1.1", "POST / HTTP/11", "POST / HTTP/1.1.1", "HEAD / HTTP/1.1"]  # fmt: skip
BODY = ["hello", "5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n", ""]


def heads(rng: random.Random) -> Iterator[bytes]:
    for _ in range(HEADS):
        lines = [rng.choice(FIRST)]
        fields = [rng.choice(["Host: a"] * 18 + ["Host: b\r\nHost: a", "Host:", "X: y"])]
        for name, values in (("Content-Length", LENGTHS), ("Transfer-Encoding", CODINGS)):
            for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
                value = rng.choice([values[0]] * 24 + values)
                fields.append(f"{rng.choice(NAMES).format(name)}:{rng.choice(['', ' '])}{value}")
        fields += rng.sample(OTHERS, rng.choice([0, 0, 0, 1, 2]))
        rng.shuffle(fields)
        lines += fields
        text = "".join(line + rng.choice(ENDS) for line in lines) + rng.choice(ENDS[:81])
        yield text.encode() + rng.choice(BODY).encode() + SMUGGLED


SIZES = ["5", "05", "0x5", "+5", "-5", " 5", "5 ", "5;a", '5;a="b;c"', "5;a\rb", "5;\x00", "", "g",
         "5_",
         "fffffffffffffffff", "5;a=\n", "5\t", "5;" + "e" * 1500]  # fmt: skip
CHUNK_ENDS = ["\r\n"] * 80 + ["\n", "\r", "", "\r\r\n", "X\r\n", "\n\r\n"]
TRAILERS = ["", "", "", "A: b\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n",
            "A: b\n", "A : b\r\n", " A: b\r\n", "A\r\n", "A: \x00\r\n", "Host: evil\r\n",
            "A: b\r\n c\r\n"]  # fmt: skip


def bodies(rng: random.Random) -> Iterator[bytes]:
    head = b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    for _ in range(BODIES):
        text = ""
        for _ in range(rng.choice([1, 2, 3])):
            size = rng.choice(["5"] * 12 + SIZES)
            data = rng.choice(["hello"] * 6 + ["hell", "hello!", "0\r\n\r\n"])
            text += size + rng.choice(CHUNK_ENDS) + data + rng.choice(CHUNK_ENDS)
        text += rng.choice(["0", "0", "0", "00", "0;a", "", "0 "]) + rng.choice(CHUNK_ENDS)
        text += rng.choice(TRAILERS) + rng.choice(CHUNK_ENDS)
        yield head + text.encode() + SMUGGLED


def split(data: bytes, rng: random.Random) -> list[bytes]:
    cuts = sorted(rng.randrange(len(data)) for _ in range(rng.choice([0, 0, 1, 2, 5])))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


async def judged(cases: Iterator[bytes], rng: random.Random) -> tuple[int, int]:
    """How many cases reached the application, and how many not; fails for one that differs."""
    world, passed, refused = World(), 0, 0
    for case in cases:
        got = await world.received(split(case, rng))
        seen, broken = read(got)
        expected, _ = read(case)
        assert not broken, (case, got)
        passed, refused = passed + bool(seen), refused + (not seen)
        for at, (method, target, body, whole) in enumerate(seen):
            assert at < len(expected), (case, got)
            wanted = expected[at]
            assert (method, target) == wanted[:2], (case, got)
            assert wanted[2] == body if whole else wanted[2].startswith(body), (case, got)
    return passed, refused


async def test_no_head_is_read_in_two_ways() -> None:
    rng = random.Random(20261130)
    passed, refused = await judged(heads(rng), rng)
    assert passed > HEADS / 20
    assert refused > HEADS / 20


async def test_no_body_is_read_in_two_ways() -> None:
    rng = random.Random(1)
    passed, refused = await judged(bodies(rng), rng)
    assert passed + refused == BODIES
    assert passed > BODIES / 20

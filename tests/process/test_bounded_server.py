"""A real server within its port's bounds: nothing that a peer does or leaves out holds it up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator

import pytest
from kit.waiting import until
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tidegate.contract.errors import BackplaneUnavailableError, SettingsError
from tidegate_process.http import health_routes, make_app, read_body
from tidegate_process.limits import PortLimits
from tidegate_process.listeners import bind
from tidegate_process.logs import LIMITED, JsonLines
from tidegate_process.ports import Port
from tidegate_process.serving import Server

LIMIT_S = 20.0
LIVEZ = b"/livez"


class Peer:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def until_closed(self) -> bytes:
        async with asyncio.timeout(LIMIT_S):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read()
        return b""

    async def answer(self, request: bytes) -> tuple[int, bytes]:
        """One answer with a Content-Length."""
        self.writer.write(request)
        async with asyncio.timeout(LIMIT_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            return int(head.split()[1]), await self.reader.readexactly(int(length))


class Served:
    """The server under test and the peers it has."""

    def __init__(self, limits: PortLimits) -> None:
        self.refused: list[str] = []
        self.let_go = asyncio.Event()
        self.port = Port("test", limits, time.monotonic)
        self.number = 0
        self._peers: list[Peer] = []

    def app(self) -> ASGIApp:
        async def echo(request: Request) -> Response:
            return PlainTextResponse(await read_body(request, 1000, limit_s=0.3))

        async def origin(request: Request) -> Response:
            await read_body(request, 1000)
            return PlainTextResponse(request.headers.get("origin", "none"))

        async def held(_: Request) -> Response:
            await self.let_go.wait()
            return PlainTextResponse("at last")

        async def large(_: Request) -> Response:
            return PlainTextResponse("x" * 32 * 2**20)

        async def away(_: Request) -> Response:
            raise BackplaneUnavailableError("the log is away", 2.5)

        async def broken(_: Request) -> Response:
            raise ZeroDivisionError

        return make_app(
            [
                Route("/echo", echo, methods=["POST"]),
                Route("/origin", origin, methods=["POST"]),
                *(Route(f"/{page.__name__}", page) for page in (held, large, away, broken)),
                *health_routes({"/livez": lambda: None}, CollectorRegistry()),
            ],
            self.refused.append,
        )

    async def peer(self) -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.number))
        self._peers.append(peer)
        return peer

    async def get(self, path: str) -> tuple[int, bytes]:
        return await (await self.peer()).answer(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    async def until_refused(self, reason: str) -> None:
        await until(lambda: self.port.refused[reason])

    async def close(self) -> None:
        self.let_go.set()
        for peer in self._peers:
            peer.writer.close()
            with contextlib.suppress(OSError):
                await peer.writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(**limits: object) -> AsyncIterator[Served]:
    served = Served(PortLimits(**{"connections": 100, **limits}))  # type: ignore[arg-type]
    server = Server(served.app(), bind("127.0.0.1", 0, "TEST"), served.port)
    served.number = await server.start()
    try:
        yield served
    finally:
        await served.close()
        await server.stop()


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nHost: te", b"\r\n"])
async def test_a_head_that_does_not_come_ends_the_connection(sent: bytes) -> None:
    async with serving(head_s=0.2) as served:
        peer = await served.peer()
        peer.writer.write(sent)
        assert await peer.until_closed() == b""
        assert served.port.refused == {"slow_head": 1}
        assert served.port.count == 0


@pytest.mark.parametrize("ends", [b"", b"\r\n\r\n"], ids=["unfinished", "whole"])
async def test_a_large_head_is_431(ends: bytes) -> None:
    async with serving(head_bytes=1000) as served:
        peer = await served.peer()
        peer.writer.write(b"GET /livez HTTP/1.1\r\nX: " + b"x" * 2000 + ends)
        answer = await peer.until_closed()
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "headers_too_large"
        assert served.port.refused == {"large_head": 1}


async def test_many_small_headers_are_431() -> None:
    async with serving(headers=20) as served:
        peer = await served.peer()
        peer.writer.write(b"GET /livez HTTP/1.1\r\n" + b"a:b\r\n" * 30)
        answer = await peer.until_closed()
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "too_many_headers"
        assert served.port.refused == {"many_headers": 1}


async def test_half_sent_bodies_share_one_budget() -> None:
    async with serving(body_bytes=4000) as served:
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        for _ in range(20):
            (await served.peer()).writer.write(head + b"a" * 900)
        await until(lambda: served.port.refused["body_bytes"] >= 16)
        assert served.port.body_bytes <= 4000
        assert (await (await served.peer()).answer(ECHO + b"a"))[0] == 200


async def test_a_trailer_adds_no_header_to_the_request() -> None:
    async with serving() as served:
        peer = await served.peer()
        peer.writer.write(b"POST /origin HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert await peer.answer(b"1\r\na\r\n0\r\nOrigin: http://evil\r\n\r\n") == (200, b"none")


async def test_a_slow_body_is_408_and_a_long_one_413() -> None:
    async with serving() as served:
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n"
        status, body = await (await served.peer()).answer(head + b"a")
        assert (status, json.loads(body)["error"]) == (408, "slow_body")
        status, body = await (await served.peer()).answer(head + b"a" * 2000)
        assert (status, json.loads(body)["error"]) == (413, "body_too_large")
        assert served.refused == ["slow_body", "body_too_large"]


async def test_a_body_that_drips_on_after_the_answer_ends_the_connection() -> None:
    async with serving(request_s=0.5) as served:
        peer = await served.peer()
        head = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        assert (await peer.answer(head))[0] == 404

        def dripped_until_ended() -> bool:
            peer.writer.write(b"x")
            return served.port.count == 0

        await until(dripped_until_ended, every_s=0.05)
        assert served.port.refused == {"slow_body": 1}


async def test_an_answer_that_is_not_read_ends_the_connection() -> None:
    async with serving(write_s=0.3) as served:
        peer = await served.peer()
        peer.writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.until_refused("unread_answer")
        await until(lambda: served.port.count == 0)


async def test_a_port_full_of_silent_connections_serves_a_new_one() -> None:
    async with serving(connections=10) as served:
        silent = [await served.peer() for _ in range(30)]
        assert (await served.get("/livez"))[0] == 200
        assert served.port.count <= 10
        assert await silent[0].until_closed() == b""


async def test_a_port_full_of_held_requests_answers_a_probe_and_refuses_others() -> None:
    async with serving(connections=4, kept=2, kept_paths=frozenset({LIVEZ})) as served:
        for _ in range(2):
            (await served.peer()).writer.write(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: len(served.port._busy) == 2)
        status, body = await served.get("/held")
        assert (status, json.loads(body)["error"]) == (503, "busy")
        assert (await served.get("/livez"))[0] == 200
        served.let_go.set()
        assert (await served.get("/held"))[0] == 200


async def test_what_is_not_http_is_400_in_json() -> None:
    async with serving() as served:
        peer = await served.peer()
        peer.writer.write(b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
        answer = await peer.until_closed()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "bad_request"
        assert served.port.refused == {"not_http": 1}


ECHO = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"


async def test_a_request_that_waits_behind_another_is_answered_in_order() -> None:
    async with serving() as served:
        peer = await served.peer()
        served.let_go.set()
        peer.writer.write(ECHO + b"a" + b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [(await peer.answer(b""))[1] for _ in range(2)] == [b"a", b"at last"]
        assert (await peer.answer(ECHO + b"c"))[1] == b"c"
        assert served.port.refused == {}


async def test_of_many_requests_at_once_a_single_one_waits_and_the_rest_is_dropped() -> None:
    async with serving() as served:
        peer = await served.peer()
        peer.writer.write(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
        peer.writer.write(b"".join(ECHO + b"%d" % (n % 10) for n in range(500)))
        await asyncio.sleep(0.05)
        served.let_go.set()
        assert (await peer.answer(b""))[1] == b"at last"
        assert (await peer.answer(b""))[1] == b"0"
        assert await peer.until_closed() == b""
        assert served.port.refused == {"pipelined": 1}


@pytest.mark.parametrize("part", [b"0\r\nX-1: ", b"1;x="], ids=["trailer", "chunk extension"])
async def test_a_trailer_or_chunk_head_without_end_closes_the_connection(part: bytes) -> None:
    async with serving() as served:
        peer = await served.peer()
        peer.writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.writer.write(b"1\r\na\r\n" + part)
        closed = asyncio.create_task(peer.until_closed())
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                peer.writer.write(b"y" * 8192)
                await peer.writer.drain()
                if closed.done():
                    break
        await closed
        assert served.port.refused == {"not_http": 1}


async def test_a_body_in_many_small_chunks_is_read() -> None:
    async with serving() as served:
        peer = await served.peer()
        peer.writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"1;" + b"x" * 200 + b"\r\na\r\n"
        assert (await peer.answer(chunk * 500 + b"0\r\nX-1: y\r\n\r\n")) == (200, b"a" * 500)


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/nowhere", 404, "not_found"),
        ("/livez/", 404, "not_found"),
        ("/echo", 405, "bad_method"),
        ("/away", 503, "unavailable"),
        ("/broken", 500, "internal"),
    ],
)
async def test_every_error_is_json_and_counted(path: str, status: int, error: str) -> None:
    async with serving() as served:
        answered, body = await served.get(path)
        assert (answered, json.loads(body)["error"]) == (status, error)
        assert set(json.loads(body)) == {"error", "detail", "field"}
        assert served.refused == [error]


async def test_a_failure_of_ours_is_one_record(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as served:
        assert (await served.get("/broken"))[0] == 500
    (failure,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert failure.name == LIMITED
    assert "ZeroDivisionError" in JsonLines().format(failure)


def test_a_taken_port_names_its_setting() -> None:
    with contextlib.closing(bind("127.0.0.1", 0, "FIRST")) as first:
        port = first.getsockname()[1]
        with pytest.raises(
            SettingsError, match=rf"SECOND: cannot listen on 127\.0\.0\.1 port {port}"
        ):
            bind("127.0.0.1", port, "SECOND")

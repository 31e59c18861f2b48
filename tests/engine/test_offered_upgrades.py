"""An offered upgrade is ignored (RFC 9110, 7.8); Java's HttpClient sends one with each request."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from engine.enginekit import serving
from kit.waiting import until

Run = Callable[[Any], None]

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    names = sorted(name.decode() for name, _ in scope["headers"])
    answer = json.dumps([scope["method"], body.decode(), names]).encode()
    headers = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@pytest.mark.parametrize("offer", [OFFER, WEBSOCKET], ids=["h2c", "websocket"])
@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_a_stream_that_is_asked_for_with_an_offer_is_taken_over(
    run: Run, offer: bytes, pieces: int
) -> None:
    async def main() -> None:
        async with serving() as served:
            head = b"GET /events HTTP/1.1\r\nHost: x\r\n" + offer + b"\r\n"
            size = -(-len(head) // pieces)
            parts = [head[at : at + size] for at in range(0, len(head), size)]
            client = await (await served.send(*parts)).connected()
            assert served.engine.counters["deferred"] == 0
            served.publish("x")
            await until(lambda: client.data == ["x"])

    run(main())


@pytest.mark.parametrize("together", [True, False], ids=["in one packet", "body follows"])
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "length"])
def test_a_body_behind_an_offer_is_read(run: Run, together: bool, chunked: bool) -> None:
    async def main() -> None:
        async with serving(beside=echo) as served:
            length = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: 3\r\n"
            head = b"POST /beside HTTP/1.1\r\nHost: x\r\n" + OFFER + length + b"\r\n"
            body = b"3\r\nabc\r\n0\r\n\r\n" if chunked else b"abc"
            parts = [head + body] if together else [head, body]
            client = await served.send(*parts)
            await until(lambda: client.raw.endswith(b"]"))
            method, got, names = json.loads(client.raw.partition(b"\r\n\r\n")[2])
            assert (method, got) == ("POST", "abc")
            assert "host" in names
            assert "upgrade" not in names

    run(main())


def test_requests_that_follow_on_the_connection_are_served(run: Run) -> None:
    async def main() -> None:
        async with serving(beside=echo) as served:
            post = b"POST /beside HTTP/1.1\r\nHost: x\r\n" + OFFER + b"Content-Length: 3\r\n\r\nabc"
            client = await served.send(post + post.replace(b"abc", b"def"))
            await until(lambda: client.raw.count(b"HTTP/1.1 200") == 2)
            client.writer.write(post)
            await until(lambda: client.raw.count(b"HTTP/1.1 200") == 3)
            await until(lambda: client.raw.endswith(b"]"))
            assert client.raw.count(b'"abc"') == 2
            assert client.raw.count(b'"def"') == 1
            client.raw = b""
            client.writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n" + OFFER + b"\r\n")
            await client.connected()

    run(main())


def test_connect_is_answered_and_does_not_hold_the_loop(run: Run) -> None:
    async def main() -> None:
        async with serving(beside=echo) as served:
            client = await served.send(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: client.raw)
            assert (await served.stream("/events")).status == 200
            await asyncio.sleep(0)

    run(main())

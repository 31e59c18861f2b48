"""Ordinary requests are passed on whole, both ways, and every failure has an answer."""

from __future__ import annotations

import asyncio
import json

import pytest
from kit.waiting import until
from proxy.behind import Peer, chunk, get, world


async def test_an_answer_is_passed_on_as_it_came_and_the_connection_is_kept() -> None:
    async with world() as w:

        async def app(peer: Peer) -> None:
            for _ in range(2):
                head = await peer.take(b"\r\n\r\n")
                assert b"Host: shop.example\r\n" in head
                assert b"X-Forwarded-For: 127.0.0.1\r\n" in head
                await peer.send(
                    b"HTTP/1.1 201 Made\r\nX-Own: a b\r\nContent-Length: 5\r\n\r\nhello"
                )

        w.app = app
        client = await w.client(get("/a?b=c"))
        answer = await client.take(b"hello")
        assert answer == b"HTTP/1.1 201 Made\r\nX-Own: a b\r\nContent-Length: 5\r\n\r\nhello"
        await client.send(get("/again"))
        await client.take(b"hello")
        assert w.connections == 1


async def test_chunks_and_trailers_come_through() -> None:
    body = chunk(b"one") + chunk(b"two") + b"0\r\nDigest: x\r\n\r\n"
    async with world() as w:

        async def app(peer: Peer) -> None:
            await peer.take(b"\r\n\r\n")
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            await peer.send(head, body[:4], body[4:9])
            await peer.send(body[9:])

        w.app = app
        client = await w.client(get())
        answer = await client.until(b"Digest: x\r\n\r\n")
        assert b"one" in answer
        assert b"two" in answer
        assert answer.endswith(b"0\r\nDigest: x\r\n\r\n")


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_large_body_goes_up_and_an_answer_of_its_size_comes_down(framing: str) -> None:
    size = 3_000_000
    async with world() as w:

        async def app(peer: Peer) -> None:
            await peer.take(b"\r\n\r\n")
            received = b""
            if framing == "length":
                received = await peer.exactly(size)
            else:
                while True:
                    line = await peer.take(b"\r\n")
                    received += await peer.exactly(int(line, 16))
                    await peer.take(b"\r\n")
                    if line == b"0\r\n":
                        break
            assert received == b"u" * size
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, b"d" * size)

        w.app = app
        if framing == "length":
            client = await w.client(get("/", f"Content-Length: {size}", method="POST"))
            await client.send(b"u" * size)
        else:
            client = await w.client(get("/", "Transfer-Encoding: chunked", method="POST"))
            for start in range(0, size, 100_000):
                await client.send(chunk(b"u" * min(100_000, size - start)))
            await client.send(b"0\r\n\r\n")
        await client.take(b"\r\n\r\n")
        assert await client.exactly(size) == b"d" * size


async def test_an_application_that_is_away_is_a_502_that_says_so() -> None:
    async with world(upstream="http://127.0.0.1:1") as w:
        client = await w.client(get())
        answer = await client.until_end()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 502 ")
        assert json.loads(body)["error"] == "application_away"


async def test_an_application_that_hangs_up_is_a_502_and_the_request_is_not_sent_again() -> None:
    async with world() as w:

        async def app(peer: Peer) -> None:
            await peer.take(b"\r\n\r\n")

        w.app = app
        client = await w.client(get())
        assert (await client.until_end()).startswith(b"HTTP/1.1 502 ")
        assert w.connections == 1


async def test_a_silent_application_is_a_504() -> None:
    async with world(answer_timeout_s="1") as w:

        async def app(peer: Peer) -> None:
            await peer.until_end()

        w.app = app
        client = await w.client(get())
        assert (await client.until_end()).startswith(b"HTTP/1.1 504 ")


async def test_a_client_that_is_gone_takes_its_connection_to_the_application_with_it() -> None:
    ended = asyncio.Event()
    async with world() as w:

        async def app(peer: Peer) -> None:
            await peer.take(b"\r\n\r\n")
            await peer.until_end()
            ended.set()

        w.app = app
        client = await w.client(get())
        await until(lambda: w.connections)
        await client.close()
        await asyncio.wait_for(ended.wait(), 30)


async def test_an_interim_answer_is_passed_on_and_the_body_follows_it() -> None:
    async with world() as w:

        async def app(peer: Peer) -> None:
            head = await peer.take(b"\r\n\r\n")
            assert b"Expect: 100-continue" in head
            assert peer.received == b""
            await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert await peer.exactly(4) == b"body"
            await peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        w.app = app
        client = await w.client(
            get("/", "Content-Length: 4", "Expect: 100-continue", method="POST")
        )
        await client.take(b"HTTP/1.1 100 Continue\r\n\r\n")
        await client.send(b"body")
        assert b"103 Early Hints" in await client.until(b"\r\n\r\nok")


async def test_an_answer_before_the_bodys_end_is_read_though_the_rest_still_comes() -> None:
    async with world() as w:

        async def app(peer: Peer) -> None:
            await peer.take(b"\r\n\r\n")
            await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            await peer.until_end()

        w.app = app
        client = await w.client(get("/", "Content-Length: 9000000", method="POST"))
        await client.send(b"x" * 100)
        assert (await client.until_end()).endswith(b"\r\n\r\nno")


async def test_head_and_bodiless_statuses_leave_the_connection_in_step() -> None:
    async with world() as w:

        async def app(peer: Peer) -> None:
            await peer.take(b"\r\n\r\n")
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
            await peer.take(b"\r\n\r\n")
            await peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
            await peer.take(b"\r\n\r\n")
            await peer.send(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n")
            await peer.take(b"\r\n\r\n")
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        w.app = app
        client = await w.client(get(method="HEAD"), get(), get())
        await client.send(get())
        assert (await client.until(b"ok")).count(b"HTTP/1.1 ") == 4
        assert w.connections == 1


async def test_an_http_1_0_client_gets_no_chunks() -> None:
    async with world() as w:

        async def app(peer: Peer) -> None:
            await peer.take(b"\r\n\r\n")
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            await peer.send(head + chunk(b"one") + chunk(b"two") + b"0\r\n\r\n")

        w.app = app
        client = await w.client(get(version="1.0"))
        answer = await client.until_end()
        assert answer.endswith(b"\r\n\r\nonetwo")
        assert b"ransfer-" not in answer


async def test_an_answer_that_stops_short_is_seen_as_such() -> None:
    async with world() as w:

        async def app(peer: Peer) -> None:
            await peer.take(b"\r\n\r\n")
            await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"a"))

        w.app = app
        client = await w.client(get())
        assert not (await client.until_end()).endswith(b"0\r\n\r\n")


async def test_an_upgrade_is_a_tunnel() -> None:
    async with world() as w:

        async def app(peer: Peer) -> None:
            head = await peer.take(b"\r\n\r\n")
            assert b"Upgrade: websocket\r\n" in head
            assert b"Connection: Upgrade\r\n" in head
            await peer.send(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\nhi")
            assert await peer.exactly(5) == b"\x81\x00abc"
            await peer.send(b"bye")

        w.app = app
        client = await w.client(get("/ws", "Connection: Upgrade", "Upgrade: websocket"))
        assert (await client.until(b"hi")).startswith(b"HTTP/1.1 101 Switching\r\n")
        await client.send(b"\x81\x00abc")
        assert (await client.until_end()).endswith(b"bye")


async def test_fields_of_one_connection_stay_on_it_and_reports_of_strangers_are_replaced() -> None:
    heads: list[bytes] = []
    async with world() as w:

        async def app(peer: Peer) -> None:
            heads.append(await peer.take(b"\r\n\r\n"))
            await peer.send(
                b"HTTP/1.1 200 OK\r\nConnection: X-Private, keep-alive\r\nX-Private: 1\r\n"
                b"Keep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok"
            )

        w.app = app
        client = await w.client(
            get(
                "/", "Connection: X-Mine, Host", "X-Mine: 1", "TE: trailers", "Keep-Alive: 5",
                "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "Forwarded: for=1.2.3.4",
                "Upgrade: h2c", "Cookie: a=b",
            )
        )  # fmt: skip
        answer = await client.until(b"ok")
        assert b"X-Private" not in answer
        assert b"Keep-Alive" not in answer
    (head,) = heads
    for kept in (b"Host: shop.example\r\n", b"Cookie: a=b\r\n", b"X-Forwarded-For: 127.0.0.1\r\n"):
        assert kept in head
    for gone in (b"X-Mine", b"TE:", b"1.2.3.4", b"h2c", b"https"):
        assert gone not in head


async def test_reports_of_trusted_peers_are_passed_on_with_the_peer_behind_them() -> None:
    heads: list[bytes] = []
    async with world(trusted_proxies="10.0.0.0/8, 127.0.0.0/8") as w:

        async def app(peer: Peer) -> None:
            heads.append(await peer.take(b"\r\n\r\n"))
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        w.app = app
        client = await w.client(
            get("/", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "Forwarded: for=_a")
        )
        await client.until(b"ok")
    (head,) = heads
    assert b"X-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n" in head
    assert b"X-Forwarded-Proto: https\r\n" in head
    assert b"Forwarded: for=_a, for=127.0.0.1\r\n" in head


async def test_a_head_is_bounded_in_bytes_and_fields() -> None:
    async with world(max_header_bytes="4096") as w:
        large = await w.client(get("/", "X: " + "x" * 5000))
        assert (await large.until_end()).startswith(b"HTTP/1.1 431 ")
        many = await w.client(get("/", *["A: b"] * 200))
        assert (await many.until_end()).startswith(b"HTTP/1.1 431 ")
        assert w.proxy.port.refused == {"large_head": 1, "many_headers": 1}
        assert w.connections == 0


async def test_a_slow_head_is_ended_and_a_slow_body_too() -> None:
    async with world(header_timeout_s="0.5", body_timeout_s="1") as w:

        async def app(peer: Peer) -> None:
            await peer.until_end()

        w.app = app
        slow_head = await w.client(b"GET / HT")
        slow_body = await w.client(get("/", "Content-Length: 10", method="POST"), b"12")
        await slow_head.until_end()
        await slow_body.until_end()
        assert w.proxy.port.refused == {"slow_head": 1, "slow_body": 1}


async def test_the_application_is_not_read_while_the_client_does_not_read() -> None:
    sent = 0
    async with world() as w:

        async def app(peer: Peer) -> None:
            nonlocal sent
            await peer.take(b"\r\n\r\n")
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 400000000\r\n\r\n")
            while True:
                await peer.send(b"x" * 1_000_000)
                sent += 1

        w.app = app
        client = await w.client(get())
        await client.until(b"\r\n\r\n")
        before = -1
        while sent != before:  # until it has come to a stand
            before = sent
            await asyncio.sleep(0.3)
        assert sent < 100

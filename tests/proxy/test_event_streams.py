"""Event streams: the application's bytes unchanged, ours only between two events."""

from __future__ import annotations

import asyncio
import re

import pytest
from kit.waiting import until
from proxy.behind import EVENTS, STREAM, Handler, Peer, World, chunk, get, unchunk, world

from tidegate.drain.decision import Goodbye

GOODBYE = (
    b"retry: 100\nevent: shutdown\n"
    b'data: {"reason":"drain","reconnect_after_ms":100,"deadline_ms":0}\n\n'
)


def streaming(*parts: bytes, head: bytes = STREAM) -> Handler:
    """An application that sends `parts`, each as it is, and then keeps the stream open."""

    async def app(peer: Peer) -> None:
        await peer.take(b"\r\n\r\n")
        await peer.send(head)
        for part in parts:
            await peer.send(part)
            await asyncio.sleep(0.02)
        await peer.until_end()

    return app


def let_go(w: World, count: int = 1) -> int:
    return w.proxy.streams.let_go(count, Goodbye("drain", 100, 0))


async def until_open(w: World, count: int = 1) -> None:
    await until(lambda: w.proxy.streams.open_count == count)


async def test_a_stream_begins_with_retry_and_ends_with_a_goodbye_behind_an_event() -> None:
    async with world() as w:
        w.app = streaming(chunk(b"id: 1\ndata: a\n\n"), chunk(b"data: b\n\n"))
        client = await w.client(EVENTS)
        head = await client.until(b"data: b\n\n\r\n")
        assert b"\r\nConnection: close\r\n" in head
        assert let_go(w) == 1
        received = await client.until_end()
        assert received.endswith(b"\r\n0\r\n\r\n")
        payload = unchunk(received)
        assert payload == b"retry: 1000\nid: 1\ndata: a\n\ndata: b\n\n" + GOODBYE
        assert dict(w.proxy.streams.ended_total) == {"drain": 1}
        assert w.proxy.streams.open_count == 0


@pytest.mark.parametrize("head", [STREAM, STREAM.replace(b"Transfer-Encoding: chunked\r\n", b"")])
async def test_a_goodbye_waits_for_the_end_of_the_event_under_way(head: bytes) -> None:
    go_on = asyncio.Event()
    framed = chunk if b"chunked" in head else bytes

    async def app(peer: Peer) -> None:
        await peer.take(b"\r\n\r\n")
        await peer.send(head, framed(b"data: a\n\ndata: ha"))
        await go_on.wait()
        await peer.send(framed(b"lf\n\ndata: never\n\n"))
        await peer.until_end()

    async with world() as w:
        w.app = app
        client = await w.client(EVENTS)
        await client.until(b"data: ha")
        await until_open(w)
        assert let_go(w) == 1
        assert (w.proxy.streams.open_count, w.proxy.streams.lingering_count) == (0, 1)
        go_on.set()
        payload = unchunk(await client.until_end())
        assert payload == b"retry: 1000\ndata: a\n\ndata: half\n\n" + GOODBYE


async def test_an_event_that_never_ends_is_left_without_a_goodbye_in_it() -> None:
    async with world() as w:
        w.app = streaming(chunk(b"data: a\n\ndata: ha"))
        client = await w.client(EVENTS)
        await client.until(b"data: ha")
        await until_open(w)
        let_go(w)
        received = await client.until_end()
        assert unchunk(received) == b"retry: 1000\ndata: a\n\ndata: ha"
        assert received.endswith(b"0\r\n\r\n")
        assert w.proxy.streams.counts.cut_mid_event == 1


async def test_a_large_chunk_in_parts_may_be_left_inside() -> None:
    events = b"".join(b"data: %d\n\n" % i for i in range(1000))
    whole = chunk(events)
    async with world() as w:
        w.app = streaming(whole[:3], whole[3:5000], whole[5000:5001])
        client = await w.client(EVENTS)
        await until(lambda: w.proxy.streams.open_count)
        await client.until(whole[4980:5000])
        let_go(w)
        payload = unchunk(await client.until_end())
        assert payload.startswith(b"retry: 1000\ndata: 0\n\ndata: 1\n\n")


async def test_a_byte_order_mark_stays_in_front() -> None:
    async with world() as w:
        w.app = streaming(chunk(b"\xef\xbb\xbfdata: a\n\n"))
        client = await w.client(EVENTS)
        payload = unchunk(await client.until(b"data: a\n\n\r\n"))
        assert payload == b"\xef\xbb\xbfretry: 1000\ndata: a\n\n"


async def test_silence_is_filled_with_comments_between_events_only() -> None:
    async with world(heartbeat_s="1") as w:
        w.app = streaming(chunk(b"data: a\n\n"))
        client = await w.client(EVENTS)
        payload = unchunk(await client.until(b":\n"))
        assert payload == b"retry: 1000\ndata: a\n\n:\n"
        w.app = streaming()
        silent = await w.client(EVENTS)
        assert unchunk(await silent.until(b":\n")) == b"retry: 1000\n:\n"
        w.app = streaming(chunk(b"data: ha"))
        within = await w.client(EVENTS)
        await within.until(b"data: ha")
        beats = w.proxy.streams.counts.heartbeats
        await until(lambda: w.proxy.streams.counts.heartbeats >= beats + 2)
        assert b":\n" not in unchunk(within.received)


async def test_a_finite_answer_is_byte_for_byte_what_the_application_sent() -> None:
    answer = b"".join(chunk(b'data: {"n":%d}\n\n' % i) for i in range(20)) + b"0\r\n\r\n"
    async with world(heartbeat_s="1") as w:

        async def app(peer: Peer) -> None:
            await peer.take(b"\r\n\r\n")
            await peer.send(STREAM)
            for i in range(0, len(answer), 7):
                await peer.send(answer[i : i + 7])
                await asyncio.sleep(0)

        w.app = app
        client = await w.client(get("/chat", "Accept: text/event-stream", method="POST"))
        received = await client.until(b"0\r\n\r\n")
        assert unchunk(received) == unchunk(STREAM + answer)
        assert w.proxy.streams.arrived_total == 0


async def test_compressed_streams_are_not_asked_for_and_end_at_their_slot_untouched() -> None:
    async with world() as w:
        heads: list[bytes] = []

        async def app(peer: Peer) -> None:
            heads.append(await peer.take(b"\r\n\r\n"))
            await peer.send(STREAM[:-2] + b"Content-Encoding: gzip\r\n\r\n", chunk(b"\x1f\x8b\n\n"))
            await peer.until_end()

        w.app = app
        client = await w.client(get("/", "Accept: text/event-stream", "Accept-Encoding: gzip"))
        await client.until(b"\x1f\x8b\n\n")
        let_go(w)
        assert unchunk(await client.until_end()) == b"\x1f\x8b\n\n"
        assert b"ccept-" not in heads[0].replace(b"Accept: text", b"")


async def test_an_application_that_is_gone_ends_an_open_stream_cleanly() -> None:
    async with world() as w:

        async def app(peer: Peer) -> None:
            await peer.take(b"\r\n\r\n")
            await peer.send(STREAM, chunk(b"data: a\n\n"))
            peer.writer.transport.abort()

        w.app = app
        client = await w.client(EVENTS)
        received = await client.until_end()
        assert received.endswith(b"\r\n0\r\n\r\n")
        assert unchunk(received) == b"retry: 1000\ndata: a\n\nretry: 1000\n\n"


async def test_a_client_that_is_gone_ends_its_stream_at_the_application() -> None:
    ended = asyncio.Event()

    async with world() as w:

        async def app(peer: Peer) -> None:
            await peer.take(b"\r\n\r\n")
            await peer.send(STREAM)
            await peer.until_end()
            ended.set()

        w.app = app
        client = await w.client(EVENTS)
        await until_open(w)
        await client.close()
        await asyncio.wait_for(ended.wait(), 30)
        assert dict(w.proxy.streams.ended_total) == {"client": 1}


async def test_a_client_that_reads_nothing_is_ended_and_holds_up_no_other() -> None:
    async with world(write_timeout_s="1") as w:

        async def app(peer: Peer) -> None:
            await peer.take(b"\r\n\r\n")
            await peer.send(STREAM)
            while True:
                await peer.send(chunk(b"data: %b\n\n" % (b"x" * 50_000)))

        w.app = app
        await w.client(EVENTS)
        await until_open(w)
        await until(lambda: w.proxy.streams.open_count == 0)
        assert w.proxy.port.refused["unread_answer"] == 1


async def test_streams_beyond_the_limit_are_bounced_for_pages_of_every_origin() -> None:
    async with world(max_streams="1") as w:
        w.app = streaming(chunk(b"data: a\n\n"))
        first = await w.client(EVENTS)
        await first.until(b"data: a")
        second = await w.client(
            get("/events", "Accept: text/event-stream", "Origin: https://shop.example")
        )
        bounced = await second.until_end()
        assert bounced.startswith(b"HTTP/1.1 200 ")
        assert b"Access-Control-Allow-Origin: https://shop.example\r\n" in bounced
        assert re.search(rb"\r\n\r\nretry: \d+\nevent: shutdown\n", bounced)
        assert w.connections == 1


async def test_an_event_source_is_bounced_while_the_application_is_away() -> None:
    async with world(upstream="http://127.0.0.1:1") as w:
        client = await w.client(EVENTS)
        answer = await client.until_end()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b'"reason":"unavailable"' in answer


async def test_a_path_whose_streams_end_with_a_terminal_event_is_learnt() -> None:
    async with world() as w:

        async def app(peer: Peer) -> None:
            await peer.take(b"\r\n\r\n")
            await peer.send(STREAM, chunk(b"data: a\n\n"), chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n")

        w.app = app
        first = await w.client(EVENTS)
        assert b"retry:" in await first.until_end()
        second = await w.client(EVENTS)
        assert unchunk(await second.until(b"0\r\n\r\n")) == b"data: a\n\ndata: [DONE]\n\n"
        assert w.proxy.streams.arrived_total == 1

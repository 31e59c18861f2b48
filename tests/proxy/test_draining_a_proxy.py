"""A drain: endless streams leave with a goodbye, answers finish, nothing new stays."""

from __future__ import annotations

import asyncio

from kit.waiting import until
from proxy.behind import EVENTS, STREAM, Peer, chunk, get, unchunk, world

ANSWER = b"".join(chunk(b'data: {"n":%d}\n\n' % i) for i in range(30)) + b"0\r\n\r\n"


async def app(peer: Peer) -> None:
    """GET /events lives on; a POST is a long answer; the rest is short."""
    while True:
        try:
            head = await peer.take(b"\r\n\r\n")
        except AssertionError:
            return  # the connection has ended
        if head.startswith(b"GET /events"):
            await peer.send(STREAM)
            while True:
                await peer.send(chunk(b"data: tick\n\n"))
                await asyncio.sleep(0.05)
        elif head.startswith(b"POST /chat"):
            await peer.send(STREAM)
            for start in range(0, len(ANSWER), 20):
                await peer.send(ANSWER[start : start + 20])
                await asyncio.sleep(0.03)
        elif head.startswith(b"POST /stuck"):
            await peer.send(STREAM, chunk(b"data: a\n\n"))
            await peer.until_end()
            return
        else:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


async def test_200_streams_get_their_goodbye_and_answers_are_byte_equal() -> None:
    async with world(grace_s="6", reserve_s="1", local_window_s="2") as w:
        w.app = app
        streams = [await w.client(EVENTS) for _ in range(200)]
        answers = [await w.client(get("/chat", method="POST")) for _ in range(20)]
        await until(lambda: w.proxy.streams.open_count == 200)
        await until(lambda: len(w.proxy.streams.answers) == 20)
        hook = asyncio.create_task(w.proxy.drainer.prestop())
        received = await asyncio.gather(*(s.until_end() for s in streams))
        for stream in received:
            payload = unchunk(stream)
            body, _, goodbye = payload.partition(b"retry: 1000\nevent: shutdown\n")
            assert goodbye.endswith(b"\n\n"), payload[-200:]
            assert body.count(b"data: tick\n\n") * len(b"data: tick\n\n") + 100 > len(body)
            assert stream.endswith(b"\r\n0\r\n\r\n")
        finished = await asyncio.gather(*(a.until(b"\r\n0\r\n\r\n") for a in answers))
        assert all(unchunk(a) == unchunk(STREAM + ANSWER) for a in finished)
        await asyncio.wait_for(hook, 30)
        assert w.proxy.drain.state == "drained"
        assert w.proxy.streams.ended_total["drain"] == 200
        assert w.proxy.streams.counts.cut_finite == 0


async def test_while_draining_requests_are_served_and_new_streams_are_bounced() -> None:
    async with world(grace_s="6", reserve_s="1") as w:
        w.app = app
        kept = await w.client(get("/", method="GET"))
        await kept.take(b"ok")
        held = await w.client(get("/chat", method="POST"))
        await until(lambda: w.proxy.streams.answers)
        hook = asyncio.create_task(w.proxy.drainer.prestop())
        await until(lambda: w.proxy.drain.state == "draining")
        await kept.send(get("/"))
        answer = await kept.until_end()
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"ok")
        new = await w.client(EVENTS)
        assert b'"reason":"drain"' in await new.until_end()
        unnamed = await w.client(get("/events"))  # seen by its answer only
        assert b'"reason":"drain"' in await unnamed.until_end()
        late = await w.client(get("/chat", method="POST"))
        for answered in (held, late):
            assert unchunk(await answered.until(b"\r\n0\r\n\r\n")) == unchunk(STREAM + ANSWER)
        await asyncio.wait_for(hook, 30)
        assert w.proxy.streams.bounced_total == {"drain": 2}


async def test_an_answer_that_outlives_the_deadline_is_ended_at_an_event_and_counted() -> None:
    async with world(grace_s="2", reserve_s="1") as w:
        w.app = app
        stuck = await w.client(get("/stuck", method="POST"))
        await stuck.until(b"data: a\n\n")
        await asyncio.wait_for(w.proxy.drainer.prestop(), 30)
        received = await stuck.until_end()
        assert unchunk(received) == b"data: a\n\n"
        assert not received.endswith(b"0\r\n\r\n")
        assert w.proxy.streams.counts.cut_finite == 1


async def test_a_request_behind_the_deadline_is_still_served() -> None:
    async with world(grace_s="2", reserve_s="1") as w:
        w.app = app
        stuck = await w.client(get("/stuck", method="POST"))
        await stuck.until(b"data: a\n\n")
        await asyncio.wait_for(w.proxy.drainer.prestop(), 30)
        await stuck.until_end()
        late = await w.client(get("/chat", method="POST"))
        received = await late.until_end()
        assert unchunk(received) == unchunk(STREAM + ANSWER)


async def test_sigterm_alone_lets_streams_go_within_its_limit() -> None:
    async with world() as w:
        w.app = app
        streams = [await w.client(EVENTS) for _ in range(20)]
        await until(lambda: w.proxy.streams.open_count == 20)
        assert await w.proxy.stop() == 0
        for stream in streams:
            assert b'"reason":"stopping"' in await stream.until_end()

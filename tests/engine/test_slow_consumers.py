"""A stream that does not keep up is passed over, told the truth, and ended in the end."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from engine.enginekit import DRAIN, Bench, serving
from kit.waiting import until

from tidegate.contract.publish import To
from tidegate.contract.stream_settings import StreamSettings
from tidegate.wire.decode import Decoder, Event
from tidegate.wire.http import unframe

Run = Callable[[Any], None]


async def read_events(sock: socket.socket, last_id: str) -> list[Event]:
    """Read a mute stream at last, up to an id."""
    body = b""
    needle = f"id: {last_id}\n".encode()

    def more() -> bool:
        nonlocal body
        try:
            body += sock.recv(1 << 20)
        except BlockingIOError:
            return False
        return needle in body and body.endswith(b"\n\n\r\n")

    await until(more)
    items = Decoder().feed(unframe(body.partition(b"\r\n\r\n")[2]))
    return [item for item in items if isinstance(item, Event)]


def test_a_ring_that_has_moved_on_is_a_gap(run: Run) -> None:
    async def main() -> None:
        async with serving(max_events=20) as served:
            quick = await served.stream("/events")
            slow = await served.mute_stream("/sse/subscribe/1")
            await served.stall()
            for _ in range(40):
                served.publish("later")
            served.publish("own", To(client="1"))
            head = served.log.head
            events = await read_events(slow, f"e-{head}")
            ids = [int(e.id[2:]) for e in events]
            [gap] = [e for e in events if e.type == "gap"]
            told = json.loads(gap.data)
            assert told["reason"] == "lagged"
            at = events.index(gap)
            assert told["from"] == f"e-{ids[at - 1]}"
            assert told["to"] == gap.id == f"e-{served.log.floor}"
            assert ids[:at] == list(range(at))
            assert ids[at:] == list(range(served.log.floor, head + 1))
            await until(lambda: quick.events[-1].id == f"e-{head - 1}")
            assert not quick.of("gap")

    run(main())


def test_a_slow_stream_that_the_ring_still_covers_misses_nothing(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            slow = await served.mute_stream("/sse/subscribe/1")
            await served.stall()
            assert served.engine.streams_of("1")[0].lagging
            served.publish("own", To(client="1"))
            served.publish("all")
            head = served.log.head
            events = await read_events(slow, f"e-{head}")
            assert [int(e.id[2:]) for e in events] == list(range(head + 1))
            served.publish("live again")
            await read_tail(slow, b"live again")
            assert served.engine.counters["gaps"] == 0
            assert not served.engine.streams_of("1")[0].lagging

    run(main())


async def read_tail(sock: socket.socket, needle: bytes) -> None:
    body = b""

    def more() -> bool:
        nonlocal body
        try:
            body += sock.recv(1 << 20)
        except BlockingIOError:
            return False
        return needle in body

    await until(more)


def test_a_stream_without_progress_is_ended(run: Run) -> None:
    async def main() -> None:
        async with serving(StreamSettings(write_timeout_s=0.3, heartbeat_s=0.4)) as served:
            quick = await served.stream("/events")
            await served.mute_stream("/events")
            await served.stall()
            await until(lambda: served.engine.open_count == 1)
            assert served.engine.ended_total == {"slow": 1}
            served.publish("x")
            await until(lambda: "x" in quick.data)

    run(main())


def test_memory_does_not_grow_with_what_is_not_read(run: Run) -> None:
    async def main() -> None:
        async with serving(max_bytes=1 << 20) as served:
            await served.mute_stream("/events")
            await served.stall()
            [stream] = served.engine._registry.open
            held = stream.transport.get_write_buffer_size()
            for _ in range(1000):
                served.publish("x" * 8192)
            await served.engine.reader.caught_up()
            assert stream.transport.get_write_buffer_size() == held <= 300_000
            assert served.log.bytes <= 1 << 20

    run(main())


@pytest.mark.parametrize("to", [To(everyone=True), To(client="1")], ids=["pass", "late"])
def test_a_broken_transport_ends_its_stream_only(run: Run, to: To) -> None:
    async def main() -> None:
        bench = Bench()
        streams = [bench.open("/sse/subscribe/1?topic=a") for _ in range(5)]
        for index in (0, 2, 4):
            streams[index][1].fails = True
        bench.publish("x", to)
        await bench.engine.reader.caught_up()
        whole = [b"data: x" in transport.written for _, transport in streams]
        assert whole == [False, True, False, True, False]
        assert [transport.aborted for _, transport in streams] == [not got for got in whole]
        assert bench.engine.ended_total == {"error": 3}
        assert bench.engine.open_count == 2
        assert bench.engine.clients() == {"1": 2}

    run(main())


def test_a_broken_transport_at_the_goodbye_or_the_opening(run: Run) -> None:
    async def main() -> None:
        bench = Bench()
        (first, broken), (_, whole) = bench.open(), bench.open()
        broken.fails = True
        assert bench.engine.let_go(2, DRAIN) == 2
        assert broken.aborted
        assert whole.closed
        first.connection_lost(None)
        assert bench.engine.lingering_count == 1

    run(main())


def test_resumers_wait_while_live_delivery_does_not(run: Run) -> None:
    async def main() -> None:
        settings = StreamSettings(replay_bytes_per_s=200_000)
        bench = Bench(settings)
        for _ in range(200):
            bench.publish("x" * 1000)
        _, live = bench.open()
        resumers = [bench.open("/events", "e-1")[1] for _ in range(5)]
        bench.publish("now")
        await bench.engine.reader.caught_up()
        assert b"now" in live.written
        got = sum(len(transport.written) for transport in resumers)
        assert got < 200_000 * 0.25 + 2 * 64 * 1024
        for _ in range(400):
            bench.now += 0.05
            bench.engine._delivery._replay_due()
            await bench.engine.reader.caught_up()
            await asyncio.sleep(0)
            if all(b"now" in transport.written for transport in resumers):
                break
        total = sum(len(transport.written) for transport in resumers)
        assert total > 5 * 199 * 1000
        assert abs(bench.now - total / 200_000.0) < 1.5
        for transport in resumers:
            events = [e for e in Decoder().feed(unframe(transport.written)) if isinstance(e, Event)]
            assert [e.id for e in events] == ["e-1", *(f"e-{n}" for n in range(2, 202))]
        bench.engine.stop()

    run(main())

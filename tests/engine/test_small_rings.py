"""A batch larger than the ring costs a client that reads nothing: it is served in between."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from engine.enginekit import Bench, serving
from kit.waiting import until

from tidegate.contract.publish import To
from tidegate.contract.stream_settings import StreamSettings
from tidegate.stream.log import LogEntry
from tidegate.wire.decode import Decoder, Event
from tidegate.wire.http import unframe

Run = Callable[[Any], None]


def batch(count: int, to: To, size: int = 10) -> list[LogEntry]:
    return [LogEntry(n, to, f"{n:0{size}}") for n in range(1, count + 1)]


@pytest.mark.parametrize(
    "to",
    [To(client="42"), To(topics=("a",)), To(everyone=True)],
    ids=["client", "topic", "everyone"],
)
@pytest.mark.parametrize("ring_events", [1, 50])
def test_all_of_a_batch_arrives_through_a_smaller_ring(run: Run, to: To, ring_events: int) -> None:
    async def main() -> None:
        async with serving(max_events=ring_events) as served:
            client = await served.stream("/sse/subscribe/42?topic=a")
            served.engine.reader.filled()
            await served.engine.reader.read(batch(200, to), 200)
            await until(lambda: len(client.data) == 200)
            assert [int(data) for data in client.data] == [*range(1, 201)]
            assert not client.of("gap")

    run(main())


def test_large_events_arrive_at_a_client_that_reads_slowly(run: Run) -> None:
    async def main() -> None:
        async with serving(max_events=1) as served:
            # Patience without an end: this machine may be busy. Its bound is the next test's.
            served.engine.reader._clock = lambda: 0.0
            sock = await served.mute_stream("/sse/subscribe/42", receive_buffer=1 << 16)
            served.engine.reader.filled()
            got = b""

            async def read_slowly() -> None:
                nonlocal got
                while True:
                    got += await asyncio.get_running_loop().sock_recv(sock, 1 << 16)
                    await asyncio.sleep(0.001)

            reading = asyncio.ensure_future(read_slowly())
            await served.engine.reader.read(batch(12, To(client="42"), 200_000), 12)
            await until(lambda: got.endswith(b"12\n\n\r\n"))
            reading.cancel()
            events = Decoder().feed(unframe(got.partition(b"\r\n\r\n")[2]))
            seen = [e.data for e in events if isinstance(e, Event) and e.type == "message"]
            assert [int(data[-4:]) for data in seen] == [*range(1, 13)]
            assert served.engine.counters["stalls"] > 1, "the socket was not full"

    run(main())


async def test_a_client_that_does_not_read_holds_the_log_for_a_moment_only() -> None:
    bench = Bench(StreamSettings(), max_events=4)
    stream, transport = bench.open("/sse/subscribe/42")
    bench.engine.reader.filled()
    transport.buffered = 1000
    stream.pause_writing()

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.001)
            bench.now += 0.05

    clock = asyncio.create_task(tick())
    try:
        await asyncio.wait_for(bench.engine.reader.read(batch(100, To(client="42")), 100), 30.0)
    finally:
        clock.cancel()
    assert bench.log.head == 100
    # Stalled before the batch or by it: it is waited for until it has taken nothing for a moment.
    assert bench.now < 5.0

"""What transports hold for clients that do not read has one budget over all streams."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from engine.enginekit import Bench, FakeTransport, serving
from kit.waiting import until

from tidegate.contract.publish import To
from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate.stream.decisions import Accept
from tidegate.stream.requests import StreamRequest
from tidegate_sidecar.engine.memory import NEWCOMERS, STREAM_BYTES, TOPIC_BYTES
from tidegate_sidecar.engine.stream import Stream

Run = Callable[[Any], None]

BUDGET_BYTES = 1024 * 1024
LARGE, HALF = 320_000, 160_000
"""Three large fit into the budget, and four do not."""


def stall(stream: Stream, transport: FakeTransport, size: int) -> None:
    transport.buffered = size
    stream.pause_writing()


async def test_above_the_budget_the_slowest_are_ended_and_counted() -> None:
    bench = Bench(limits=Limits(max_stream_bytes=BUDGET_BYTES))
    opened = [bench.open(f"/sse/subscribe/{n}") for n in range(4)]
    for stream, transport in opened[:3]:
        bench.now += 1.0
        stall(stream, transport, LARGE)
    bench.now += 1.0
    opened[0][1].buffered = HALF  # the first has read: it is not the slowest any more
    stall(*opened[3], size=LARGE)
    await bench.engine.reader.caught_up()
    await until(lambda: bench.engine.ended_total)
    assert bench.engine.ended_total == {"backlog": 1}
    assert [transport.aborted for _, transport in opened] == [False, True, False, False]


async def test_a_stream_that_holds_little_is_not_ended_for_those_that_hold_much() -> None:
    bench = Bench(limits=Limits(max_stream_bytes=BUDGET_BYTES))
    small, large = bench.open(), bench.open()
    stall(*small, size=100)
    bench.now += 1.0
    stall(*large, size=BUDGET_BYTES)
    await until(lambda: bench.engine.ended_total)
    assert (small[1].aborted, large[1].aborted) == (False, True)


async def test_what_has_drained_or_gone_does_not_count() -> None:
    bench = Bench(limits=Limits(max_stream_bytes=BUDGET_BYTES))
    backlog = bench.engine._delivery.backlog
    for _ in range(20):
        stream, transport = bench.open()
        stall(stream, transport, LARGE)
        assert backlog.bytes == LARGE
        transport.buffered = 0
        stream.resume_writing()
        stall(stream, transport, LARGE)
        stream.connection_lost(None)
        assert (backlog.bytes, len(backlog)) == (0, 0)
    await bench.engine.reader.caught_up()
    assert bench.engine.ended_total == {"client": 20}


def test_what_the_kernel_holds_for_a_client_counts(run: Run) -> None:
    async def main() -> None:
        async with serving(StreamSettings(), Limits()) as served:
            before = served.engine.memory_bytes
            await served.mute_stream("/sse/subscribe/a")
            for _ in range(2):
                served.publish("x" * 1_000_000, To(client="a"))
            await served.engine.reader.caught_up()
            await until(lambda: len(served.engine._delivery.backlog))
            (stream,) = served.engine._registry.clients["a"]
            held = served.engine.memory_bytes - before
            assert held > stream.transport.get_write_buffer_size() + 10_000
            assert held <= 2_100_000

    run(main())


async def test_streams_are_let_in_up_to_three_quarters_of_the_memory() -> None:
    bench = Bench(limits=Limits(max_stream_bytes=BUDGET_BYTES))
    topics = "&".join(f"topic={n}" for n in range(63))

    def decided(target: str) -> type:
        path, _, query = target.encode().partition(b"?")
        request = StreamRequest("GET", "1.1", path, query, b"")
        return type(bench.engine.admission.decide(request, "takeover"))

    opened: list[tuple[Stream, FakeTransport]] = []
    while decided(f"/events?{topics}&topic=own-{len(opened)}") is Accept:
        opened.append(bench.open(f"/events?{topics}&topic=own-{len(opened)}"))
    assert len(opened) == math.ceil(BUDGET_BYTES * NEWCOMERS / (STREAM_BYTES + 64 * TOPIC_BYTES))
    assert bench.engine.counters["out_of_memory"] == 1
    assert bench.engine.memory_bytes <= BUDGET_BYTES
    for stream, _ in opened:
        stream.connection_lost(None)
    assert bench.engine.memory_bytes == 0
    assert decided("/events") is Accept


def test_a_client_that_reads_is_not_ended_for_those_that_do_not(run: Run, way: str) -> None:
    async def main() -> None:
        limits = Limits(max_stream_bytes=BUDGET_BYTES)
        async with serving(StreamSettings(), limits, way=way) as served:
            reading = await served.stream("/sse/subscribe/reads")
            for n in range(8):
                await served.mute_stream(f"/sse/subscribe/{n}")
            for n in range(8):
                for _ in range(8):
                    served.publish("x" * 400_000, To(client=f"{n}"))
                served.publish("mine", To(client="reads"))
                await served.engine.reader.caught_up()
            await until(lambda: served.engine.ended_total.get("backlog", 0) >= 6)
            await until(lambda: reading.data == ["mine"] * 8)
            assert served.engine.open_count >= 1
            assert served.engine.clients()["reads"] == 1

    run(main())


PROCESS = """
import asyncio, json, sys
sys.path.insert(0, sys.argv[1])
import uvloop
from engine.enginekit import serving
from kit.waiting import until
from tidegate.contract.publish import To
from tidegate.contract.stream_settings import Limits, StreamSettings

EACH = 250_000
CLIENTS = 300

def rss_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096

async def main():
    limits = Limits(max_stream_bytes=8 << 20)
    async with serving(StreamSettings(), limits, max_bytes=8 << 20) as served:
        for n in range(CLIENTS):
            await served.mute_stream(f"/sse/subscribe/{n}")
        before = highest = rss_bytes()
        for n in range(CLIENTS):
            served.publish("x" * EACH, To(client=str(n)))
            await served.engine.reader.caught_up()
            await asyncio.sleep(0)
            highest = max(highest, rss_bytes())
        ended = served.engine.ended_total.get("backlog", 0)
        print(json.dumps({"grown": highest - before, "unread": CLIENTS * EACH, "ended": ended}))

uvloop.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's memory from /proc")
def test_the_process_stays_small_while_hundreds_of_clients_read_nothing() -> None:
    tests = next(path for path in sys.path if path.endswith("/tests"))
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, tests], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["ended"] > 0
    # The ring and the budget, and as much again for what the allocator keeps.
    assert found["grown"] <= 2 * (2 * (8 << 20))
    assert found["grown"] < found["unread"] / 2

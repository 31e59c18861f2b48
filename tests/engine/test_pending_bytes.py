"""What transports hold for clients that do not read has one budget over all streams."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from engine.enginekit import Bench, FakeTransport, serving
from kit.waiting import until

from tidegate.contract.publish import To
from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate_sidecar.engine.stream import Stream

Run = Callable[[Any], None]

BUDGET_BYTES = 64 * 1024


def stall(stream: Stream, transport: FakeTransport, size: int) -> None:
    transport.buffered = size
    stream.pause_writing()


async def test_above_the_budget_the_slowest_are_ended_and_counted() -> None:
    bench = Bench(limits=Limits(max_pending_bytes=BUDGET_BYTES))
    opened = [bench.open(f"/sse/subscribe/{n}") for n in range(4)]
    for stream, transport in opened[:3]:
        bench.now += 1.0
        stall(stream, transport, 20_000)
    bench.now += 1.0
    opened[0][1].buffered = 10_000  # the first has read: it is not the slowest any more
    stall(*opened[3], size=20_000)
    await bench.engine.reader.caught_up()
    await until(lambda: bench.engine.ended_total)
    assert bench.engine.ended_total == {"backlog": 1}
    assert [transport.aborted for _, transport in opened] == [False, True, False, False]


async def test_a_stream_that_holds_little_is_not_ended_for_those_that_hold_much() -> None:
    bench = Bench(limits=Limits(max_pending_bytes=BUDGET_BYTES))
    small, large = bench.open(), bench.open()
    stall(*small, size=100)
    bench.now += 1.0
    stall(*large, size=BUDGET_BYTES)
    await until(lambda: bench.engine.ended_total)
    assert (small[1].aborted, large[1].aborted) == (False, True)


async def test_what_has_drained_or_gone_does_not_count() -> None:
    bench = Bench(limits=Limits(max_pending_bytes=BUDGET_BYTES))
    backlog = bench.engine._delivery.backlog
    for _ in range(20):
        stream, transport = bench.open()
        stall(stream, transport, 60_000)
        assert backlog.bytes == 60_000
        transport.buffered = 0
        stream.resume_writing()
        stall(stream, transport, 60_000)
        stream.connection_lost(None)
        assert (backlog.bytes, len(backlog)) == (0, 0)
    await bench.engine.reader.caught_up()
    assert bench.engine.ended_total == {"client": 20}


def test_a_client_that_reads_is_not_ended_for_those_that_do_not(run: Run, way: str) -> None:
    async def main() -> None:
        limits = Limits(max_pending_bytes=BUDGET_BYTES)
        async with serving(StreamSettings(), limits, way=way) as served:
            reading = await served.stream("/sse/subscribe/reads")
            for n in range(8):
                await served.mute_stream(f"/sse/subscribe/{n}")
            for n in range(8):
                for _ in range(8):
                    served.publish("x" * 200_000, To(client=f"{n}"))
                served.publish("mine", To(client="reads"))
                await served.engine.reader.caught_up()
            await until(lambda: served.engine.ended_total.get("backlog", 0) >= 7)
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
    limits = Limits(max_pending_bytes=8 << 20)
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

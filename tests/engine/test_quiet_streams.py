"""What time brings to a stream nobody writes to: heartbeats and its position."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from engine.enginekit import Bench, serving
from kit.waiting import until

from tidegate.contract.publish import To
from tidegate.contract.stream_settings import StreamSettings
from tidegate.wire.decode import Comment, Decoder, Retry
from tidegate.wire.http import unframe
from tidegate_sidecar.engine.housekeeping import ROUNDS, STEP_S

Run = Callable[[Any], None]


def beats(written: bytes) -> int:
    return Decoder().feed(unframe(written)).count(Comment(""))


def test_a_quiet_stream_gets_heartbeats_and_their_interval(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(StreamSettings(heartbeat_s=0.2), way=way) as served:
            client = await served.stream("/events")
            start = time.monotonic()
            await until(lambda: client.items.count(Comment("")) >= 4)
            assert time.monotonic() - start >= 0.5
            assert '"heartbeat_ms":200' in client.of("connected")[0].data

    run(main())


@pytest.mark.virtual_time
async def test_heartbeats_come_at_the_announced_rhythm_and_not_to_a_busy_stream() -> None:
    interval_s, intervals = StreamSettings().heartbeat_s, 20
    bench = Bench(clock=asyncio.get_running_loop().time)
    bench.engine.start()
    _, busy = bench.open("/events?topic=a")
    _, quiet = bench.open("/events?topic=b")
    for _ in range(2 * intervals):
        bench.publish("x", To(topics=("a",)))
        await asyncio.sleep(interval_s / 2)
    assert beats(busy.written) == 0
    assert beats(quiet.written) == pytest.approx(intervals, abs=1)
    bench.engine.stop()


@pytest.mark.virtual_time
async def test_heartbeats_after_a_broadcast_are_spread() -> None:
    streams, settings = 1000, StreamSettings()
    bench = Bench(settings, clock=asyncio.get_running_loop().time)
    bench.engine.start()
    for _ in range(streams):
        bench.open()
    bench.publish("x")
    await bench.engine.reader.caught_up()
    counts = [bench.engine.counters["heartbeats"]]
    while counts[-1] < streams:
        await asyncio.sleep(STEP_S)
        counts.append(bench.engine.counters["heartbeats"])
    round_s = settings.heartbeat_s / ROUNDS
    most = max(later - earlier for earlier, later in pairwise(counts))
    assert most <= 2 * streams * STEP_S / round_s, "they come in the steps of a round"
    assert len(counts) * STEP_S <= settings.heartbeat_s + round_s
    bench.engine.stop()


def test_a_quiet_topic_gets_its_position_and_then_nothing_is_missed(run: Run, way: str) -> None:
    async def main() -> None:
        settings = StreamSettings(heartbeat_s=0.4, cursor_every_s=0.3)
        async with serving(settings, way=way, max_events=5) as served:
            quiet = await served.stream("/events?topic=quiet")
            for number in range(20):
                served.publish(str(number), To(topics=("busy",)))
            await until(lambda: quiet.of("cursor"))
            assert quiet.of("cursor")[-1].id == "e-20"
            again = await served.stream("/events?topic=quiet", headers="Last-Event-ID: e-20\r\n")
            assert not again.of("gap")

    run(main())


def test_a_position_that_has_not_moved_is_not_sent_again(run: Run) -> None:
    async def main() -> None:
        settings = StreamSettings(heartbeat_s=0.2, cursor_every_s=0.05)
        async with serving(settings) as served:
            client = await served.stream("/events")
            served.publish("x")
            served.log.advance(7)
            await until(lambda: client.of("cursor"))
            beats = client.items.count(Comment(""))
            await until(lambda: client.items.count(Comment("")) > beats + 1)
            assert [event.id for event in client.of("cursor")] == ["e-7"]

    run(main())


def test_the_first_streams_get_a_wider_spread_later(run: Run) -> None:
    async def main() -> None:
        settings = StreamSettings(heartbeat_s=0.2, cursor_every_s=0.05, accept_rate_per_s=10.0)
        async with serving(settings) as served:
            await served.stream("/events")
            second = await served.stream("/events")
            for _ in range(40):
                await served.stream("/events")
            served.log.advance(1)
            await until(lambda: second.of("cursor") and _told_ms(second)[-1] > 1100)
            assert _told_ms(second)[0] <= 1100
            assert max(_told_ms(second)) <= 1000 + 4200

    run(main())


def test_a_busy_one_of_the_first_streams_gets_a_wider_spread_too(run: Run, way: str) -> None:
    async def main() -> None:
        settings = StreamSettings(heartbeat_s=0.4, accept_rate_per_s=10.0)
        async with serving(settings, way=way) as served:
            await served.stream("/events")
            second = await served.stream("/events")
            for number in range(40):
                await served.stream("/events")
                served.publish(str(number))
            await until(lambda: len(_told_ms(second)) > 1 and _told_ms(second)[-1] > 1100)
            assert _told_ms(second)[0] <= 1100
            assert not second.of("cursor")
            served.publish("afterwards")
            await until(lambda: "afterwards" in second.data)
            assert second.data == [*map(str, range(40)), "afterwards"]

    run(main())


def _told_ms(client: Any) -> list[int]:
    return [item.ms for item in client.items if isinstance(item, Retry)]


def test_a_stock_server_sends_no_retry_at_all(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(StreamSettings(retry=False), way=way) as served:
            client = await served.stream("/events")
            assert b"retry" not in client.body
            assert '"spread_ms":0' in client.of("connected")[0].data

    run(main())

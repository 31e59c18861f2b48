"""What time brings to a stream nobody writes to: heartbeats and its position."""

import time
from collections.abc import Callable
from typing import Any

from engine.enginekit import serving
from kit.waiting import until

from tidegate.contract.publish import To
from tidegate.contract.sidecar import StreamSettings
from tidegate.wire.decode import Comment, Retry

Run = Callable[[Any], None]


def test_a_quiet_stream_gets_heartbeats_at_the_announced_rhythm(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(StreamSettings(heartbeat_s=0.2), way=way) as served:
            client = await served.stream("/events")
            start = time.monotonic()
            await until(lambda: client.items.count(Comment("")) >= 4)
            assert 0.5 <= time.monotonic() - start <= 3.0
            assert '"heartbeat_ms":200' in client.of("connected")[0].data

    run(main())


def test_a_busy_stream_gets_none(run: Run) -> None:
    async def main() -> None:
        async with serving(StreamSettings(heartbeat_s=1.0)) as served:
            busy = await served.stream("/events?topic=a")
            quiet = await served.stream("/events?topic=b")
            for number in range(60):
                served.publish(str(number), To(topics=("a",)))
                await until(lambda n=number: str(n) in busy.data)
                if Comment("") in quiet.items:
                    break
                started = time.monotonic()
                await until(lambda s=started: time.monotonic() - s > 0.04)
            assert Comment("") in quiet.items
            assert Comment("") not in busy.items

    run(main())


def test_heartbeats_after_a_broadcast_are_spread(run: Run) -> None:
    async def main() -> None:
        async with serving(StreamSettings(heartbeat_s=0.8)) as served:
            for _ in range(100):
                await served.stream("/events")
            served.publish("x")
            before = served.engine.counters["heartbeats"]
            seen: list[tuple[float, int]] = []
            start = time.monotonic()

            def all_beat() -> bool:
                count = served.engine.counters["heartbeats"] - before
                if not seen or seen[-1][1] != count:
                    seen.append((time.monotonic() - start, count))
                return count >= 100

            await until(all_beat)
            assert len(seen) >= 3, "they all came in one step"

    run(main())


def test_a_quiet_topic_hears_its_position_and_then_nothing_is_missed(run: Run, way: str) -> None:
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


def test_a_position_that_has_not_moved_is_not_told_again(run: Run) -> None:
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


def test_the_first_streams_are_told_a_wider_spread_later(run: Run) -> None:
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


def test_a_busy_one_of_the_first_streams_is_told_a_wider_spread_too(run: Run, way: str) -> None:
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

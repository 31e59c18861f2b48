"""A log that is missing something: whoever lost events is told so once, nobody else is."""

import json
from collections.abc import Callable
from typing import Any

from engine.enginekit import Bench, FakeTransport

from tidegate.wire.decode import Decoder, Event
from tidegate.wire.http import unframe

Run = Callable[[Any], None]


def received(transport: FakeTransport) -> list[tuple[str, str | dict[str, str]]]:
    """Ids with their type, gaps with what they say."""
    events = [e for e in Decoder().feed(unframe(transport.written)) if isinstance(e, Event)]
    return [(e.id, json.loads(e.data) if e.type == "gap" else e.type) for e in events]


def messages(first: int, last: int, epoch: str = "e") -> list[tuple[str, str]]:
    return [(f"{epoch}-{seq}", "message") for seq in range(first, last + 1)]


def test_a_hole_is_told_to_those_who_lost_events_and_repeats_nothing_to_the_others(
    run: Run,
) -> None:
    """Positions 4 to 20 were thrown away; one client has been given up to 26 by another pod."""

    async def main() -> None:
        bench = Bench()
        bench.publish("1")
        _, here = bench.open("/sse/subscribe/1?topic=a")
        _, without_topics = bench.open()
        _, from_elsewhere = bench.open("/sse/subscribe/2?topic=a", "e-26")
        bench.publish("2")
        await bench.engine.reader.caught_up()
        bench.log.advance(3)
        bench.engine.reader.reset("e", 20)
        for number in range(21, 31):
            bench.publish(str(number))
        await bench.engine.reader.caught_up()
        hole = {"from": "e-3", "to": "e-20", "reason": "lagged"}
        told = [("e-1", "connected"), *messages(2, 2), ("e-20", hole), *messages(21, 30)]
        assert received(here) == received(without_topics) == told
        assert received(from_elsewhere) == [("e-26", "connected"), *messages(27, 30)]
        assert bench.engine.counters["gaps"] == 2

    run(main())


def test_a_hole_behind_a_new_epoch_is_one_gap_that_names_the_epoch(run: Run) -> None:
    async def main() -> None:
        bench = Bench()
        bench.publish("1")
        stream, transport = bench.open()
        bench.engine.reader.reset("e", 20)
        bench.engine.reader.reset("f", 0)
        bench.engine.reader.reset("f", 7)
        bench.publish("8")
        await bench.engine.reader.caught_up()
        gap = {"from": "e-1", "to": "f-7", "reason": "epoch"}
        assert received(transport) == [("e-1", "connected"), ("f-7", gap), *messages(8, 8, "f")]
        assert stream.live

    run(main())


def test_what_the_ring_drops_behind_a_reset_is_part_of_the_gap(run: Run) -> None:
    async def main() -> None:
        bench = Bench(max_events=5)
        stream, transport = bench.open()
        bench.engine.stalled(stream)
        bench.engine.reader.reset("f", 0)
        for number in range(10):
            bench.publish(str(number))
        await bench.engine.reader.caught_up()
        bench.engine.flowing(stream)
        await bench.engine.reader.caught_up()
        gap = {"from": "e-0", "to": "f-5", "reason": "epoch"}
        assert received(transport) == [("e-0", "connected"), ("f-5", gap), *messages(6, 10, "f")]

    run(main())

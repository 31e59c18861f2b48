"""Streams that go on from what was acknowledged: the same on both ways in, over real sockets."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from engine.enginekit import DRAIN, Served, serving
from kit.waiting import until

from tidegate.contract.acknowledge import StreamKey
from tidegate.stream.requests import Recalled

Run = Callable[[Any], None]
NAMED = "/sse/subscribe/42?stream=orders"


class Store:
    """Answers what is kept once it is let, and remembers who was asked for."""

    def __init__(self, served: Served, recalled: Recalled) -> None:
        self.asked: list[StreamKey] = []
        self.recalled = recalled
        self.answers = asyncio.Event()
        self.answers.set()
        served.engine.admission.recall = self.recall

    async def recall(self, key: StreamKey | None) -> Recalled:
        assert key is not None
        self.asked.append(key)
        await self.answers.wait()
        return self.recalled


def test_it_gets_what_lies_behind_and_then_lives(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            store = Store(served, Recalled("e-2"))
            for n in range(1, 6):
                served.publish(str(n))
            client = await served.stream(NAMED)
            served.publish("6")
            await until(lambda: "6" in client.data)
            assert client.data == ["3", "4", "5", "6"]
            connected = client.of("connected")[0]
            assert connected.id == "e-2"
            assert json.loads(connected.data)["replay"] is True
            assert store.asked == [StreamKey("42", "orders")]
            for line in ("connection: close", "x-accel-buffering: no", "cache-control: no-cache"):
                assert line in client.head

    run(main())


def test_with_nothing_kept_it_begins_at_the_head(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            Store(served, Recalled())
            served.publish("before")
            client = await served.stream(NAMED)
            served.publish("after")
            await until(lambda: client.data)
            assert client.data == ["after"]

    run(main())


def test_a_cursor_wins_and_nothing_is_looked_up(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            store = Store(served, Recalled("e-1"))
            for n in range(1, 4):
                served.publish(str(n))
            client = await served.stream(NAMED, headers="Last-Event-ID: e-2\r\n")
            await until(lambda: client.data == ["3"])
            assert store.asked == []
            assert served.engine.counters["deferred"] == 0, "and it is taken over"

    run(main())


@pytest.mark.parametrize("kept", ["old-7", "e-1"], ids=["another epoch", "left the ring"])
def test_what_cannot_be_replayed_is_a_gap(run: Run, way: str, kept: str) -> None:
    async def main() -> None:
        async with serving(way=way, max_events=2) as served:
            Store(served, Recalled(kept))
            for n in range(1, 6):
                served.publish(str(n))
            client = await served.stream(NAMED)
            await until(lambda: client.data == ["4", "5"])
            gap = json.loads(client.of("gap")[0].data)
            assert (gap["from"], gap["to"]) == (kept, "e-3")

    run(main())


def test_without_the_store_it_is_bounced_and_others_stream_on(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            Store(served, Recalled(reached=False))
            bounced = await served.get(NAMED)
            await until(lambda: bounced.ended)
            assert bounced.status == 200
            assert [event.type for event in bounced.events] == ["shutdown"]
            assert json.loads(bounced.events[0].data)["reason"] == "unavailable"
            assert b"retry: 1000\n" in bounced.body
            plain = await served.stream("/sse/subscribe/42")
            resumed = await served.stream(NAMED, headers="Last-Event-ID: e-0\r\n")
            served.publish("x")
            await until(lambda: plain.data == resumed.data == ["x"])

    run(main())


def test_a_pod_that_begins_to_drain_meanwhile_bounces(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            store = Store(served, Recalled("e-0"))
            store.answers.clear()
            waiting = await served.get(NAMED)
            await until(lambda: store.asked)
            served.engine.gate.refusing = "drain"
            store.answers.set()
            await until(lambda: waiting.ended)
            assert json.loads(waiting.events[0].data)["reason"] == "drain"
            assert served.engine.open_count == 0

    run(main())


def test_who_leaves_while_it_is_looked_up_leaves_nothing_behind(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            store = Store(served, Recalled("e-0"))
            store.answers.clear()
            waiting = await served.get(NAMED)
            await until(lambda: store.asked)
            await waiting.close()
            store.answers.set()
            await until(lambda: served.engine.open_count == 0)
            assert (await served.stream(NAMED)).of("connected")

    run(main())


def test_it_has_its_goodbye_like_any_other(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            Store(served, Recalled("e-0"))
            served.publish("1")
            client = await served.stream(NAMED)
            await until(lambda: client.data == ["1"])
            assert served.engine.let_go(1, DRAIN) == 1
            await until(lambda: client.ended)
            assert client.events[-1].type == "shutdown"
            assert client.events[-1].id == "e-1"
            assert client.ended_cleanly

    run(main())


def test_it_is_taken_over_like_any_other(run: Run) -> None:
    """And so costs as little; over HTTP/1.0, too, which the web server would send chunks."""

    async def main() -> None:
        async with serving() as served:
            Store(served, Recalled("e-1"))
            for n in range(1, 3):
                served.publish(str(n))
            clients = [await served.stream(NAMED, version=version) for version in ("1.1", "1.0")]
            served.publish("3")
            await until(lambda: all(client.data == ["2", "3"] for client in clients))
            assert served.engine.counters["deferred"] == 0
            assert "transfer-encoding" not in clients[1].head

    run(main())


def test_who_says_more_while_it_is_looked_up_is_no_streams_client(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            store = Store(served, Recalled("e-0"))
            store.answers.clear()
            client = await served.get(NAMED)
            await until(lambda: store.asked)
            client.writer.write(b"GET /events HTTP/1.1\r\n\r\n")
            await client.writer.drain()
            store.answers.set()
            await until(lambda: client.ended)
            assert [event.type for event in client.events] == ["connected"]
            assert served.engine.ended_total["client"] == 1

    run(main())


def test_a_failure_to_look_up_closes_the_connection(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with serving() as served:

            async def broken(_: StreamKey | None) -> Recalled:
                raise RuntimeError("a bug")

            served.engine.admission.recall = broken
            client = await served.get(NAMED)
            await until(lambda: client.ended)
            assert client.raw == b""
            assert (await served.stream("/events")).of("connected")

    run(main())


def test_names_are_refused_alike(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            for path in ("/sse/subscribe/42?stream=a+b", "/events?stream=orders"):
                client = await served.get(path)
                await until(lambda c=client: c.ended)
                assert client.status == 400
                assert json.loads(client.body)["field"] == "stream"

    run(main())

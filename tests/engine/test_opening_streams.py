"""Each rule of the door on both ways in, over real sockets."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from engine.enginekit import DRAIN, serving
from kit.waiting import until

from tidegate.contract.acknowledge import StreamKey
from tidegate.contract.publish import To
from tidegate.contract.stream_settings import Limits
from tidegate.stream.requests import Recalled

Run = Callable[[Any], None]


def test_everyone_gets_what_is_theirs_once_and_in_order(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            one = await served.stream("/sse/subscribe/1?topic=a&topic=b")
            two = await served.stream("/sse/subscribe/2?topic=b")
            none = await served.stream("/events")
            served.publish("all")
            served.publish("ab", To(topics=("a", "b")))
            served.publish("to 1", To(client="1"), "own")
            served.publish("b", To(topics=("b",)))
            served.publish("end")
            for client in (one, two, none):
                await until(lambda c=client: "end" in c.data)
            assert [e.data for e in one.events[1:]] == ["all", "ab", "to 1", "b", "end"]
            assert [e.id for e in one.events[1:]] == ["e-1", "e-2", "e-3", "e-4", "e-5"]
            assert one.of("own")[0].data == "to 1"
            assert [e.data for e in two.events[1:]] == ["all", "ab", "b", "end"]
            assert none.data == ["all", "end"]
            assert served.engine.counters["deliveries"] == 11

    run(main())


def test_the_head_of_a_stream(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            client = await served.stream("/events")
            assert client.status == 200
            for line in (
                "content-type: text/event-stream; charset=utf-8",
                "cache-control: no-cache, no-transform",
                "x-accel-buffering: no",
                "connection: close",
                "transfer-encoding: chunked",
            ):
                assert line in client.head.split("\r\n")
            assert "content-length" not in client.head

    run(main())


def test_an_http_1_0_body_is_not_framed(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            client = await served.stream("/events?topic=a", version="1.0")
            served.publish("x", To(topics=("a",)))
            await until(lambda: client.data == ["x"])
            assert "transfer-encoding" not in client.head
            served.engine.let_go(1, DRAIN)
            await until(lambda: client.ended)
            assert client.events[-1].type == "shutdown"
            assert client.raw.endswith(b"\n\n")

    run(main())


def test_head_gets_no_body(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            client = await served.get("/events", method="HEAD")
            await until(lambda: client.ended)
            assert client.status == 200
            assert "text/event-stream" in client.head
            assert client.raw.endswith(b"\r\n\r\n")
            assert client.raw.count(b"\r\n\r\n") == 1
            assert served.engine.arrived_total == 0

    run(main())


@pytest.mark.parametrize(
    ("target", "headers", "status", "error"),
    [
        ("/sse/subscribe/a%20b", "", 400, "bad_client"),
        ("/events?topic=", "", 400, "bad_topic"),
        ("/events", "X: " + "y" * 3000 + "\r\n", 431, "headers_too_large"),
        ("/sse/subscribe/full", "", 429, "too_many_streams"),
    ],
    ids=["client", "topic", "headers", "streams"],
)
def test_the_callers_mistakes(
    run: Run, way: str, target: str, headers: str, status: int, error: str
) -> None:
    async def main() -> None:
        limits = Limits(max_header_bytes=2000, max_streams_per_client=1)
        async with serving(limits=limits, way=way) as served:
            await served.stream("/sse/subscribe/full")
            bounced = await served.get("/sse/subscribe/full")
            await until(lambda: bounced.ended)
            assert (bounced.status, len(bounced.of("shutdown"))) == (200, 1), "its stream is probed"
            client = await served.get(target, headers=headers)
            await until(lambda: client.ended)
            assert client.status == status
            assert set(json.loads(client.body)) == {"error", "detail", "field"}
            assert json.loads(client.body)["error"] == error
            assert "connection: close" in client.head
            assert served.engine.refused_total == {error: 1}
            assert served.engine.open_count == 1

    run(main())


def test_a_bounce_is_a_200_that_ends(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            served.engine.gate.refusing = "drain"
            served.engine.gate.bounce_retry_ms = 700
            client = await served.get("/events")
            await until(lambda: client.ended)
            assert client.status == 200
            assert client.ended_cleanly
            assert client.body.startswith(b"retry: 700\nevent: shutdown\n")
            assert b"id:" not in client.body
            assert not client.of("connected")
            assert served.engine.bounced_total == {"drain": 1}
            assert served.engine.arrived_total == 0

    run(main())


def test_a_client_that_leaves_is_forgotten_and_only_that_stream(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            first = await served.stream("/sse/subscribe/1")
            second = await served.stream("/sse/subscribe/1")
            assert served.engine.clients() == {"1": 2}
            await first.close()
            await until(lambda: served.engine.open_count == 1)
            assert served.engine.clients() == {"1": 1}
            served.publish("x", To(client="1"))
            await until(lambda: second.data == ["x"])
            assert served.engine.ended_total == {"client": 1}
            [info] = served.engine.streams_of("1")
            assert (info.client, info.topics, info.lagging) == ("1", (), False)
            await until(lambda: served.engine.streams_of("1")[0].cursor == "e-1")

    run(main())


def test_resuming_replays_what_was_missed_without_a_seam(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            for number in range(1, 6):
                served.publish(str(number))
            client = await served.stream("/events", headers="Last-Event-ID: e-2\r\n")
            served.publish("6")
            await until(lambda: "6" in client.data)
            assert client.data == ["3", "4", "5", "6"]
            assert client.of("connected")[0].id == "e-2"
            assert not client.of("gap")

    run(main())


def test_a_client_that_comes_from_a_pod_that_is_ahead_gets_nothing_twice(
    run: Run, way: str
) -> None:
    async def main() -> None:
        async def store(key: StreamKey | None) -> Recalled:
            assert key is None
            return Recalled(newest=3)

        async with serving(way=way) as served:
            served.engine.admission.recall = store
            served.publish("1")
            client = await served.stream("/events", headers="Last-Event-ID: e-3\r\n")
            for number in (2, 3, 4):
                served.publish(str(number))
            await until(lambda: client.data)
            assert client.data == ["4"]

    run(main())


def test_a_cursor_too_old_gets_a_gap(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way, max_events=3) as served:
            for number in range(1, 9):
                served.publish(str(number))
            client = await served.stream("/events?last_event_id=e-1")
            await until(lambda: "8" in client.data)
            assert client.data == ["6", "7", "8"]
            [gap] = client.of("gap")
            assert json.loads(gap.data) == {"from": "e-1", "to": "e-5", "reason": "expired"}
            assert [e.type for e in client.events[:2]] == ["connected", "gap"]

    run(main())


def test_a_new_epoch_is_a_gap_for_everyone(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            client = await served.stream("/sse/subscribe/1?topic=a")
            served.publish("old")
            await until(lambda: client.data == ["old"])
            served.engine.reader.reset("f", 10)
            served.publish("new")
            await until(lambda: client.data == ["old", "new"])
            [gap] = client.of("gap")
            assert json.loads(gap.data) == {"from": "e-1", "to": "f-10", "reason": "epoch"}
            assert client.events[-1].id == "f-11"

    run(main())

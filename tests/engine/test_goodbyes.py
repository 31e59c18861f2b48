"""How streams are let go: politely, oldest first, at a position from which nothing is missed."""

import json
import time
from collections.abc import Callable
from typing import Any

from engine.enginekit import DRAIN, EVERYONE, Bench, serving
from kit.waiting import until

from tidegate.contract.publish import To
from tidegate.contract.stream_settings import StreamSettings
from tidegate.drain.decision import Goodbye
from tidegate.stream.log import LogEntry
from tidegate.wire.decode import Decoder, Event
from tidegate.wire.http import unframe

Run = Callable[[Any], None]


def test_a_plain_stream_ends_right_behind_its_goodbye(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            client = await served.stream("/events")
            served.publish("x")
            assert served.engine.let_go(1, DRAIN) == 1
            assert served.engine.open_count == 0
            await until(lambda: client.ended)
            assert client.ended_cleanly
            assert client.data == ["x"]
            goodbye = client.events[-1]
            assert (goodbye.type, goodbye.id) == ("shutdown", "e-1")
            assert json.loads(goodbye.data) == {
                "reason": "drain",
                "reconnect_after_ms": 750,
                "deadline_ms": 0,
            }
            assert b"retry: 750\n" in client.body
            await until(lambda: served.engine.lingering_count == 0)
            assert served.engine.ended_total == {"drain": 1}

    run(main())


def test_a_handover_stream_gets_only_heartbeats_and_ends_with_its_client(
    run: Run, way: str
) -> None:
    async def main() -> None:
        settings = StreamSettings(heartbeat_s=0.2)
        async with serving(settings, way=way) as served:
            client = await served.stream("/sse/subscribe/1?handover=1")
            served.engine.let_go(1, DRAIN)
            assert (served.engine.open_count, served.engine.lingering_count) == (0, 1)
            assert served.engine.clients() == {}
            await until(lambda: client.of("shutdown"))
            served.publish("x")
            served.publish("x", To(client="1"))
            size = len(client.body)
            await until(lambda: len(client.body) > size)
            assert client.body[size:].replace(b":\n", b"") == b""
            assert json.loads(client.events[-1].data) == {
                "reason": "drain",
                "reconnect_after_ms": 0,
                "deadline_ms": 5000,
            }
            assert not client.ended
            await client.close()
            await until(lambda: served.engine.lingering_count == 0)
            assert served.engine.ended_total == {"drain": 1}

    run(main())


def test_a_handover_has_a_deadline(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            client = await served.stream("/events?handover=1")
            served.engine.let_go(1, Goodbye("shed", 750, 200))
            start = time.monotonic()
            await until(lambda: client.ended)
            assert client.ended_cleanly
            assert time.monotonic() - start > 0.15

    run(main())


def test_oldest_first_and_only_as_many_as_asked_for(run: Run) -> None:
    async def main() -> None:
        bench = Bench()
        transports = [bench.open(f"/events?topic={n % 3}")[1] for n in range(10)]
        assert bench.engine.let_go(4, DRAIN) == 4
        assert [t.closed for t in transports] == [True] * 4 + [False] * 6
        assert bench.engine.let_go(100, DRAIN) == 6
        assert bench.engine.let_go(1, DRAIN) == 0
        assert bench.engine.arrived_total == sum(bench.engine.ended_total.values()) == 10

    run(main())


def test_those_that_hand_over_go_in_step_with_the_others(run: Run) -> None:
    """Whoever came first: else one kind would come back on top of the other."""

    async def main() -> None:
        bench = Bench()
        handing_over = [bench.open("/events?handover=1&topic=a")[1] for _ in range(4)]
        plain = [bench.open("/events?topic=a")[1] for _ in range(8)]

        def told() -> tuple[int, int]:
            kinds = (handing_over, plain)
            first, second = (sum(b"shutdown" in t.written for t in kind) for kind in kinds)
            return first, second

        seen = []
        for _ in range(4):
            assert bench.engine.let_go(3, DRAIN) == 3
            seen.append(told())
        assert seen == [(1, 2), (2, 4), (3, 6), (4, 8)]

    run(main())


def test_what_is_lacking_is_flushed_first(run: Run) -> None:
    async def main() -> None:
        bench = Bench()
        _, both = bench.open("/sse/subscribe/1?topic=a")
        _, other = bench.open("/events?topic=b")
        bench.publish("1", To(topics=("a",)))
        bench.publish("2", To(client="1"))
        bench.publish("3", To(topics=("a",)))
        bench.engine.let_go(2, DRAIN)
        for transport, data in ((both, ["1", "2", "3"]), (other, [])):
            events = [e for e in Decoder().feed(unframe(transport.written)) if isinstance(e, Event)]
            assert [e.data for e in events[1:-1]] == data
            assert (events[-1].type, events[-1].id) == ("shutdown", "e-3")

    run(main())


def test_a_goodbye_to_a_full_socket_has_its_true_position(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            sock = await served.mute_stream("/events")
            await served.stall()
            served.publish("unseen")
            head = served.log.head
            served.engine.let_go(1, DRAIN)
            body = b""
            sock.setblocking(False)
            while not body.endswith(b"0\r\n\r\n"):
                await until(lambda: _readable(sock))
                body += sock.recv(1 << 20)
            events = Decoder().feed(unframe(body.partition(b"\r\n\r\n")[2]))
            ids = [int(e.id[2:]) for e in events if isinstance(e, Event)]
            assert ids[-1] == ids[-2] < head
            assert ids[1:-1] == list(range(1, ids[-1] + 1))

    run(main())


def _readable(sock: Any) -> bool:
    import select

    return bool(select.select([sock], [], [], 0)[0])


def test_a_peer_that_does_not_read_holds_nothing(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            for target in ("/events", "/events?handover=1"):
                await served.mute_stream(target)
            await served.stall(2)
            served.engine.let_go(2, DRAIN)
            assert served.engine.lingering_count == 2
            assert served.engine.abort_lingering() == 2
            await until(lambda: served.engine.lingering_count == 0)

    run(main())


def test_a_close_that_does_not_flush_is_cut_at_the_write_timeout(run: Run) -> None:
    async def main() -> None:
        async with serving(StreamSettings(write_timeout_s=0.4)) as served:
            await served.mute_stream("/events")
            await served.stall()
            served.engine.let_go(1, DRAIN)
            assert served.engine.lingering_count == 1
            await until(lambda: served.engine.lingering_count == 0)

    run(main())


def test_a_client_is_ended_with_all_its_streams(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            ended = [await served.stream("/sse/subscribe/1") for _ in range(2)]
            stays = await served.stream("/sse/subscribe/2")
            assert served.engine.end_client("1", Goodbye("ended", 750, 0)) == 2
            assert served.engine.end_client("3", Goodbye("ended", 750, 0)) == 0
            await until(lambda: all(client.ended_cleanly for client in ended))
            served.publish("x")
            await until(lambda: stays.data == ["x"])

    run(main())


def test_a_cut_has_neither_goodbye_nor_end(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(way=way) as served:
            clients = [await served.stream("/events") for _ in range(3)]
            assert served.engine.cut_all() == 3
            await until(lambda: all(client.ended for client in clients))
            for client in clients:
                assert not client.of("shutdown")
                assert not client.ended_cleanly
            await until(lambda: served.engine.lingering_count == 0)
            assert served.engine.ended_total == {"cut": 3}

    run(main())


def test_a_goodbye_without_a_retry_sends_none(run: Run) -> None:
    async def main() -> None:
        bench = Bench(StreamSettings(retry=False))
        _, transport = bench.open()
        bench.engine.reader.append(LogEntry(1, EVERYONE, "x"))
        bench.engine.let_go(1, Goodbye("drain", 0, 0))
        assert b"retry:" not in transport.written
        assert b"event: shutdown" in transport.written

    run(main())

"""Nothing is left of streams that are gone, and those that stay never notice the others."""

import asyncio
import gc
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from engine.enginekit import DRAIN, Bench, FakeSocketTransport, serving
from kit.waiting import until
from uvicorn import Config
from uvicorn.server import ServerState

from tidegate.contract.publish import To
from tidegate.wire.decode import Decoder, Event
from tidegate.wire.http import unframe
from tidegate_sidecar.engine.fast_path import FastPathProtocol
from tidegate_sidecar.engine.http_protocol import HttpProtocol
from tidegate_sidecar.engine.stream import Stream

Run = Callable[[Any], None]

CONNECTS = 100_000


def kinds() -> Counter[str]:
    gc.collect()
    mine = (Stream, FastPathProtocol, HttpProtocol, FakeSocketTransport)
    return Counter(type(o).__name__ for o in gc.get_objects() if isinstance(o, mine))


def test_no_leak_after_100_000_connects_and_disconnects() -> None:
    async def main() -> None:
        bench = Bench()
        config = Config(bench.engine.asgi_app, lifespan="off", log_config=None)
        config.load()
        state = ServerState()
        protocol_class = bench.engine.protocol_class()
        before: int | None = None
        for number in range(CONNECTS):
            transport = FakeSocketTransport()
            protocol = protocol_class(config, state, {}, asyncio.get_running_loop())
            protocol.connection_made(transport)
            path = f"/sse/subscribe/{number % 500}?topic={number % 7}"
            protocol.data_received(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            del protocol
            if number % 3 == 0:
                bench.engine.let_go(1, DRAIN)
            if number % 1000 == 0:
                bench.publish("x")
                await bench.engine.reader.caught_up()
            transport.protocol.connection_lost(None)
            if number == CONNECTS // 10:
                kinds()
                before = len(gc.get_objects())
        del transport
        assert bench.engine.arrived_total == CONNECTS
        assert (bench.engine.open_count, bench.engine.lingering_count) == (0, 0)
        assert sum(bench.engine.ended_total.values()) == CONNECTS
        assert not bench.engine.clients()
        assert not state.connections
        assert not len(bench.engine._registry.audiences)
        assert kinds() == {}
        assert before is not None
        assert len(gc.get_objects()) - before < 1000

    asyncio.run(main())


def test_no_leak_on_real_sockets(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            for _ in range(10):
                clients = await asyncio.gather(
                    *(served.stream(f"/sse/subscribe/{n}?topic=a") for n in range(100))
                )
                served.publish("x", To(topics=("a",)))
                for client in clients:
                    await client.close()
                served.clients.clear()
                await until(lambda: served.engine.open_count == 0)
            assert served.engine.ended_total == {"client": 1000}
            assert served.engine.lingering_count == 0
            del client, clients
            assert kinds()["Stream"] == 0

    run(main())


def test_everything_at_once_and_every_stream_is_exact(run: Run) -> None:
    """Random arrivals, departures, events and goodbyes; whoever stays has no hole, no repeat."""

    async def main() -> None:
        draw = random.Random(7)
        bench = Bench()
        topics = ["a", "b", "c"]
        streams: list[tuple[Any, Any, int, set[str], str]] = []
        ledger: list[tuple[int, To]] = []
        for step in range(3000):
            chance = draw.random()
            if chance < 0.3:
                wanted = {t for t in topics if draw.random() < 0.5}
                client = str(draw.randrange(20))
                query = "&".join(f"topic={t}" for t in sorted(wanted))
                stream, transport = bench.open(f"/sse/subscribe/c{step}-{client}?{query}")
                streams.append((stream, transport, bench.log.head, wanted, stream.client or ""))
            elif chance < 0.45 and streams:
                gone = streams.pop(draw.randrange(len(streams)))
                gone[0].connection_lost(None)
            elif chance < 0.9:
                to = draw.choice(
                    [
                        To(everyone=True),
                        To(topics=tuple(draw.sample(topics, 2))),
                        To(client=draw.choice(streams)[4] if streams else "nobody"),
                    ]
                )
                bench.publish("x", to)
                ledger.append((bench.log.head, to))
            else:
                await asyncio.sleep(0)
        await bench.engine.reader.caught_up()
        for _, transport, since, wanted, client in streams:
            expected = [
                seq
                for seq, to in ledger
                if seq > since
                and (to.everyone or to.client == client or wanted.intersection(to.topics))
            ]
            events = [e for e in Decoder().feed(unframe(transport.written)) if isinstance(e, Event)]
            assert [int(e.id[2:]) for e in events[1:]] == expected
        assert len(streams) == bench.engine.open_count

    run(main())


def test_a_backlog_larger_than_one_write_arrives_whole(run: Run) -> None:
    async def main() -> None:
        bench = Bench()
        _, transport = bench.open()
        for number in range(200):
            bench.publish(f"{number}".ljust(8192))
        await bench.engine.reader.caught_up()
        events = [e for e in Decoder().feed(unframe(transport.written)) if isinstance(e, Event)]
        assert [int(e.id[2:]) for e in events] == list(range(201))
        assert bench.engine.counters["writes"] > 1

    run(main())


def test_comings_and_goings_on_sockets_while_events_flow(run: Run) -> None:
    async def main() -> None:
        async with serving() as served:
            stays = [await served.stream("/events?topic=a") for _ in range(10)]
            done = False

            async def publish() -> None:
                number = 0
                while not done:
                    number += 1
                    served.publish(str(number), To(topics=("a",)))
                    await asyncio.sleep(0)

            async def come_and_go() -> None:
                for _ in range(20):
                    client = await served.stream("/sse/subscribe/1?topic=a")
                    await client.close()

            publishing = asyncio.ensure_future(publish())
            await asyncio.gather(*(come_and_go() for _ in range(8)))
            done = True
            await publishing
            served.publish("end")
            for client in stays:
                await until(lambda c=client: c.raw.endswith(b"data: end\n\n\r\n"))
                ids = [int(event.id[2:]) for event in client.events]
                assert ids == list(range(served.log.head + 1))

    run(main())

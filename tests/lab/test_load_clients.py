"""Load clients: they reconnect as EventSource does, hand over, and count what hurts."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from kit.waiting import until

from tidegate.score.deliveries import Deliveries, Ledger
from tidegate_lab.door import Endpoint, FrontDoor
from tidegate_lab.load.client import Client, World
from tidegate_lab.load.tally import Tally, Window, check_all, latency_p99_s, read_ledger

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
Answer = Callable[["Visit"], Awaitable[None]]


class Visit:
    """One connection of a client, seen by the server."""

    def __init__(self, pod: str, request: str, writer: asyncio.StreamWriter) -> None:
        self.pod = pod
        self.request = request
        self._writer = writer

    def send(self, text: str) -> None:
        data = text.encode()
        self._writer.write(b"%x\r\n%s\r\n" % (len(data), data))

    def raw(self, data: bytes) -> None:
        self._writer.write(data)

    def connected(self, seq: int = 0, retry_ms: int = 10) -> None:
        self.raw(HEAD)
        self.send(f"retry: {retry_ms}\n\n")
        self.send(f"id: e-{seq}\nevent: connected\ndata: {json.dumps({'pod': self.pod})}\n\n")

    def event(self, seq: int) -> None:
        self.send(f"id: e-{seq}\ndata: {seq}\n\n")

    def goodbye(self, seq: int) -> None:
        self.send(f'id: e-{seq}\nretry: 10\nevent: shutdown\ndata: {{"reason":"drain"}}\n\n')

    def end(self) -> None:
        self.raw(b"0\r\n\r\n")

    def cut(self) -> None:
        self._writer.transport.abort()


class Pods:
    """Scripted pods: the n-th connection anywhere gets the n-th answer, then the last for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.visits: list[Visit] = []
        self.endpoints: list[Endpoint] = []
        self._answers = answers
        self._servers: list[asyncio.Server] = []

    async def start(self, *names: str) -> None:
        for name in names:
            server = await asyncio.start_server(partial(self._serve, name), "127.0.0.1", 0)
            self._servers.append(server)
            self.endpoints.append(Endpoint(name, *server.sockets[0].getsockname()[:2]))

    def stop(self) -> None:
        for visit in self.visits:
            visit.cut()
        for server in self._servers:
            server.close()

    async def _serve(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        visit = Visit(name, request, writer)
        self.visits.append(visit)
        answer = self._answers[min(len(self.visits), len(self._answers)) - 1]
        await answer(visit)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World(FrontDoor(1), Tally())
    yield made
    made.stopped = True


async def meet(world: World, pods: Pods, *names: str, handover: bool = False) -> Client:
    await pods.start(*names)
    world.door.apply(pods.endpoints)
    client = Client(world, "ann", ("a", "b"), handover)
    client.open()
    return client


async def stays(visit: Visit) -> None:
    visit.connected()


async def test_a_goodbye_and_its_way_back(world: World) -> None:
    async def first(visit: Visit) -> None:
        visit.connected(seq=5)
        visit.event(6)
        visit.event(9)
        visit.goodbye(11)
        visit.end()

    async def second(visit: Visit) -> None:
        visit.connected(seq=11)
        visit.event(12)

    pods = Pods(first, second)
    client = await meet(world, pods, "one")
    await until(lambda: world.tally.received == 3)
    assert "GET /sse/subscribe/ann?topic=a&topic=b HTTP/1.1" in pods.visits[0].request
    assert "Last-Event-ID" not in pods.visits[0].request
    assert "Last-Event-ID: e-11\r\n" in pods.visits[1].request
    assert (client.moves, client.receipts.first, list(client.receipts.seqs)) == (1, 5, [6, 9, 12])
    tally = world.tally
    assert (tally.cut_without_goodbye, tally.bounced, tally.failed_connects) == (0, 0, 0)
    assert tally.attempts == 1
    assert tally.offline_s[0] >= 0.01
    assert [(c.pod, c.delta) for c in tally.changes] == [("one", 1), ("one", -1), ("one", 1)]
    pods.stop()


async def test_an_end_without_goodbye_is_a_cut(world: World) -> None:
    async def first(visit: Visit) -> None:
        visit.connected()
        visit.cut()

    pods = Pods(first, stays)
    client = await meet(world, pods, "one")
    await until(lambda: client.moves == 1)
    assert world.tally.cut_without_goodbye == 1
    pods.stop()


async def test_a_bounce_is_an_attempt_and_neither_a_move_nor_a_cut(world: World) -> None:
    async def goes(visit: Visit) -> None:
        visit.connected()
        visit.goodbye(1)
        visit.end()

    async def bounces(visit: Visit) -> None:
        visit.raw(HEAD)
        visit.send("retry: 10\nevent: shutdown\ndata: {}\n\n")
        visit.end()

    pods = Pods(goes, bounces, stays)
    client = await meet(world, pods, "one")
    await until(lambda: client.moves == 1)
    tally = world.tally
    assert (tally.attempts, tally.bounced, tally.cut_without_goodbye) == (2, 1, 0)
    pods.stop()


@pytest.mark.parametrize(
    ("answer", "non_200"),
    [
        (b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", 0),
    ],
)
async def test_dead_for_good(world: World, answer: bytes, non_200: int) -> None:
    async def refuses(visit: Visit) -> None:
        visit.raw(answer)

    pods = Pods(refuses)
    client = await meet(world, pods, "one")
    await until(lambda: client.dead)
    assert (world.tally.non_200, world.tally.clients_dead) == (non_200, 1)
    pods.stop()


async def test_a_refused_connection_is_counted_and_tried_again(world: World) -> None:
    async def goes(visit: Visit) -> None:
        visit.connected()
        world.door.apply([])
        visit.goodbye(1)
        visit.end()

    pods = Pods(goes, stays)
    client = await meet(world, pods, "one")
    await until(lambda: world.tally.failures.get("no endpoint", 0) > 0)
    world.door.apply(pods.endpoints)
    await until(lambda: client.moves == 1)
    pods.stop()


async def test_without_a_retry_line_the_browsers_three_seconds_hold(world: World) -> None:
    client = Client(world, "ann", (), handover=False)
    assert client._retry_s == 3.0


async def test_a_handover_is_never_offline(world: World) -> None:
    async def first(visit: Visit) -> None:
        visit.connected()
        world.door.apply([pods.endpoints[1]])
        visit.goodbye(4)

    async def second(visit: Visit) -> None:
        visit.connected(seq=4)

    pods = Pods(first, second)
    await pods.start("old", "new")
    world.door.apply([pods.endpoints[0]])
    client = Client(world, "ann", (), handover=True)
    client.open()
    await until(lambda: world.tally.streams == {"old": 0, "new": 1})
    assert "handover=1" in pods.visits[0].request
    assert "Last-Event-ID: e-4\r\n" in pods.visits[1].request
    assert client.moves == 1
    assert world.tally.offline_s == [0.0]
    assert world.tally.cut_without_goodbye == 0
    pods.stop()


async def test_a_handover_that_bounces_tries_again_and_keeps_the_old_stream(world: World) -> None:
    async def first(visit: Visit) -> None:
        visit.connected()
        visit.goodbye(4)

    async def bounces(visit: Visit) -> None:
        visit.raw(HEAD)
        visit.send("retry: 1\nevent: shutdown\ndata: {}\n\n")
        visit.end()
        world.door.apply([pods.endpoints[1]])

    pods = Pods(first, bounces, stays)
    await pods.start("old", "new")
    world.door.apply([pods.endpoints[0]])
    client = Client(world, "ann", (), handover=True)
    client.open()
    await until(lambda: client.moves == 1)
    assert world.tally.bounced == 1
    assert world.tally.offline_s == [0.0]
    pods.stop()


async def test_repeated_late_and_foreign_events_are_noticed(world: World) -> None:
    async def muddled(visit: Visit) -> None:
        visit.connected(seq=0)
        for seq in (1, 3, 3, 2):
            visit.event(seq)
        visit.send("id: other-4\ndata: x\n\n")
        visit.event(5)

    pods = Pods(muddled)
    client = await meet(world, pods, "one")
    await until(lambda: world.tally.received == 6)
    receipts = client.receipts
    assert (list(receipts.seqs), receipts.repeated, receipts.disordered) == ([1, 3, 5], 1, 1)
    assert world.tally.foreign_events == 1
    ledger = Ledger(read_ledger([(seq, "all", 0.0) for seq in range(1, 6)]), end_s=10.0)
    checked = check_all({"ann": ((), receipts)}, ledger)
    assert checked == Deliveries(received=4, expected=5, lost=2, duplicated=1)
    pods.stop()


async def test_latency_counts_within_its_window_and_never_below_zero(world: World) -> None:
    client = Client(world, "ann", (), handover=False)
    for seq, at in ((1, 10.5), (2, 11.0), (3, 30.0)):
        client.receipts.take(seq, at)
    acked = {1: 10.0, 2: 11.5, 3: 20.0}
    assert latency_p99_s([client.receipts], acked, Window(9.0, 15.0)) == 0.5
    assert latency_p99_s([client.receipts], acked, Window(11.2, 15.0)) == 0.0
    assert latency_p99_s([client.receipts], acked, Window(0.0, 1.0)) is None

"""The front door behaves as a Service with kube-proxy does."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tidegate.contract.errors import SettingsError
from tidegate_lab.door import (
    SYNC_PERIOD_S,
    Candidate,
    Endpoint,
    Forwarder,
    FrontDoor,
    endpoints,
    keep_in_sync,
)

pytestmark = pytest.mark.virtual_time

A, B, C = (Endpoint(name, "127.0.0.1", port) for name, port in (("a", 1), ("b", 2), ("c", 3)))


def candidate(
    endpoint: Endpoint, serving: bool = True, terminating: bool = False, admitted: bool = True
) -> Candidate:
    return Candidate(endpoint, serving, terminating, admitted)


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([candidate(B), candidate(A)], (A, B)),
        ([candidate(A), candidate(B, serving=False)], (A,)),
        ([candidate(A), candidate(B, terminating=True)], (A,)),
        ([candidate(A), candidate(B, admitted=False)], (A,)),
        ([candidate(A, terminating=True), candidate(B, serving=False)], (A,)),
        ([candidate(A, terminating=True, admitted=False)], ()),
        ([], ()),
    ],
    ids=["all", "not ready", "deleted", "not admitted", "fallback", "unlabelled", "none"],
)
def test_who_gets_traffic(candidates: list[Candidate], expected: tuple[Endpoint, ...]) -> None:
    assert endpoints(candidates) == expected


def test_the_choice_is_even_and_seeded() -> None:
    doors = [FrontDoor(7), FrontDoor(7)]
    for door in doors:
        door.apply([A, B, C])
    chosen = [door.choose() for door in doors for _ in range(3000)]
    assert chosen[:3000] == chosen[3000:]
    assert all(900 < count < 1100 for count in Counter(chosen[:3000]).values())


def test_an_empty_service_refuses() -> None:
    assert FrontDoor(1).choose() is None


async def test_changes_are_taken_up_once_a_second_and_not_before() -> None:
    current: tuple[Endpoint, ...] = (A,)
    taken: list[tuple[float, tuple[Endpoint, ...]]] = []
    clock = asyncio.get_running_loop().time

    async def take_up(known: tuple[Endpoint, ...]) -> None:
        taken.append((clock(), known))

    syncing = asyncio.create_task(keep_in_sync(lambda: current, take_up))
    await asyncio.sleep(0.05)
    current = (B,)
    async with asyncio.timeout(3):
        while True:
            if len(taken) == 2:
                break
            await asyncio.sleep(0.01)
    syncing.cancel()
    await asyncio.gather(syncing, return_exceptions=True)
    assert [known for _, known in taken] == [(A,), (B,)]
    assert taken[1][0] - taken[0][0] == pytest.approx(SYNC_PERIOD_S, abs=0.2)


async def test_the_forwarder_passes_bytes_both_ways_and_ends_with_the_pod() -> None:
    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"you said " + await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(pod, "127.0.0.1", 0)
    door = FrontDoor(1)
    door.apply([Endpoint("a", "127.0.0.1", server.sockets[0].getsockname()[1])])
    forwarder = Forwarder(door)
    port = await forwarder.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\n")
    assert await asyncio.wait_for(reader.read(), 5) == b"you said hello\n"
    writer.close()
    await forwarder.stop()
    server.close()


async def test_nobody_there_closes_the_connection() -> None:
    forwarder = Forwarder(FrontDoor(1))
    port = await forwarder.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await forwarder.stop()


async def test_a_port_in_use_is_said_with_the_way_out() -> None:
    forwarder = Forwarder(FrontDoor(1))
    port = await forwarder.start("127.0.0.1", 0)
    with pytest.raises(SettingsError, match="--port"):
        await Forwarder(FrontDoor(1)).start("127.0.0.1", port)
    await forwarder.stop()

"""A log of three replicas: without a quorum nothing is taken for stored, a new leader keeps ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from backplane.conftest import Everyone, World
from kit.nats_server import NatsServer
from kit.ports import free_ports
from kit.waiting import until
from nats.js.errors import Error as JetStreamError

from tidegate.contract.errors import BackplaneUnavailableError

MIB = 2**20


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[list[NatsServer]]:
    """Three servers, and the stream with a replica on each."""
    ports = free_ports(3)
    routes = ", ".join(f"nats-route://127.0.0.1:{port}" for port in ports)
    servers = [
        NatsServer(
            tmp_path / f"nats{n}",
            more=f"server_name: n{n}\n"
            f"cluster {{ name: c, listen: 127.0.0.1:{port}, routes: [{routes}] }}",
        )
        for n, port in enumerate(ports)
    ]
    await asyncio.gather(*(server.start() for server in servers))
    async with await nats.connect(servers[0].url) as connection:

        async def made() -> bool:
            try:
                await connection.jetstream().add_stream(
                    name="APP", subjects=["tidegate.APP"], num_replicas=3, max_bytes=16 * MIB
                )
            except (JetStreamError, nats.errors.Error):
                return False
            return True

        await until(made, every_s=0.2)
    yield servers
    for server in servers:
        await server.stop()


async def leader_of(servers: list[NatsServer]) -> int:
    urls = [server.url for server in servers]
    async with await nats.connect(urls) as connection:
        info = await connection.jetstream().stream_info("APP")
    assert info.cluster is not None
    return int(str(info.cluster.leader)[1:])


async def test_without_a_quorum_nothing_is_acknowledged(
    servers: list[NatsServer], everyone: Everyone
) -> None:
    world = World(servers[0])
    pod, reader = await world.pod(append_timeout_s=1.0, attempt_timeout_s=0.4)
    await pod.append(everyone("with"))
    for server in servers[1:]:
        await server.kill()
    with pytest.raises(BackplaneUnavailableError):
        await pod.append(everyone("without", key="k"))
    await asyncio.gather(*(server.start() for server in servers[1:]))

    async def stored() -> bool:
        try:
            await pod.append(everyone("without", key="k"))
        except BackplaneUnavailableError:
            return False
        return True

    await until(stored)
    await reader.until(lambda r: r.data == ["with", "without"])
    await world.stop()


async def test_every_id_that_was_answered_is_the_stored_events_after_a_new_leader(
    servers: list[NatsServer], everyone: Everyone
) -> None:
    leader = await leader_of(servers)
    urls = ",".join(server.url for server in servers)
    world = World(servers[0])
    pod, reader = await world.pod(url=urls, append_timeout_s=30.0)
    publishing = [
        asyncio.create_task(pod.append(everyone(str(n), key=f"k{n}" if n % 2 else None)))
        for n in range(500)
    ]
    await reader.until(lambda r: len(r.entries) > 20)
    await servers[leader].kill()
    cursors = await asyncio.gather(*publishing)
    await reader.until(lambda r: len(r.entries) >= 500)
    assert {entry.seq: entry.data for entry in reader.entries} == {
        cursor.seq: str(n) for n, cursor in enumerate(cursors)
    }
    await world.stop()

"""Two real pods on one real NATS server: one order, one set of ids, a move without a seam."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from kit.nats_server import NatsServer
from kit.sidecar_process import SidecarProcess


@pytest_asyncio.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


def ids(text: bytes) -> list[str]:
    return [i.decode() for i in re.findall(rb"id: (\S+)\ndata:", text)]


async def test_a_client_moves_between_pods_and_misses_and_repeats_nothing(
    nats_server: NatsServer,
) -> None:
    shared = {"TIDEGATE_BACKPLANE": nats_server.url, "TIDEGATE_LINGER_S": "0"}
    short = {"TIDEGATE_GRACE_S": "6", "TIDEGATE_RESERVE_S": "5"}
    async with SidecarProcess(**shared, **short) as one, SidecarProcess(**shared) as two:
        await asyncio.gather(one.until_ready(), two.until_ready())
        published = [(await one.publish(str(i))).json()["id"] for i in range(5)]
        before = await one.stream()
        for i in range(5, 10):
            published.append((await two.publish(str(i))).json()["id"])
        await before.until(b"data: 9")
        assert (await one.drain()).status_code == 200
        text = await before.until_end()
        published.append((await two.publish("10")).json()["id"])
        cursor = re.findall(rb"id: (\S+)\nevent: shutdown", text)[0].decode()
        after = await two.stream(cursor=cursor)
        published.append((await two.publish("11")).json()["id"])
        await after.until(b"data: 11")
        assert ids(text) + ids(after.received) == published[5:]
        assert b"event: gap" not in text + after.received


async def test_a_broker_that_goes_away_takes_no_stream_and_no_readiness_with_it(
    nats_server: NatsServer,
) -> None:
    async with SidecarProcess(TIDEGATE_BACKPLANE=nats_server.url) as pod:
        await pod.until_ready()
        stream = await pod.stream()
        await nats_server.kill()
        await pod.until_status(lambda status: status["degraded"])
        assert (await pod.get("admin", "/readyz")).status_code == 200
        late = await pod.stream()
        waiting = asyncio.create_task(pod.publish("through"))
        await nats_server.start()
        assert (await waiting).status_code == 202
        for one in (stream, late):
            await one.until(b"data: through")
        assert not stream.ended

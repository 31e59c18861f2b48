"""One of two sidecars behind a proxy drains and goes: no event is lost and no error is seen."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from kit.nats_server import NatsServer
from kit.sidecar_process import SidecarProcess, ready
from proxies.doors import Through, door

from tidegate_client import Lost, Opened, Settings, SseClient

CLIENTS = 12
DURING, AFTER = 30, 20
SHORT = {"TIDEGATE_LINGER_S": "0", "TIDEGATE_GRACE_S": "5.6", "TIDEGATE_RESERVE_S": "5"}


@pytest_asyncio.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


@dataclass
class Followed:
    """What one client saw: application data in order, the pods it was on, what it lost."""

    data: list[str] = field(default_factory=list)
    pods: list[str] = field(default_factory=list)
    losses: list[Lost] = field(default_factory=list)
    gaps: int = 0


@contextlib.asynccontextmanager
async def followers(port: int) -> AsyncIterator[list[Followed]]:
    """Half of the clients hand over, half break before they make."""
    seen = [Followed() for _ in range(CLIENTS)]

    async def follow(one: Followed, *, handover: bool) -> None:
        def change(what: Opened | Lost) -> None:
            if isinstance(what, Lost):
                one.losses.append(what)

        settings = Settings(initial_delay_ms=100, handover=handover)
        url = f"http://127.0.0.1:{port}/events"
        client = SseClient(url, settings=settings, controls=True, on_change=change)
        async with client:
            async for event in client:
                if event.type == "connected":
                    one.pods.append(json.loads(event.data)["pod"])
                elif event.type == "message":
                    one.data.append(event.data)
                one.gaps += event.type == "gap"

    tasks = [
        asyncio.create_task(follow(one, handover=bool(number % 2)))
        for number, one in enumerate(seen)
    ]
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def publish(pod: SidecarProcess, numbers: range, every_s: float) -> None:
    for number in numbers:
        assert (await pod.publish(str(number))).status_code == 202
        await asyncio.sleep(every_s)


@pytest.mark.parametrize("kind", ["nginx-buffering-on", "haproxy"])
async def test_a_drained_and_gone_sidecar_costs_nobody_an_event_or_an_error(
    kind: str, tmp_path: Path, nats_server: NatsServer
) -> None:
    shared = {"TIDEGATE_BACKPLANE": nats_server.url, "TIDEGATE_RETRY_BASE_MS": "200"}
    one = SidecarProcess(**shared, **SHORT, TIDEGATE_POD_NAME="one")
    two = SidecarProcess(**shared, TIDEGATE_POD_NAME="two")
    async with ready(one, two), door(kind, tmp_path, one, two) as port:
        async with followers(port) as seen, asyncio.timeout(90):
            while not all(client.pods for client in seen):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert {client.pods[0] for client in seen} == {"one", "two"}
            publishing = asyncio.create_task(publish(two, range(DURING), every_s=0.03))
            await one.drain()
            one.signal()
            assert await one.exit_status() == 0
            await publishing
            # Nobody listens at one of the two addresses any more.
            for _ in range(6):
                stream = await Through().open(port, two)
                await stream.until_event('"pod":"two"')
                await stream.raw.close()
            # Heartbeats are 15 s apart: the proxy tells the sidecar of those who left.
            await two.until_streams(CLIENTS, within_s=10)
            await publish(two, range(DURING, DURING + AFTER), every_s=0.005)
            expected = [str(number) for number in range(DURING + AFTER)]
            while not all(client.data[-1:] == expected[-1:] for client in seen):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for client in seen:
            assert client.data == expected
            assert client.gaps == 0
            assert client.pods[-1] == "two"
            assert {loss.reason for loss in client.losses} <= {"planned", "bounce"}
            assert {loss.status for loss in client.losses} <= {0, 200}
    if kind != "haproxy":
        statuses = (tmp_path / kind / "statuses.log").read_text().split()
        assert set(statuses) == {"200"}


async def test_haproxy_sends_nobody_to_a_draining_sidecar_unless_there_is_no_other(
    tmp_path: Path,
) -> None:
    """Where both drain, a browser hears of it by a 200, and not by HAProxy's 503."""
    one, two = SidecarProcess(), SidecarProcess()
    async with ready(one, two):
        async with door("haproxy", tmp_path, one, two) as port, asyncio.timeout(60):
            hooks = [asyncio.create_task(one.drain())]
            while len(set(await _first_words(port, two))) > 1:
                pass
            assert await _first_words(port, two) == ["event: connected"] * 8
            hooks.append(asyncio.create_task(two.drain()))
            for _ in range(3):  # past the next check
                assert "event: shutdown" in await _first_words(port, two)
                await asyncio.sleep(0.25)
        for hook in hooks:
            hook.cancel()
        await asyncio.gather(*hooks, return_exceptions=True)


async def _first_words(port: int, pod: SidecarProcess) -> list[str]:
    """Open eight streams one after the other; returns each one's first event."""
    words = []
    for _ in range(8):
        stream = await Through().open(port, pod)
        while not stream.events:
            await stream.raw.more()
        assert " 200 " in stream.head
        words.append(f"event: {stream.events[0].type}")
        await stream.raw.close()
    return words

"""The two backplanes behind one set of fixtures; NATS is a real server with its own directory."""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from kit.nats_server import NatsServer
from kit.recorder import Recorder

from tidegate.contract.acknowledge import StreamKey
from tidegate.contract.publish import Publish, To
from tidegate.wire.cursors import Cursor
from tidegate_sidecar.backplane.jetstream import make_jetstream_backplane
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings
from tidegate_sidecar.backplane.memory import make_memory_backplane
from tidegate_sidecar.backplane.port import Backplane, Problem


class Everyone(Protocol):
    """Makes an event for every stream."""

    def __call__(
        self, data: str, *, key: str | None = None, event: str | None = None
    ) -> Publish: ...


class Pod:
    """A backplane as a test uses it: the three ports at one name."""

    def __init__(self, backplane: Backplane) -> None:
        log, self.acks, self.health = backplane
        self.append, self.start, self.stop = log.append, log.start, log.stop
        self.acknowledged = self.acks.read
        self.may_have_evicted = self.acks.may_have_evicted

    async def acknowledge(self, key: StreamKey, cursor: Cursor, epoch: str | None = None) -> None:
        await self.acks.keep(key, cursor, cursor.epoch if epoch is None else epoch)

    @property
    def degraded(self) -> bool:
        return self.health.degraded

    @property
    def problem(self) -> Problem | None:
        return self.health.problem

    @property
    def counters(self) -> Mapping[str, int]:
        return self.health.counters

    @property
    def canary_delay_s(self) -> float | None:
        return self.health.canary_delay_s


class World:
    """Makes backplanes (pods of one application) and stops them all at the end."""

    def __init__(self, server: NatsServer | None = None) -> None:
        self._server = server
        self.made: list[Pod] = []

    @property
    def server(self) -> NatsServer:
        assert self._server is not None, "the memory log has no server"
        return self._server

    def settings(self, **more: Any) -> JetStreamSettings:
        given: dict[str, Any] = {"url": self.server.url, "stream": "APP", "ring_events": 1000}
        given |= {"ring_bytes": 2**21, "kept_rings": 5.0, "append_timeout_s": 60.0}
        return JetStreamSettings(**given | more)

    async def pod(self, start: bool = True, **more: Any) -> tuple[Pod, Recorder]:
        if self._server is None:
            backplane = make_memory_backplane(time.monotonic, epoch_seed=time.time_ns())
        else:
            name = uuid.uuid4().hex
            backplane = make_jetstream_backplane(self.settings(**more), time.monotonic, name)
        pod, reader = Pod(backplane), Recorder()
        self.made.append(pod)
        if start:
            await pod.start(reader)
            await reader.until(lambda r: r.is_filled)
        return pod, reader

    async def stop(self) -> None:
        for backplane in self.made:
            await backplane.stop()


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def nats_world(server: NatsServer) -> AsyncIterator[World]:
    world = World(server)
    yield world
    await world.stop()


@pytest_asyncio.fixture(params=["memory", "nats"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    server = None
    if request.param == "nats":
        server = NatsServer(tmp_path / "nats")
        await server.start()
    world = World(server)
    yield world
    await world.stop()
    if server is not None:
        await server.stop()


@pytest.fixture
def everyone() -> Everyone:
    return functools.partial(Publish, To(everyone=True))

"""The two backplanes behind one set of fixtures; NATS is a real server with its own directory."""

import itertools
import time

import pytest
import pytest_asyncio
from kit.nats_server import NatsServer
from kit.recorder import Recorder

from tidegate_sidecar.backplane.jetstream.log import JetStreamBackplane
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings
from tidegate_sidecar.backplane.memory.log import MemoryBackplane


class World:
    """Makes backplanes (pods of one application) and stops them all at the end."""

    def __init__(self, server=None):
        self.server = server
        self.made = []
        self._number = itertools.count()

    def settings(self, **more):
        told = {"url": self.server.url, "stream": "APP", "ring_events": 1000}
        told |= {"keep_events": 5000, "keep_bytes": 2**24, "append_timeout_s": 10.0}
        return JetStreamSettings(**told | more)

    async def pod(self, start=True, **more):
        if self.server is None:
            backplane = MemoryBackplane(time.monotonic, epoch_seed=time.time_ns())
        else:
            name = f"pod{next(self._number)}"
            backplane = JetStreamBackplane(self.settings(**more), time.monotonic, name)
        reader = Recorder()
        self.made.append(backplane)
        if start:
            await backplane.start(reader)
            await reader.until(lambda r: r.is_filled)
        return backplane, reader

    async def stop(self):
        for backplane in self.made:
            await backplane.stop()


@pytest_asyncio.fixture
async def server(tmp_path):
    server = NatsServer(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def nats_world(server):
    world = World(server)
    yield world
    await world.stop()


@pytest_asyncio.fixture(params=["memory", "nats"])
async def world(request, tmp_path):
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
def everyone():
    from tidegate.contract.publish import Publish, To

    return lambda data, **more: Publish(To(everyone=True), data, **more)

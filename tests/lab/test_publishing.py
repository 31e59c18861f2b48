"""The publisher: steady, several in flight, and again on another pod under the same key."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from kit.waiting import until

from tidegate.contract.publish import To
from tidegate_lab.load.population import audiences, population
from tidegate_lab.publisher import Publisher

pytestmark = pytest.mark.virtual_time


class App:
    """An app that answers with one status and remembers what it was asked."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.asked: list[dict[str, Any]] = []
        self.port = 0
        self.answering = asyncio.Event()
        self.answering.set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        self.asked.append(json.loads(await reader.readexactly(length)))
        await self.answering.wait()
        body = json.dumps({"id": f"epoch-{len(self.asked)}"}).encode()
        writer.write(b"HTTP/1.1 %d X\r\nConnection: close\r\n" % self.status)
        writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()


@pytest.fixture
async def apps() -> AsyncIterator[tuple[App, App]]:
    good, bad = App(202), App(503)
    await good.start()
    await bad.start()
    yield good, bad
    good.stop()
    bad.stop()


async def publish(publisher: Publisher, at_least: int) -> None:
    running = asyncio.create_task(publisher.run())
    await until(lambda: len(publisher.ledger) >= at_least)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_is_acknowledged_enters_the_ledger(apps: tuple[App, App]) -> None:
    good, _ = apps
    to = itertools.repeat(To(client="ann"))
    publisher = Publisher(lambda: [good.port], to, 100.0, "run")
    await publish(publisher, 5)
    sequence, audience, acked_s = publisher.ledger[0]
    assert (sequence, audience) == (1, {"client": "ann"})
    assert acked_s > 0
    assert [asked["key"] for asked in good.asked[:3]] == ["run-0", "run-1", "run-2"]


async def test_a_refusal_is_tried_elsewhere_under_the_same_key(apps: tuple[App, App]) -> None:
    good, bad = apps
    to = itertools.repeat(To(everyone=True))
    publisher = Publisher(lambda: [bad.port, good.port], to, 50.0, "run")
    await publish(publisher, 10)
    refused = {asked["key"] for asked in bad.asked}
    assert refused
    assert publisher.retried >= len(refused)
    acknowledged = [asked["key"] for asked in good.asked]
    assert len(acknowledged) == len(set(acknowledged))
    assert len(refused - set(acknowledged)) <= 2  # the last may have been in flight at the end


async def test_an_app_that_is_gone_loses_nothing(apps: tuple[App, App]) -> None:
    good, gone = apps
    gone.stop()
    publisher = Publisher(lambda: [gone.port, good.port], itertools.repeat(To(client="a")), 50, "r")
    await publish(publisher, 10)
    assert publisher.unacknowledged == 0


async def test_a_long_outage_is_made_up_for_at_once(apps: tuple[App, App]) -> None:
    app, _ = apps
    app.answering.clear()
    publisher = Publisher(lambda: [app.port], itertools.repeat(To(everyone=True)), 100.0, "run")
    running = asyncio.create_task(publisher.run())
    await until(lambda: publisher.retried >= 50)  # the first fifty have timed out
    published = len({asked["key"] for asked in app.asked})
    assert published > 200
    app.answering.set()
    await until(lambda: len(publisher.ledger) >= published, within_s=4)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_the_same_seed_gives_the_same_people_and_audiences() -> None:
    people = population(200, 0.1, seed=3)
    assert people == population(200, 0.1, seed=3)
    assert people != population(200, 0.1, seed=4)
    assert sum(person.handover for person in people) == 20
    first = list(itertools.islice(audiences(people, 3), 300))
    assert first == list(itertools.islice(audiences(people, 3), 300))
    assert {to.everyone for to in first} == {True, False}
    assert any(to.client for to in first)
    assert any(len(to.topics) == 2 for to in first)

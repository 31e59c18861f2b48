"""Both clients against real sidecars on one log: a drain under their feet, and what stops them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from kit.front_door import front_door
from kit.nats_server import NatsServer
from kit.node_tools import PACKAGE
from kit.runtimes import command
from kit.sidecar_process import SidecarProcess
from kit.waiting import until

from tidegate_client import Lost, Opened, Settings, SseClient, StreamStoppedError

CLIENTS = 20
EVENTS = 200

Record = dict[str, Any]


@pytest_asyncio.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[Any]:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


Follower = Callable[[str], contextlib.AbstractAsyncContextManager[list[Record]]]


@contextlib.asynccontextmanager
async def followed_by_python(url: str) -> AsyncIterator[list[Record]]:
    """Follow a URL with `CLIENTS` Python clients; yields what they say, as it comes."""
    records: list[Record] = []

    def change(number: int, what: Opened | Lost) -> None:
        kind = "open" if isinstance(what, Opened) else "error"
        records.append({"client": number, "type": kind, "what": repr(what)})

    async def follow(number: int) -> None:
        client = SseClient(
            f"{url}&client={number}",
            settings=Settings(initial_delay_ms=100, handover=True),
            controls=True,
            on_change=lambda what: change(number, what),
        )
        async with client:
            async for event in client:
                record = {"client": number, "type": event.type, "data": event.data}
                records.append({**record, "lastEventId": event.id})

    tasks = [asyncio.create_task(follow(number)) for number in range(CLIENTS)]
    try:
        yield records
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def followed_by_typescript(runtime: str, url: str) -> AsyncIterator[list[Record]]:
    """The same with TypeScript clients in one process of a runtime."""
    records: list[Record] = []
    process = await asyncio.create_subprocess_exec(
        *command(runtime),
        "scripts/follow.mjs",
        *(f"{url}&client={number}" for number in range(CLIENTS)),
        cwd=PACKAGE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    async def read(lines: asyncio.StreamReader) -> None:
        async for line in lines:
            records.append(json.loads(line))

    reading = asyncio.create_task(read(process.stdout))
    try:
        yield records
    finally:
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 30)
        if process.returncode is None:
            process.kill()
            await process.wait()
        await reading


FOLLOWERS: dict[str, Follower] = {
    "python": followed_by_python,
    **{
        runtime: functools.partial(followed_by_typescript, runtime)
        for runtime in ("node", "node 18", "deno", "bun")
    },
}


@dataclass(frozen=True)
class Drained:
    """What the clients of each follower said from the drain on, and the ids published meanwhile."""

    records: dict[str, list[Record]]
    published: list[str]
    missing: dict[str, str]
    """Why a follower was not there."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def drained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Drained:
    """One drain under the clients of all followers, as starting and draining pods takes long."""
    missing = {name: reason for name in FOLLOWERS if (reason := _missing(name, request))}
    nats_server = NatsServer(tmp_path_factory.mktemp("nats"))
    await nats_server.start()
    shared = {"TIDEGATE_BACKPLANE": nats_server.url, "TIDEGATE_LINGER_S": "0"}
    # Over well before the deadline, or the last to go would have a moment only to open the next.
    short = {"TIDEGATE_GRACE_S": "12", "TIDEGATE_RESERVE_S": "5", "TIDEGATE_LOCAL_WINDOW_S": "2"}
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(nats_server.stop)
        one = await stack.enter_async_context(
            SidecarProcess(**shared, **short, TIDEGATE_POD_NAME="one")
        )
        two = await stack.enter_async_context(SidecarProcess(**shared, TIDEGATE_POD_NAME="two"))
        door = await stack.enter_async_context(front_door(one.listening["public"]))
        await asyncio.gather(one.until_ready(), two.until_ready())
        url = f"http://127.0.0.1:{door.port}/events?topic=a"
        records = {
            name: await stack.enter_async_context(follower(url))
            for name, follower in FOLLOWERS.items()
            if name not in missing
        }
        await until(lambda: all(_count(r, "connected") >= CLIENTS for r in records.values()))
        start = {name: len(said) for name, said in records.items()}
        door.target_port = two.listening["public"]
        draining = asyncio.create_task(one.drain())
        published = []
        for number in range(EVENTS):
            published.append((await two.publish(str(number), {"topics": ["a"]})).json()["id"])
            await asyncio.sleep(0.01)
        assert (await draining).status_code == 200
        wanted = CLIENTS * EVENTS
        await until(lambda: all(_count(r, "message") >= wanted for r in records.values()))
        during = {name: said[start[name] :] for name, said in records.items()}
    return Drained(during, published, missing)


def _missing(follower: str, request: pytest.FixtureRequest) -> str:
    """Why a follower cannot run here; empty where it can."""
    if follower == "python":
        return ""
    try:
        request.getfixturevalue("built")
        command(follower)
    except pytest.skip.Exception as skipped:
        return str(skipped)
    return ""


@pytest.mark.parametrize("follower", FOLLOWERS)
def test_a_drain_moves_every_client_once_and_nobody_notices(
    drained: Drained, follower: str
) -> None:
    if follower in drained.missing:
        pytest.skip(drained.missing[follower])
    during = drained.records[follower]
    assert not [r for r in during if r["type"] in ("error", "open", "gap")]
    for number in range(CLIENTS):
        mine = [r for r in during if r["client"] == number]
        ids = [r["lastEventId"] for r in mine if r["type"] == "message"]
        assert ids == drained.published, f"client {number}"
        pods = [json.loads(r["data"])["pod"] for r in mine if r["type"] == "connected"]
        assert pods == ["two"], f"client {number}"


async def test_clients_stop_at_what_cannot_be_mended() -> None:
    async with SidecarProcess() as pod, httpx2.AsyncClient() as http:
        await pod.until_ready()
        for path, status in (("/nowhere", 404), ("/events?topic=a%20b", 400)):
            async with SseClient(pod.url("public", path), http=http) as client:
                with pytest.raises(StreamStoppedError) as stopped:
                    await anext(client)
            assert (stopped.value.reason, stopped.value.status) == ("refused", status)


async def test_an_unannounced_death_is_survived_by_cursor(nats_server: Any) -> None:
    shared = {"TIDEGATE_BACKPLANE": nats_server.url}
    changes: list[Opened | Lost] = []
    async with (
        SidecarProcess(**shared) as one,
        SidecarProcess(**shared) as two,
        front_door(one.listening["public"]) as door,
    ):
        await asyncio.gather(one.until_ready(), two.until_ready())
        url = f"http://127.0.0.1:{door.port}/events?topic=a"
        async with SseClient(url, on_change=changes.append) as client:
            await until(lambda: client.last_event_id != "")
            published = [(await two.publish("1")).json()["id"]]
            received = [(await anext(client)).id]
            door.target_port = two.listening["public"]
            one.process.kill()
            await one.process.wait()
            published += [(await two.publish(str(n))).json()["id"] for n in range(2, 5)]
            received += [(await anext(client)).id for _ in range(3)]
            assert received == published
    lost = changes[1]
    assert isinstance(lost, Lost)
    assert lost.reason in ("eof", "error")
    assert lost.attempt == 1


def _count(records: list[Record], kind: str) -> int:
    return sum(record["type"] == kind for record in records)

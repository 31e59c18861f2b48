"""Both languages, two real pods, one real NATS: acknowledged on one, restarted onto the other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from kit.front_door import front_door
from kit.nats_server import NatsServer
from kit.node_tools import PACKAGE, find_node
from kit.sidecar_process import SidecarProcess

from tidegate_client import AcknowledgingSseClient, Settings, SyncAcknowledgingSseClient

PATH = "/sse/subscribe/42?stream=orders"
QUICK: dict[str, Any] = {"settings": Settings(initial_delay_ms=100)}
Seen = list[str]
"""The data of what a client received in one life."""


@pytest_asyncio.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[Any]:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


async def python_run(url: str, last: str) -> Seen:
    """One life of a Python client; it leaves at `last`, without finishing it."""
    seen: Seen = []
    async with AcknowledgingSseClient(url, **QUICK) as client:
        async for event in client:
            seen.append(event.data)
            if event.data == last:
                break
    return seen


async def sync_run(url: str, last: str) -> Seen:
    """The same from a thread."""

    def run() -> Seen:
        seen: Seen = []
        with SyncAcknowledgingSseClient(url, **QUICK) as client:
            for event in client:
                seen.append(event.data)
                if event.data == last:
                    break
        return seen

    return await asyncio.to_thread(run)


async def typescript_run(url: str, last: str) -> Seen:
    """The same in Node."""
    process = await asyncio.create_subprocess_exec(
        find_node(),
        "scripts/acknowledge.mjs",
        url,
        last,
        cwd=PACKAGE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return [json.loads(line)["data"] for line in out.splitlines()]


RUNS: dict[str, Callable[[str, str], Coroutine[None, None, Seen]]] = {
    "python": python_run,
    "python, sync": sync_run,
    "typescript": typescript_run,
}


@pytest.mark.parametrize("language", RUNS)
async def test_a_restart_goes_on_at_the_event_that_was_not_finished(
    nats_server: Any, language: str, request: pytest.FixtureRequest
) -> None:
    if language == "typescript":
        request.getfixturevalue("built")
    run = RUNS[language]
    shared = {"TIDEGATE_BACKPLANE": nats_server.url}
    async with (
        SidecarProcess(**shared) as one,
        SidecarProcess(**shared) as two,
        front_door(one.listening["public"]) as door,
    ):
        await asyncio.gather(one.until_ready(), two.until_ready())
        url = f"http://127.0.0.1:{door.port}{PATH}"
        first = asyncio.create_task(run(url, "b"))
        await one.until_clients(1)
        await publish(one, "a", "b")
        assert await first == ["a", "b"]
        door.target_port = two.listening["public"]
        await publish(one, "c")
        assert await run(url, "c") == ["b", "c"], "b was not finished: it comes again"
        door.target_port = one.listening["public"]
        await publish(two, "d")
        assert await run(url, "d") == ["c", "d"]
        await one.until_clients(0)
        other = asyncio.create_task(run(url.replace("orders", "other"), "e"))
        await one.until_clients(1)
        await publish(two, "e")
        assert await other == ["e"], "another name begins at the head"


async def publish(pod: SidecarProcess, *texts: str) -> None:
    for text in texts:
        assert (await pod.publish(text, {"client": "42"})).status_code == 202

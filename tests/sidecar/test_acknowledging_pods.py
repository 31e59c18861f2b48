"""Real pods on one real NATS server: acknowledged on one, resumed on the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from kit.nats_server import NatsServer
from kit.sidecar_process import SidecarProcess
from kit.waiting import until

ACK = "/sse/subscribe/42/ack?stream=orders"
NAMED = "/sse/subscribe/42?stream=orders"


@pytest_asyncio.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


async def acknowledge(pod: SidecarProcess, event_id: str, path: str = ACK) -> httpx2.Response:
    return await pod.http.post(pod.url("public", path), json={"id": event_id})


async def publish(pod: SidecarProcess, *texts: str) -> list[str]:
    return [(await pod.publish(text, {"client": "42"})).json()["id"] for text in texts]


async def test_a_client_without_a_cursor_goes_on_on_another_pod_where_it_acknowledged(
    nats_server: NatsServer,
) -> None:
    shared = {"TIDEGATE_BACKPLANE": nats_server.url}
    async with SidecarProcess(**shared) as one, SidecarProcess(**shared) as two:
        await asyncio.gather(one.until_ready(), two.until_ready())
        first = await one.stream(NAMED)
        ids = await publish(one, "a", "b", "c")
        await first.until(b"data: c")
        assert (await acknowledge(one, ids[1])).status_code == 204
        await first.close()
        await publish(one, "d")
        again = await two.stream(NAMED)
        await again.until(b"data: d")
        assert b"data: c" in again.received
        assert b"data: b" not in again.received
        assert b"event: gap" not in again.received
        other = await two.stream("/sse/subscribe/42?stream=else")
        plain = await two.stream("/sse/subscribe/42")
        await publish(two, "e")
        for stream in (other, plain):
            await stream.until(b"data: e")
            assert b"data: c" not in stream.received


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_what_the_port_answers(loop: str) -> None:
    async with SidecarProcess(loop) as pod:
        await pod.until_ready()
        ids = await publish(pod, "a", "b")
        answer = await acknowledge(pod, ids[0])
        assert (answer.status_code, answer.content) == (204, b"")
        url = pod.url("public", ACK)
        for wanted, answer in (
            (400, await acknowledge(pod, "nonsense")),
            (400, await acknowledge(pod, ids[0], "/sse/subscribe/42/ack")),
            (400, await acknowledge(pod, ids[0], "/sse/subscribe/a%2Fb/ack?stream=s")),
            (413, await pod.http.post(url, content=b"x" * 2000)),
            (405, await pod.http.get(url)),
            (405, await pod.http.put(url, json={"id": ids[0]})),
            (404, await pod.http.post(pod.url("public", "/ack"), json={"id": ids[0]})),
        ):
            assert answer.status_code == wanted
            assert set(answer.json()) == {"error", "detail", "field"}
        stream = await pod.stream(NAMED)
        await stream.until(b"data: b")
        assert b"data: a" not in stream.received


async def test_without_the_broker_acknowledging_waits_and_nothing_else_breaks(
    nats_server: NatsServer,
) -> None:
    async with SidecarProcess(TIDEGATE_BACKPLANE=nats_server.url) as pod:
        await pod.until_ready()
        stream = await pod.stream(NAMED)
        (first,) = await publish(pod, "a")
        assert (await acknowledge(pod, first)).status_code == 204
        await nats_server.kill()
        await pod.until_status(lambda status: status["degraded"])
        answer = await acknowledge(pod, first)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error"] == "unavailable"
        bounced = await pod.stream(NAMED, read=False)
        text = await bounced.until_end()
        assert text.startswith(b"HTTP/1.1 200")
        assert b'"reason":"unavailable"' in text
        assert b"retry:" in text
        resumed = await pod.stream(NAMED, cursor=first)
        plain = await pod.stream("/events")
        assert (await pod.get("admin", "/readyz")).status_code == 200
        await nats_server.start()

        async def is_stored() -> bool:
            return (await acknowledge(pod, first)).status_code == 204

        await until(is_stored)
        await pod.publish("b")
        for one in (stream, resumed, plain, await pod.stream(NAMED)):
            await one.until(b"data: b")


async def held_acknowledgements(
    pod: SidecarProcess, event_id: str
) -> set[asyncio.Task[httpx2.Response]]:
    """As many as a pod holds for one stream: the next one is refused, so these have arrived."""
    while True:
        tasks = [asyncio.create_task(acknowledge(pod, event_id)) for _ in range(9)]
        done, held = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if [task.result().status_code for task in done] == [429]:
            return held
        await asyncio.gather(*tasks)


async def test_a_pod_that_ends_answers_what_it_holds(nats_server: NatsServer) -> None:
    shared = {"TIDEGATE_BACKPLANE": nats_server.url}
    async with SidecarProcess(**shared) as one, SidecarProcess(**shared) as two:
        await asyncio.gather(one.until_ready(), two.until_ready())
        ids = await publish(one, "a", "b", "c")
        assert (await acknowledge(one, ids[0])).status_code == 204
        held = await held_acknowledgements(one, ids[1])
        one.signal()
        assert {answer.status_code for answer in await asyncio.gather(*held)} == {204}
        assert await one.exit_status() == 0
        again = await two.stream(NAMED)
        await again.until(b"data: c")
        assert b"data: b" not in again.received

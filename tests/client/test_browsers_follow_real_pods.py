"""A real browser on real pods: the native EventSource and the TypeScript client, tabs, and CSP.

A whole rollout with a page in it is `e2e/test_browser_rollout.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from kit.browsers import browser_context, open_page, until_true
from kit.front_door import front_door
from kit.nats_server import NatsServer
from kit.sidecar_process import SidecarProcess

EVENTS = 100

SCRIPT = """
import {SseClient} from './index.js'
import {SharedSseClient} from './shared.js'

const logs = {native: [], client: [], shared: []}
const url = '/events?topic=a'
const follow = {
  native: () => {
    const source = new EventSource(url)
    source.onmessage = ({lastEventId}) => logs.native.push(lastEventId)
    source.onerror = () => logs.native.push('error')
    return new Promise((resolve) => (source.onopen = resolve))
  },
  client: (Kind) => (name, options) => {
    const sse = new Kind(url, options)
    sse.addEventListener('message', ({lastEventId}) => logs[name].push(lastEventId))
    sse.addEventListener('error', ({reason}) => logs[name].push(`error ${reason}`))
    sse.connect()
    globalThis[name] = sse
  }
}
Object.assign(globalThis, {
  logs,
  followNatively: follow.native,
  followWithClient: (options) => follow.client(SseClient)('client', options),
  followShared: () => follow.client(SharedSseClient)('shared')
})
"""

PATIENT = "{factor: 600, maxDelayMs: 600_000}"
NOBODY_LISTENS = 1
SHOWN = """
  Object.defineProperty(document, 'visibilityState', {value: '%s', configurable: true})
  document.dispatchEvent(new Event('visibilitychange'))
"""
TURNED = "dispatchEvent(new PageTransitionEvent('%s', {persisted: true}))"

pytestmark = pytest.mark.usefixtures("built")


@pytest_asyncio.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[Any]:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


async def streams(pod: SidecarProcess) -> int:
    return int((await pod.get("admin", "/status")).json()["streams"])


async def publish(pod: SidecarProcess, count: int, every_s: float) -> list[str]:
    ids = []
    for number in range(count):
        ids.append((await pod.publish(str(number), {"topics": ["a"]})).json()["id"])
        await asyncio.sleep(every_s)
    return ids


async def test_native_and_client_survive_a_drain_and_only_the_native_one_notices(
    nats_server: Any,
) -> None:
    shared = {"TIDEGATE_BACKPLANE": nats_server.url, "TIDEGATE_LINGER_S": "0"}
    short = {"TIDEGATE_GRACE_S": "7", "TIDEGATE_RESERVE_S": "5"}
    async with (
        SidecarProcess(**shared, **short, TIDEGATE_POD_NAME="one") as one,
        SidecarProcess(**shared, TIDEGATE_POD_NAME="two") as two,
        front_door(one.listening["public"]) as door,
        browser_context(SCRIPT) as context,
    ):
        await asyncio.gather(one.until_ready(), two.until_ready())
        page = await open_page(context, door.port)
        await page.evaluate("followNatively()")
        await page.evaluate("followWithClient({handover: true})")
        await one.until_streams(2)
        door.target_port = two.listening["public"]
        draining = asyncio.create_task(one.drain())
        published = await publish(two, EVENTS, every_s=0.03)
        await draining
        ended = f"n => logs[n].at(-1) === '{published[-1]}'"
        await until_true(page, f"['native', 'client'].every({ended})")
        logs = await page.evaluate("logs")
        assert logs["client"] == published
        assert logs["native"].count("error") == 1
        assert [entry for entry in logs["native"] if entry != "error"] == published


async def test_three_tabs_share_one_stream_and_the_next_one_goes_on(nats_server: Any) -> None:
    async with (
        SidecarProcess(TIDEGATE_BACKPLANE=nats_server.url) as pod,
        browser_context(SCRIPT) as context,
    ):
        await pod.until_ready()
        port = pod.listening["public"]
        pages = [await open_page(context, port) for _ in range(3)]
        for page in pages:
            await page.evaluate("followShared()")
            await until_true(page, "shared.readyState === 1")
        await pod.until_streams(1)
        published = await publish(pod, 10, every_s=0.01)
        for page in pages:
            await until_true(page, "logs.shared.length === 10")
        await pages[0].close()
        published += await publish(pod, 10, every_s=0.02)
        for page in pages[1:]:
            await until_true(page, "logs.shared.length >= 20")
            assert await page.evaluate("logs.shared") == published
        assert await streams(pod) == 1
        leaders = [await page.evaluate("shared.leads") for page in pages[1:]]
        assert leaders == [True, False]


async def until_waiting_long(page: Any) -> None:
    """The second retry of `PATIENT` is ten minutes away: only something else brings it back."""
    await until_true(page, "logs.client.filter((entry) => entry === 'error error').length === 2")
    await page.evaluate("logs.client.length = 0")


async def test_a_page_comes_back_at_once_when_the_network_does() -> None:
    async with (
        SidecarProcess() as pod,
        front_door(pod.listening["public"]) as door,
        browser_context(SCRIPT) as context,
    ):
        await pod.until_ready()
        page = await open_page(context, door.port)
        await page.evaluate(f"followWithClient({PATIENT})")
        await pod.until_streams(1)
        await context.set_offline(True)
        await page.evaluate("client.reconnect()")
        await until_waiting_long(page)
        await context.set_offline(False)
        await until_true(page, "client.readyState === 1")
        assert await page.evaluate("logs.client") == []


async def test_a_page_comes_back_at_once_when_it_is_seen_again() -> None:
    async with (
        SidecarProcess() as pod,
        front_door(pod.listening["public"]) as door,
        browser_context(SCRIPT) as context,
    ):
        await pod.until_ready()
        page = await open_page(context, door.port)
        await page.evaluate(f"followWithClient({PATIENT})")
        await pod.until_streams(1)
        door.target_port = NOBODY_LISTENS
        await page.evaluate("client.reconnect()")
        await until_waiting_long(page)
        door.target_port = pod.listening["public"]
        await page.evaluate(SHOWN % "hidden")
        assert await page.evaluate("client.readyState") == 0
        await page.evaluate(SHOWN % "visible")
        await until_true(page, "client.readyState === 1")
        assert await page.evaluate("logs.client") == []


async def test_a_page_put_aside_lets_go_and_misses_nothing() -> None:
    async with SidecarProcess() as pod, browser_context(SCRIPT) as context:
        await pod.until_ready()
        page = await open_page(context, pod.listening["public"])
        await page.evaluate("followWithClient()")
        await until_true(page, "client.lastEventId")
        published = await publish(pod, 3, every_s=0)
        await until_true(page, "logs.client.length === 3")
        await page.evaluate(TURNED % "pagehide")
        await pod.until_streams(0)
        published += await publish(pod, 3, every_s=0)
        await page.evaluate(TURNED % "pageshow")
        await until_true(page, "logs.client.length >= 6")
        assert await page.evaluate("logs.client") == published

"""A real browser on real pods: the native EventSource and the TypeScript client, tabs, and CSP.

The page and the client's modules are given to the browser by the test itself, on the origin of the
front door, so that nothing crosses origins; the streams go to the sidecars.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from backplane.nats_servers import NatsServer
from client.front_door import front_door
from client.node_tools import PACKAGE
from sidecar.processes import SidecarProcess

playwright_api = pytest.importorskip(
    "playwright.async_api", reason="no playwright: install the dependency group browser"
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CSP = "default-src 'none'; script-src 'self'; connect-src 'self'"
EVENTS = 100

PAGE = '<!doctype html><script type="module" src="/page/page.js"></script>'
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
  client: (Kind) => (name) => {
    const sse = new Kind(url)
    sse.addEventListener('message', ({lastEventId}) => logs[name].push(lastEventId))
    sse.addEventListener('error', ({reason}) => logs[name].push(`error ${reason}`))
    sse.connect()
    globalThis[name] = sse
  }
}
Object.assign(globalThis, {
  logs,
  followNatively: follow.native,
  followWithClient: () => follow.client(SseClient)('client'),
  followShared: () => follow.client(SharedSseClient)('shared')
})
"""

pytestmark = [
    pytest.mark.usefixtures("built"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@pytest_asyncio.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[Any]:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    yield server
    await server.stop()


@contextlib.asynccontextmanager
async def browser_context() -> AsyncIterator[Any]:
    """A fresh browser whose requests below ``/page/`` are answered by the test."""
    async with playwright_api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        context = await browser.new_context()
        await context.route("**/page/*", _give)
        try:
            yield context
        finally:
            await browser.close()


async def _give(route: Any) -> None:
    name = route.request.url.rpartition("/")[2]
    headers = {"Content-Security-Policy": CSP}
    if name == "index.html":
        await route.fulfill(body=PAGE, headers=headers, content_type="text/html")
    else:
        body = SCRIPT if name == "page.js" else (PACKAGE / "dist" / name).read_text()
        await route.fulfill(body=body, content_type="text/javascript")


async def open_page(context: Any, port: int) -> Any:
    page = await context.new_page()
    await page.goto(f"http://127.0.0.1:{port}/page/index.html")
    await until_true(page, "globalThis.logs")
    return page


async def until_true(page: Any, expression: str) -> None:
    """Wait for it from outside: playwright's own waiting needs eval, which the CSP forbids."""
    async with asyncio.timeout(15):
        while not await page.evaluate(expression):  # noqa: ASYNC110 - the page is polled
            await asyncio.sleep(0.02)


async def streams(pod: SidecarProcess) -> int:
    return int((await pod.get("admin", "/status")).json()["streams"])


async def until_streams(pod: SidecarProcess, count: int) -> None:
    async with asyncio.timeout(15):
        while await streams(pod) != count:  # noqa: ASYNC110 - the pod is polled
            await asyncio.sleep(0.02)


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
        browser_context() as context,
    ):
        await asyncio.gather(one.until_ready(), two.until_ready())
        page = await open_page(context, door.port)
        await page.evaluate("followNatively()")
        await page.evaluate("followWithClient()")
        await until_streams(one, 2)
        door.target_port = two.listening["public"]
        draining = asyncio.create_task(one.get("admin", "/drain/pod"))
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
        browser_context() as context,
    ):
        await pod.until_ready()
        port = pod.listening["public"]
        pages = [await open_page(context, port) for _ in range(3)]
        for page in pages:
            await page.evaluate("followShared()")
            await until_true(page, "shared.readyState === 1")
        await until_streams(pod, 1)
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


async def test_a_page_that_is_seen_again_after_offline_comes_back_at_once() -> None:
    async with (
        SidecarProcess() as pod,
        front_door(pod.listening["public"]) as door,
        browser_context() as context,
    ):
        await pod.until_ready()
        page = await open_page(context, door.port)
        await page.evaluate("followWithClient()")
        await until_streams(pod, 1)
        await context.set_offline(True)
        await page.evaluate("client.reconnect()")
        await until_true(page, "logs.client.length > 0")
        await context.set_offline(False)
        await until_true(page, "client.readyState === 1")
        logs = await page.evaluate("logs.client")
        assert set(logs) == {"error error"}

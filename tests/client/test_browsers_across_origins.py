"""A real browser on a page of another origin than the streams: CORS with credentials, and CSP.

The pages come from two small servers, which are two origins of one site; the streams come from a
sidecar, through a relay that keeps what the browser has sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from kit.browsers import until_true
from kit.forwarding import pass_on
from kit.node_tools import PACKAGE
from kit.sidecar_process import SidecarProcess
from kit.system_programs import require

playwright_api = pytest.importorskip("playwright.async_api", reason="no playwright: run make test")

PAGE = '<!doctype html><script type="module" src="/page/page.js"></script>'
SCRIPT = """
import {SseClient} from './index.js'

const logs = {}
const note = (name, what) => (logs[name] ??= []).push(what)
Object.assign(globalThis, {
  logs,
  followNatively: (name, url, options) => {
    const source = (globalThis[name] = new EventSource(url, options))
    source.onmessage = ({data}) => note(name, data)
    source.onerror = () => note(name, `error ${source.readyState}`)
  },
  followWithClient: (name, url, options) => {
    const client = (globalThis[name] = new SseClient(url, {initialDelayMs: 10, ...options}))
    client.addEventListener('message', ({data}) => note(name, data))
    client.addEventListener('error', ({reason, status, willRetry, error}) =>
      note(name, [reason, status, willRetry, error?.name].join(' '))
    )
    client.connect()
  }
})
"""
WITH_CREDENTIALS = {"withCredentials": True}
INCLUDE = {"credentials": "include", "maxAttempts": 2}
NO_WAY = ["error 0 true TypeError"] * 2
"""What `fetch` tells a page whose way to the server is barred: never a status, only that."""

pytestmark = [
    pytest.mark.usefixtures("built"),
]


class Pages:
    """An origin with one page, which comes with the policy of the moment."""

    def __init__(self) -> None:
        self.origin = ""
        self.policy = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            line, *_ = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            name = line.split()[1].rpartition("/")[2]
            if name == "index.html":
                kind, body = "text/html", PAGE
            elif name == "page.js":
                kind, body = "text/javascript", SCRIPT
            else:
                kind, body = "text/javascript", _module(name)
            policy = f"Content-Security-Policy: {self.policy}\r\n" if self.policy else ""
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{policy}Connection: close\r\n"
            writer.write(f"{head}\r\n{body}".encode())
            await writer.drain()
        writer.close()


def _module(name: str) -> str:
    found = PACKAGE / "dist" / name
    return found.read_text() if found.is_file() else ""


@contextlib.asynccontextmanager
async def pages() -> AsyncIterator[Pages]:
    """Serve the page on an origin of its own."""
    served = Pages()
    server = await asyncio.start_server(served.handle, "127.0.0.1", 0)
    served.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()


class Relay:
    """Passes connections on to the sidecar; keeps each request's head."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.heads: list[str] = []
        self.origin = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target_port)
        await asyncio.gather(self._requests(reader, back), pass_on(there, writer))

    async def _requests(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head.decode().lower())
                back.write(head)
        back.close()

    def asked(self, method: str, path: str) -> list[str]:
        start = f"{method} {path}".lower()
        return [head for head in self.heads if head.startswith(start)]


@contextlib.asynccontextmanager
async def stream_server(**settings: str) -> AsyncIterator[tuple[SidecarProcess, Relay]]:
    """A sidecar and the relay in front of it."""
    async with SidecarProcess(**settings) as pod:
        await pod.until_ready()
        relay = Relay(pod.listening["public"])
        server = await asyncio.start_server(relay.handle, "127.0.0.1", 0)
        relay.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield pod, relay
        finally:
            server.close()


@contextlib.asynccontextmanager
async def browser(stream_origin: str) -> AsyncIterator[Any]:
    """A browser that holds a cookie for the streams' host."""
    async with playwright_api.async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=require("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        context = await started.new_context()
        cookie = {"name": "session", "value": "s1", "url": stream_origin, "sameSite": "Lax"}
        await context.add_cookies([cookie])
        try:
            yield context
        finally:
            await started.close()


async def open_page(context: Any, origin: Pages, policy: str = "") -> Any:
    origin.policy = policy
    page = await context.new_page()
    await page.goto(f"{origin.origin}/page/index.html")
    await until_true(page, "!!globalThis.logs")
    return page


async def logged(page: Any, name: str, count: int) -> list[str]:
    """The first `count` lines of a log, once they are there."""
    await until_true(page, f"logs.{name}?.length >= {count}")
    lines: list[str] = await page.evaluate(f"logs.{name}")
    return lines[:count]


FOLLOW_NATIVELY = "([name, url, options]) => followNatively(name, url, options)"
FOLLOW = "([name, url, options]) => followWithClient(name, url, options)"


async def test_a_listed_page_streams_with_cookies_and_resumes() -> None:
    at_once = {"TIDEGATE_RETRY_BASE_MS": "1", "TIDEGATE_CRASH_SPREAD_MAX_MS": "0"}
    async with (
        pages() as listed,
        stream_server(TIDEGATE_CORS_ORIGINS=listed.origin, **at_once) as (pod, relay),
        browser(relay.origin) as context,
    ):
        page = await open_page(context, listed)
        native, client = (f"{relay.origin}/sse/subscribe/{kind}" for kind in ("native", "client"))
        headers = {"X-Tenant": "7", "Authorization": "Bearer t"}
        options = INCLUDE | {"headers": headers, "handover": False}
        await page.evaluate(FOLLOW_NATIVELY, ["native", native, WITH_CREDENTIALS])
        await page.evaluate(FOLLOW, ["client", client, options])
        await pod.until_streams(2)
        await pod.publish("one")
        assert await logged(page, "native", 1) == ["one"]
        assert await logged(page, "client", 1) == ["one"]
        for kind in ("native", "client"):
            await pod.http.delete(pod.url("publish", f"/clients/{kind}"))
        await pod.publish("two")
        assert await logged(page, "native", 3) == ["one", "error 0", "two"]
        assert await logged(page, "client", 3) == ["one", "planned 0 true ", "two"]
        for kind in ("native", "client"):
            first, second = relay.asked("get", f"/sse/subscribe/{kind}")
            assert f"origin: {listed.origin}\r\n" in first
            assert "cookie: session=s1\r\n" in first
            assert "cookie: session=s1\r\n" in second
            assert "last-event-id: " in second
        assert "x-tenant: 7\r\n" in relay.asked("get", "/sse/subscribe/client")[0]
        assert relay.asked("options", "/sse/subscribe/client")


async def test_a_page_that_is_not_listed_reads_nothing_and_is_told_so() -> None:
    async with (
        pages() as listed,
        pages() as strange,
        stream_server(TIDEGATE_CORS_ORIGINS=listed.origin) as (pod, relay),
        browser(relay.origin) as context,
    ):
        page = await open_page(context, strange)
        url = f"{relay.origin}/events"
        await page.evaluate(FOLLOW_NATIVELY, ["native", url, WITH_CREDENTIALS])
        await page.evaluate(FOLLOW, ["client", url, INCLUDE])
        assert await logged(page, "native", 1) == ["error 2"]
        assert await logged(page, "client", 3) == [*NO_WAY, "exhausted 0 false TypeError"]
        assert await page.evaluate("client.readyState") == 2
        assert relay.asked("get", "/events")
        await pod.until_streams(0)


async def test_every_page_may_read_without_credentials_only() -> None:
    async with (
        pages() as strange,
        stream_server(TIDEGATE_CORS_ORIGINS="*") as (pod, relay),
        browser(relay.origin) as context,
    ):
        page = await open_page(context, strange)
        url = f"{relay.origin}/events"
        await page.evaluate(FOLLOW_NATIVELY, ["bare", url, {}])
        await page.evaluate(FOLLOW_NATIVELY, ["cookies", url, WITH_CREDENTIALS])
        assert await logged(page, "cookies", 1) == ["error 2"]
        await pod.until_streams(1)
        await pod.publish("one")
        assert await logged(page, "bare", 1) == ["one"]


async def test_refusals_and_bounces_can_be_read_from_another_origin() -> None:
    async with (
        pages() as listed,
        stream_server(TIDEGATE_CORS_ORIGINS=listed.origin, TIDEGATE_MAX_STREAMS="1") as server,
        browser(server[1].origin) as context,
    ):
        pod, relay = server
        page = await open_page(context, listed)
        await page.evaluate(FOLLOW, ["refused", f"{relay.origin}/events?topic=", INCLUDE])
        await page.evaluate(FOLLOW, ["lost", f"{relay.origin}/nowhere", INCLUDE])
        assert await logged(page, "refused", 1) == ["refused 400 false "]
        assert await logged(page, "lost", 1) == ["refused 404 false "]
        await page.evaluate(FOLLOW, ["fits", f"{relay.origin}/events", INCLUDE])
        await pod.until_streams(1)
        await page.evaluate(FOLLOW, ["full", f"{relay.origin}/events", INCLUDE])
        assert await logged(page, "full", 1) == ["bounce 0 true "]


async def test_a_content_security_policy_must_name_the_streams_origin() -> None:
    async with (
        pages() as listed,
        stream_server(TIDEGATE_CORS_ORIGINS=listed.origin) as (pod, relay),
        browser(relay.origin) as context,
    ):
        url, base = f"{relay.origin}/events", "default-src 'none'; script-src 'self'; connect-src"
        allowing = await open_page(context, listed, f"{base} {relay.origin}")
        await allowing.evaluate(FOLLOW, ["client", url, INCLUDE])
        await pod.until_streams(1)
        await pod.publish("one")
        assert await logged(allowing, "client", 1) == ["one"]
        asked = len(relay.heads)
        forbidding = await open_page(context, listed, f"{base} 'self'")
        await forbidding.evaluate(FOLLOW, ["client", url, INCLUDE])
        assert await logged(forbidding, "client", 3) == [*NO_WAY, "exhausted 0 false TypeError"]
        assert len(relay.heads) == asked

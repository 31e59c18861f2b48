"""The examples do what they show: each is run against a real sidecar; the React hook is checked."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
from client.scripted_server import refused, scripted
from kit.browsers import browser_context, until_true
from kit.node_tools import PACKAGE, find_node, run_node
from kit.sidecar_process import SidecarProcess

EXAMPLES = PACKAGE / "examples"
FASTAPI = PACKAGE.parent / "python" / "examples" / "fastapi_consumer.py"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("built")
async def test_the_node_example_prints_what_is_published() -> None:
    async with SidecarProcess() as pod:
        await pod.until_ready()
        process = await asyncio.create_subprocess_exec(
            find_node(),
            str(EXAMPLES / "node.mjs"),
            pod.url("public", "/events?topic=news"),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            await pod.until_streams(1)
            identifier = (await pod.publish("hello", {"topics": ["news"]})).json()["id"]
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), 60)
            assert line.decode().split() == [identifier, "message", "hello"]
        finally:
            process.kill()
            await process.wait()


@pytest.mark.usefixtures("built")
async def test_the_page_lists_what_is_published() -> None:
    async with SidecarProcess() as pod, browser_context("") as context:
        await pod.until_ready()

        async def give(route: Any) -> None:
            """The example as a file server would give it, with the client beside it."""
            name = route.request.url.rpartition("/")[2]
            folder = EXAMPLES if name == "page.html" else PACKAGE / "dist"
            kind = "text/html" if name == "page.html" else "text/javascript"
            await route.fulfill(body=(folder / name).read_text(), content_type=kind)

        await context.route("**/examples/page.html", give)
        await context.route("**/dist/*.js", give)
        page = await context.new_page()
        await page.goto(pod.url("public", "/examples/page.html"))
        await until_true(page, "document.querySelector('#state').value === 'open'")
        await pod.until_streams(1)
        await pod.publish("hello", {"topics": ["news"]})
        await until_true(page, "document.querySelector('#news').textContent === 'hello'")


@pytest.mark.usefixtures("built")
def test_the_react_hook_is_short_and_its_types_fit() -> None:
    hook = (EXAMPLES / "use-event-stream.tsx").read_text()
    assert len(hook.splitlines()) <= 30
    compiler = PACKAGE / "node_modules" / "typescript" / "bin" / "tsc"
    done = run_node(str(compiler), "-p", "tsconfig.examples.json")
    assert done.returncode == 0, done.stdout


async def test_the_fastapi_consumer_serves_what_is_published() -> None:
    pytest.importorskip("fastapi", reason="no fastapi: run make install")
    example = load(FASTAPI)
    async with SidecarProcess() as pod:
        await pod.until_ready()
        app = example.create_app(pod.url("public", "/events?topic=news"))
        transport = httpx2.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://app") as http,
        ):
            await pod.until_streams(1)
            await pod.publish("hello", {"topics": ["news"]})
            seen: dict[str, Any] = {}
            async with asyncio.timeout(60):
                while seen.get("events") != ["hello"]:
                    seen = (await http.get("/latest")).json()
                    await asyncio.sleep(0.02)
            assert seen["stream"] == "open"


async def test_the_fastapi_consumer_ends_cleanly_where_its_stream_was_refused() -> None:
    pytest.importorskip("fastapi", reason="no fastapi: run make install")
    example = load(FASTAPI)
    async with scripted(refused(404)) as server:
        app = example.create_app(server.url)
        transport = httpx2.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://app") as http,
            asyncio.timeout(60),
        ):
            seen: dict[str, Any] = {}
            while seen.get("stream") != "refused":
                seen = (await http.get("/latest")).json()
                await asyncio.sleep(0.02)

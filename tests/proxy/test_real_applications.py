"""Unchanged applications in processes of their own: the drain of a pod with each of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from kit.node_tools import find_node
from kit.ports import accepts, free_port
from kit.sidecar_process import SidecarProcess
from kit.waiting import until
from proxy.behind import Peer, get, unchunk

APPLICATIONS = Path(__file__).parent / "applications"
LAST_CHUNK = b"\r\n0\r\n\r\n"
GOODBYE = re.compile(rb'retry: \d+\nevent: shutdown\ndata: \{"reason":"drain"[^\n]*\n\n\Z')


class ProxyProcess(SidecarProcess):
    """`tidegate proxy` in front of the application on `upstream`."""

    def __init__(self, upstream: int, **settings: str) -> None:
        super().__init__(**settings)
        url = f"http://127.0.0.1:{upstream}"
        self.argv = [
            "-c",
            "from tidegate_cli.start import main; main()",
            "proxy",
            "--upstream",
            url,
        ]
        del self.environ["TIDEGATE_PUBLISH_PORT"]


def command(name: str, port: int) -> list[str]:
    if name == "node":
        return [find_node(), str(APPLICATIONS / "node_app.mjs"), str(port)]
    options = ["--port", str(port), "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", "fastapi_app:app", *options]


@contextlib.asynccontextmanager
async def application(name: str) -> AsyncIterator[int]:
    """The application in a process of its own; gives its port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *command(name, port), cwd=APPLICATIONS, stdin=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    try:
        await until(lambda: accepts(port))
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def opened(port: int, path: str, method: str = "GET") -> Peer:
    peer = Peer(*await asyncio.open_connection("127.0.0.1", port))
    await peer.send(get(path, "Accept: text/event-stream", method=method))
    await peer.until(b"\r\n\r\n")
    return peer


async def straight(port: int) -> bytes:
    """The finite answer as the application itself gives it."""
    peer = await opened(port, "/v1/chat/completions", "POST")
    answer = unchunk(await peer.until(LAST_CHUNK))
    await peer.close()
    return answer


@pytest.mark.parametrize("name", ["fastapi", "node"])
async def test_a_pod_drains_without_its_application_knowing(name: str) -> None:
    paths = ["/events", "/sse"] if name == "fastapi" else ["/events"]
    settings = {"TIDEGATE_GRACE_S": "8", "TIDEGATE_LOCAL_WINDOW_S": "2", "TIDEGATE_LINGER_S": "1"}
    async with application(name) as upstream, ProxyProcess(upstream, **settings) as proxy:
        expected = await straight(upstream)
        public = proxy.listening["public"]
        streams = [await opened(public, path) for path in paths for _ in range(10)]
        answers = [await opened(public, "/v1/chat/completions", "POST") for _ in range(10)]
        await proxy.until_streams(len(streams))
        hook = asyncio.create_task(proxy.drain())
        await proxy.until_state("draining")
        late = await opened(public, "/v1/chat/completions", "POST")
        for peer in streams:
            received = await peer.until_end()
            assert received.endswith(LAST_CHUNK)
            payload = unchunk(received)
            assert payload.startswith(b"retry: ")
            assert GOODBYE.search(payload), payload[-200:]
            ids = [int(n) for n in re.findall(rb"id: (\d+)", payload)]
            assert ids == list(range(1, len(ids) + 1))
        for peer in [*answers, late]:
            assert unchunk(await peer.until(LAST_CHUNK)) == expected
        assert (await hook).status_code == 200
        status = await proxy.status()
        assert status["state"] == "drained"
        assert status["engine"]["cut_finite"] == 0
        assert status["ended_by_cause"] == {"drain": len(streams)}
        proxy.signal()
        assert await proxy.exit_status() == 0
        for peer in [*streams, *answers, late]:
            await peer.close()


@pytest.mark.parametrize("name", ["fastapi", "node"])
async def test_a_large_body_comes_back_as_it_went(name: str) -> None:
    body = os.urandom(1 << 20) * 4
    async with application(name) as upstream, ProxyProcess(upstream) as proxy:
        answer = await proxy.http.post(proxy.url("public", "/echo"), content=body)
        assert answer.content == body
        metrics = (await proxy.get("admin", "/metrics")).text
        assert "tidegate_engine_requests_total 1.0" in metrics
        assert isinstance(answer, httpx2.Response)

"""A real sidecar process on free ports, and streams to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2

from kit.raw_stream import RawStream
from kit.waiting import WITHIN_S, until

LIMIT_S = 30.0

_WITHOUT_UVLOOP = """
import sys
sys.modules["uvloop"] = None
from tidegate_sidecar.__main__ import main
sys.exit(main())
"""


class SidecarProcess:
    """`async with SidecarProcess(TIDEGATE_GRACE_S="20") as sidecar`: runs one, ends it for sure."""

    process: asyncio.subprocess.Process
    listening: dict[str, Any]
    """The announced ports by name; set once it listens."""

    def __init__(self, loop: str = "uvloop", **settings: str) -> None:
        self.argv = ["-m", "tidegate_sidecar"] if loop == "uvloop" else ["-c", _WITHOUT_UVLOOP]
        ports = dict.fromkeys(
            ("TIDEGATE_PUBLIC_PORT", "TIDEGATE_ADMIN_PORT", "TIDEGATE_PUBLISH_PORT"), "0"
        )
        mine = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_")}
        self.environ = mine | {"TIDEGATE_HOST": "127.0.0.1"} | ports | settings
        self.streams: list[RawStream] = []
        self.http = httpx2.AsyncClient(trust_env=False, timeout=LIMIT_S)

    async def __aenter__(self) -> SidecarProcess:
        await self.start()
        line = await asyncio.wait_for(self.stdout.readline(), LIMIT_S)
        assert line, (await self.stderr.read()).decode()
        self.listening = json.loads(line)
        return self

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self.argv,
            env=self.environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    @property
    def stdout(self) -> asyncio.StreamReader:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def stderr(self) -> asyncio.StreamReader:
        assert self.process.stderr is not None
        return self.process.stderr

    async def until_it_catches(self, number: int) -> None:
        """Linux shows the signals a process handles as a mask (proc(5), SigCgt)."""
        await until(lambda: _caught(self.process.pid) >> (number - 1) & 1, every_s=0.002)

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    async def end(self) -> None:
        for stream in self.streams:
            await stream.close()
        await self.http.aclose()
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        await self.process.communicate()

    def url(self, port: str, path: str) -> str:
        return f"http://127.0.0.1:{self.listening[port]}{path}"

    async def get(self, port: str, path: str, **more: Any) -> httpx2.Response:
        return await self.http.get(self.url(port, path), **more)

    async def drain(self, **more: Any) -> httpx2.Response:
        """What preStop does."""
        return await self.http.post(self.url("admin", "/drain/pod"), **more)

    async def status(self) -> dict[str, Any]:
        shown: dict[str, Any] = (await self.get("admin", "/status")).json()
        return shown

    async def publish(self, data: str, to: str | dict[str, Any] = "all") -> httpx2.Response:
        url = self.url("publish", "/publish")
        return await self.http.post(url, json={"to": to, "data": data})

    async def until_ready(self) -> None:
        async def is_ready() -> bool:
            return (await self.get("admin", "/readyz")).status_code == 200

        await until(is_ready)

    async def until_status(
        self, holds: Callable[[dict[str, Any]], object], within_s: float = WITHIN_S
    ) -> None:
        """Wait until something holds of its status."""

        async def shown() -> object:
            return holds(await self.status())

        await until(shown, within_s)

    async def until_state(self, state: str) -> None:
        await self.until_status(lambda status: status["state"] == state)

    async def until_streams(self, count: int, within_s: float = WITHIN_S) -> None:
        """Wait until it holds so many streams."""
        await self.until_status(lambda status: status["streams"] == count, within_s)

    async def until_clients(self, count: int) -> None:
        """Wait until so many clients are connected to it."""

        async def connected() -> bool:
            return len((await self.get("publish", "/clients")).json()["clients"]) == count

        await until(connected)

    async def stream(
        self, path: str = "/events?topic=a", read: bool = True, cursor: str | None = None
    ) -> RawStream:
        stream = RawStream()
        await stream.open(self.listening["public"], path, cursor)
        self.streams.append(stream)
        if read:
            await stream.until(b"event: connected")
        return stream

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    async def exit_status(self, limit_s: float = LIMIT_S) -> int:
        return await asyncio.wait_for(self.process.wait(), limit_s)


def _caught(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(x for x in status if x.startswith("SigCgt")).split()[1], 16)


@contextlib.asynccontextmanager
async def ready(*sidecars: SidecarProcess) -> AsyncIterator[None]:
    """Run several sidecars, started side by side."""
    try:
        await asyncio.gather(*(sidecar.__aenter__() for sidecar in sidecars))
        await asyncio.gather(*(sidecar.until_ready() for sidecar in sidecars))
        yield
    finally:
        await asyncio.gather(*(sidecar.end() for sidecar in sidecars))

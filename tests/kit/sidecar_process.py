"""A real sidecar process on free ports, and streams to it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

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

    def __init__(self, loop="uvloop", **settings):
        self.argv = ["-m", "tidegate_sidecar"] if loop == "uvloop" else ["-c", _WITHOUT_UVLOOP]
        ports = dict.fromkeys(
            ("TIDEGATE_PUBLIC_PORT", "TIDEGATE_ADMIN_PORT", "TIDEGATE_PUBLISH_PORT"), "0"
        )
        mine = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_")}
        self.environ = mine | {"TIDEGATE_HOST": "127.0.0.1"} | ports | settings
        self.streams = []
        self.http = httpx2.AsyncClient(trust_env=False, timeout=LIMIT_S)

    async def __aenter__(self):
        await self.start()
        line = await asyncio.wait_for(self.process.stdout.readline(), LIMIT_S)
        assert line, (await self.process.stderr.read()).decode()
        self.listening = json.loads(line)
        return self

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self.argv,
            env=self.environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def until_it_catches(self, number):
        """Linux shows the signals a process handles as a mask (proc(5), SigCgt)."""
        await until(lambda: _caught(self.process.pid) >> (number - 1) & 1, every_s=0.002)

    async def __aexit__(self, *_):
        await self.end()

    async def end(self):
        for stream in self.streams:
            await stream.close()
        await self.http.aclose()
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        await self.process.communicate()

    def url(self, port, path):
        return f"http://127.0.0.1:{self.listening[port]}{path}"

    async def get(self, port, path, **more):
        return await self.http.get(self.url(port, path), **more)

    async def publish(self, data, to="all"):
        url = self.url("publish", "/publish")
        return await self.http.post(url, json={"to": to, "data": data})

    async def until_ready(self):

        async def is_ready():
            return (await self.get("admin", "/readyz")).status_code == 200

        await until(is_ready)

    async def until_state(self, state):
        async def is_in_state():
            return (await self.status())["state"] == state

        await until(is_in_state)

    async def until_streams(self, count, within_s=WITHIN_S):
        """Wait until it holds so many streams."""

        async def holds_them():
            return (await self.status())["streams"] == count

        await until(holds_them, within_s)

    async def until_clients(self, count):
        """Wait until so many clients are connected to it."""

        async def has_them():
            return len((await self.get("publish", "/clients")).json()["clients"]) == count

        await until(has_them)

    async def status(self):
        return (await self.get("admin", "/status")).json()

    async def stream(self, path="/events?topic=a", read=True, cursor=None):
        stream = RawStream()
        await stream.open(self.listening["public"], path, cursor)
        self.streams.append(stream)
        if read:
            await stream.until(b"event: connected")
        return stream

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    async def exit_status(self, limit_s=LIMIT_S):
        return await asyncio.wait_for(self.process.wait(), limit_s)


def _caught(pid):
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(x for x in status if x.startswith("SigCgt")).split()[1], 16)


@contextlib.asynccontextmanager
async def ready(*sidecars):
    """Run several sidecars, started side by side."""
    try:
        await asyncio.gather(*(sidecar.__aenter__() for sidecar in sidecars))
        await asyncio.gather(*(sidecar.until_ready() for sidecar in sidecars))
        yield
    finally:
        await asyncio.gather(*(sidecar.end() for sidecar in sidecars))

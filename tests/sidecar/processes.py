"""A real sidecar process on free ports, and raw streams to it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import httpx2

LIMIT_S = 15.0

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
        give_up_at = time.monotonic() + LIMIT_S
        while not _caught(self.process.pid) >> (number - 1) & 1:
            assert time.monotonic() < give_up_at
            await asyncio.sleep(0.002)

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
        give_up_at = time.monotonic() + LIMIT_S
        while (await self.get("admin", "/readyz")).status_code != 200:
            assert time.monotonic() < give_up_at
            await asyncio.sleep(0.01)

    async def until_state(self, state):
        give_up_at = time.monotonic() + LIMIT_S
        while (await self.get("admin", "/status")).json()["state"] != state:
            assert time.monotonic() < give_up_at
            await asyncio.sleep(0.01)

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


class RawStream:
    def __init__(self):
        self.received = b""
        self.ended = False

    async def open(self, port, path, cursor=None):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        resume = f"Last-Event-ID: {cursor}\r\n" if cursor else ""
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\n{resume}\r\n".encode())
        await self.writer.drain()

    async def more(self, limit_s=LIMIT_S):
        piece = await asyncio.wait_for(self.reader.read(65536), limit_s)
        self.ended = not piece
        self.received += piece

    async def until(self, text):
        while text not in self.received:
            await self.more()
            assert not self.ended, self.received

    async def until_end(self):
        """Reads to the end; returns everything. The last chunk must be there: no cut."""
        while not self.ended:
            await self.more()
        return self.received

    @property
    def is_complete(self):
        """Whether the body ended as chunked bodies end."""
        return self.received.endswith(b"0\r\n\r\n")

    async def close(self):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

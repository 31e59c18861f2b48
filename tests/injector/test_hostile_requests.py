"""A real injector under attack stays within the memory that the chart gives it, and answers."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import yaml
from injector.running import LIMIT_S, admission, injector, pod
from kit.authority import Authority
from kit.memory import peak_bytes, resident_bytes

MIB = 2**20
VALUES = Path(__file__).parents[2] / "charts" / "tidegate" / "values.yaml"

IDLE = 200
PER_TLS_CONNECTION_BYTES = 64 * 1024
"""asyncio's own takes 270 kB, uvloop's 21 kB, and a connection's objects are beside it."""

REVIEW = (
    b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"a",'
    b'"operation":"CREATE","kind":{"kind":"Pod"},"object":'
)
NAMED = b'{"name":"a"},'
PORT = b'{"containerPort":1},'
POD = REVIEW + b'{"metadata":{"annotations":{"tidegate.dev/inject":"true"}},"spec":{"containers":['


@dataclass
class Attacked:
    process: int
    webhook: int
    health: int
    tls: ssl.SSLContext
    client: httpx2.AsyncClient
    lines: list[bytes]

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("localhost", self.webhook, ssl=self.tls)

    async def post(self, body: bytes) -> int:
        answer = await self.client.post(f"https://localhost:{self.webhook}/v1/inject", content=body)
        return answer.status_code

    async def injects(self) -> bool:
        url = f"https://localhost:{self.webhook}/v1/inject"
        return "patch" in (await self.client.post(url, json=admission(pod()))).text

    async def refused(self, reason: str) -> float:
        page = await self.client.get(f"http://127.0.0.1:{self.health}/metrics")
        line = f'tidegate_port_refused_total{{port="webhook",reason="{reason}"}} '
        return float(page.text.partition(line)[2].partition("\n")[0])


@pytest.fixture
async def attacked(tmp_path: Path) -> AsyncIterator[Attacked]:
    authority = Authority("one")
    authority.write(tmp_path)
    async with injector(tmp_path) as running, authority.client() as client:
        ports = await running.ports()
        lines: list[bytes] = []
        reading = asyncio.create_task(_read(running.process.stderr, lines))
        tls = ssl.create_default_context(cadata=authority.pem)
        yield Attacked(running.process.pid, ports["webhook"], ports["health"], tls, client, lines)
        reading.cancel()


async def _read(stream: asyncio.StreamReader | None, lines: list[bytes]) -> None:
    assert stream is not None
    while line := await stream.readline():
        lines.append(line)


@contextlib.contextmanager
def closing(writers: list[asyncio.StreamWriter]) -> Iterator[None]:
    try:
        yield
    finally:
        for writer in writers:
            writer.transport.abort()


async def test_an_idle_tls_connection_costs_little(attacked: Attacked) -> None:
    assert await attacked.injects()
    before = resident_bytes(attacked.process)
    writers = [(await attacked.open())[1] for _ in range(IDLE)]
    with closing(writers):
        grown = resident_bytes(attacked.process) - before
        assert grown < IDLE * PER_TLS_CONNECTION_BYTES


async def test_a_connection_that_begins_no_handshake_is_ended(attacked: Attacked) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", attacked.webhook)
    with closing([writer]), contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), LIMIT_S) == b""
    assert await attacked.refused("slow_handshake") == 1
    assert await attacked.injects()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" + b"[]," * (8 * MIB // 3) + b"[]]", 413),
        (b"[" + b"[]," * (MIB - 100) + b"[]]", 400),
        (REVIEW + b"[" + b"{}," * (MIB - 100) + b"{}]}}", 413),
        (REVIEW + b"[" * MIB + b"]" * MIB + b"}}", 413),
        (REVIEW + b"[" * 50_000 + b"]" * 50_000 + b"}}", 400),
        (POD + NAMED * 99_000 + NAMED[:-1] + b"]}}}}", 200),
        (POD + b'{"name":"a","ports":[' + PORT * 99_000 + PORT[:-1] + b"]}]}}}}", 200),
        (POD + b'{"name":"a","env":[' + NAMED * 99_000 + NAMED[:-1] + b"]}]}}}}", 200),
    ],
    ids=["long", "no review", "no pod", "deepest", "deep", "containers", "ports", "environment"],
)
async def test_a_hostile_body_is_refused_within_the_memory_limit(
    attacked: Attacked, body: bytes, status: int
) -> None:
    assert await attacked.post(body) == status
    # Half-sent bodies and idle connections may come on top.
    assert peak_bytes(attacked.process) < _memory_limit() * 0.6
    assert await attacked.injects()


async def test_half_sent_bodies_do_not_add_up(attacked: Attacked) -> None:
    head = b"POST /v1/inject HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
    writers: list[asyncio.StreamWriter] = []
    with closing(writers):
        for _ in range(50):
            writer = (await attacked.open())[1]
            writers.append(writer)
            writer.write(head + REVIEW + b" " * 2_500_000)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
        assert await attacked.refused("body_bytes") > 0
        assert peak_bytes(attacked.process) < _memory_limit()
        assert await attacked.injects()


async def test_bad_requests_buy_no_log_line_each(attacked: Attacked) -> None:
    for _ in range(100):
        writer = (await asyncio.open_connection("127.0.0.1", attacked.webhook))[1]
        with closing([writer]):
            writer.write(b"this is no TLS\r\n\r\n")
            await writer.drain()
    for number in range(100):
        assert await attacked.post(b'{"kind": "%d"' % number) == 400
        denied = admission(pod(mode="proxy", backplane=f"nats://n{number}"))
        answer = await attacked.client.post(
            f"https://localhost:{attacked.webhook}/v1/inject", json=denied
        )
        assert not answer.json()["response"]["allowed"]
    assert await attacked.refused("bad_handshake") > 0
    assert len(attacked.lines) < 200


def _memory_limit() -> int:
    limit = yaml.safe_load(VALUES.read_text())["injector"]["resources"]["limits"]["memory"]
    assert limit.endswith("Mi")
    return int(limit.removesuffix("Mi")) * MIB

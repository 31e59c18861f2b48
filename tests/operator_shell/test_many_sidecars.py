"""Thousands of sidecars at the report port fit into the memory that the operator is given."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from kit.authority import Authority
from kit.memory import resident_bytes
from kit.waiting import until
from operator_shell.fakes import report

from tidegate_operator.report_limits import REPORT_LIMITS

PODS = 200
TESTS = Path(__file__).parents[1]
VALUES = TESTS.parent / "charts" / "tidegate" / "values.yaml"
MIB = 2**20


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[tuple[int, int, ssl.SSLContext]]:
    authority = Authority("operator")
    authority.write(tmp_path)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "operator_shell.report_program", str(tmp_path), str(PODS)),
        cwd=TESTS,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    port = int(await asyncio.wait_for(process.stdout.readline(), 20.0))
    yield process.pid, port, ssl.create_default_context(cadata=authority.pem)
    process.kill()
    await process.communicate()


async def test_the_port_is_bounded_by_what_a_held_report_costs(
    program: tuple[int, int, ssl.SSLContext],
) -> None:
    pid, port, tls = program
    writers = [await held(port, tls, 0)]
    await asyncio.sleep(0.1)
    before = resident_bytes(pid)
    writers += [await held(port, tls, number) for number in range(1, PODS)]
    await until(lambda: resident_bytes(pid) > before)
    await asyncio.sleep(0.3)  # the last requests are on their way into the application
    each = (resident_bytes(pid) - before) / PODS
    for writer in writers:
        writer.transport.abort()

    limits = yaml.safe_load(VALUES.read_text())["operator"]["resources"]["limits"]
    # The other third is for the process and what it knows of the cluster.
    assert REPORT_LIMITS.connections * each < int(limits["memory"].removesuffix("Mi")) * MIB * 2 / 3


async def held(port: int, tls: ssl.SSLContext, number: int) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("localhost", port, ssl=tls)
    body = json.dumps(report(f"p{number}").to_json()).encode()
    head = f"Host: x\r\nAuthorization: Bearer token-p{number}\r\nContent-Length: {len(body)}"
    writer.write(f"POST /v1/report HTTP/1.1\r\n{head}\r\n\r\n".encode() + body)
    await writer.drain()
    return writer

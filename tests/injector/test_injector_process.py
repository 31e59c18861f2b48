"""A real injector on loopback: TLS, rotation, readiness, its end, bad settings."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from injector.running import LIMIT_S, admission, injector, pod
from kit.authority import Authority
from kit.ports import free_port


async def ask(client: httpx2.AsyncClient, port: int, document: object) -> httpx2.Response:
    return await client.post(f"https://localhost:{port}/v1/inject", json=document)


def patch_of(response: httpx2.Response) -> list[dict[str, Any]]:
    patch: list[dict[str, Any]] = json.loads(base64.b64decode(response.json()["response"]["patch"]))
    return patch


async def readiness(port: int) -> int:
    async with httpx2.AsyncClient(trust_env=False) as client:
        return (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code


async def test_it_injects_over_tls_with_a_fresh_token_for_each_pod(tmp_path: Path) -> None:
    authority = Authority("one")
    authority.write(tmp_path)
    async with injector(tmp_path) as running:
        ports = await running.ports()
        async with authority.client() as client:
            answers = [await ask(client, ports["webhook"], admission(pod())) for _ in range(2)]
            denied = await ask(client, ports["webhook"], admission(pod(mode="proxy")))
            malformed = await ask(client, ports["webhook"], {"kind": "Pod"})
            metrics = await client.get(f"http://127.0.0.1:{ports['health']}/metrics")
        assert await running.stop() == 0
    assert [answer.status_code for answer in answers] == [200, 200]
    assert authority.pem in [operation["value"] for operation in patch_of(answers[0])]
    assert patch_of(answers[0]) != patch_of(answers[1])
    assert (denied.status_code, denied.json()["response"]["allowed"]) == (200, False)
    assert (malformed.status_code, malformed.json()["field"]) == (400, "apiVersion")
    for decision, count in (("injected", 2), ("denied", 1), ("malformed", 1)):
        assert f'tidegate_injector_reviews_total{{decision="{decision}"}} {count}.0' in metrics.text


async def test_a_new_certificate_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    before, after = Authority("before"), Authority("after")
    before.write(tmp_path)
    async with injector(tmp_path) as running:
        ports = await running.ports()
        async with before.client() as client:
            first = await ask(client, ports["webhook"], admission(pod()))
        (tmp_path / "tls.crt").write_text("in the middle of being written")
        after.write(tmp_path)
        second = await until_trusted(after, ports["webhook"])
        assert await running.stop() == 0
    assert before.pem in first.text or before.pem in str(patch_of(first)).replace("\\n", "\n")
    assert after.pem in [operation["value"] for operation in patch_of(second)]


async def until_trusted(authority: Authority, port: int) -> httpx2.Response:
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                async with authority.client() as client:
                    return await ask(client, port, admission(pod()))
            except httpx2.ConnectError:
                await asyncio.sleep(0.1)


async def test_it_is_alive_but_not_ready_until_there_is_a_certificate(tmp_path: Path) -> None:
    health = free_port()
    async with injector(tmp_path, HEALTH_PORT=str(health)) as running:
        async with asyncio.timeout(LIMIT_S):
            while True:
                try:
                    assert await readiness(health) == 503
                    break
                except httpx2.TransportError:
                    await asyncio.sleep(0.05)
        Authority("late").write(tmp_path)
        await running.ports()
        assert await readiness(health) == 200
        assert await running.stop() == 0


async def test_it_stops_at_once_while_it_waits_for_a_certificate(tmp_path: Path) -> None:
    async with injector(tmp_path) as running:
        assert running.process.stderr is not None
        line = await asyncio.wait_for(running.process.stderr.readline(), LIMIT_S)
        assert b"waiting for a certificate" in line
        assert await running.stop() == 0


async def test_it_turns_not_ready_first_and_serves_while_it_is_forgotten(tmp_path: Path) -> None:
    authority = Authority("one")
    authority.write(tmp_path)
    async with injector(tmp_path, STOP_DELAY_S="2") as running:
        ports = await running.ports()
        stopping = asyncio.create_task(running.stop())
        async with asyncio.timeout(LIMIT_S):
            while True:
                if await readiness(ports["health"]) == 503:
                    break
                await asyncio.sleep(0.01)
        told_s = time.monotonic()
        while time.monotonic() < told_s + 1:
            async with authority.client() as client:
                answer = await ask(client, ports["webhook"], admission(pod()))
            assert answer.json()["response"]["allowed"]
        assert await stopping == 0


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("SIDECAR_IMAGE", "", "TIDEGATE_SIDECAR_IMAGE: must be an image"),
        ("WEBHOOK_PORT", "http", "TIDEGATE_WEBHOOK_PORT: must be a whole number"),
        ("SIDECAR_DEFAULTS", '{"port": 80}', "TIDEGATE_SIDECAR_DEFAULTS: must be a JSON object"),
        ("SIDECAR_DEFAULTS", '{"port": "80"}', "port must be a whole number from 1024"),
        ("OPERATOR_URL", "operator:1", "TIDEGATE_OPERATOR_URL: must be https://HOST:PORT"),
    ],
)
async def test_a_bad_setting_is_one_line_and_exit_status_2(
    tmp_path: Path, setting: str, value: str, words: str
) -> None:
    async with injector(tmp_path, **{setting: value}) as running:
        _, said = await asyncio.wait_for(running.process.communicate(), LIMIT_S)
        assert running.process.returncode == 2
    assert words in said.decode()
    assert said.count(b"\n") == 1


async def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with injector(tmp_path, WEBHOOK_PORT=port) as running:
            _, said = await asyncio.wait_for(running.process.communicate(), LIMIT_S)
            assert running.process.returncode == 2
    assert b"TIDEGATE_WEBHOOK_PORT: cannot listen on 127.0.0.1" in said

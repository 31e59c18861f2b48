"""The example of the README, applied as it is written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from kit.waiting import until

from e2e.cluster.provider import Cluster
from e2e.images.build import ImageBuilder
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from tidegate.contract.names import HEADER_LAST_EVENT_ID
from tidegate.contract.stream_events import CONNECTED, SHUTDOWN

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

EXAMPLE = Path(__file__).parent.parent / "manifests" / "example"
IMAGE = "docker.io/library/python:3.13-slim"
NAMESPACE = "e2e-example"
WHERE = f"--namespace={NAMESPACE}"
TICKS = "/events?topic=ticks"
PODS = 3


@pytest.fixture
def example(cluster: Cluster, kubectl: Kubectl, installation: Installation) -> Iterator[str]:
    """The stream Service's address, its pods being ready."""
    cluster.load_image(ImageBuilder().under_name(IMAGE).archive)
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    try:
        kubectl("apply", "--kustomize", str(EXAMPLE), WHERE)
        kubectl("rollout", "status", "deployment/ticker", WHERE, "--timeout=100s")
        yield kubectl.get("service", "ticker-sse", WHERE)["spec"]["clusterIP"]
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


async def test_it_ticks_through_its_rollout(kubectl: Kubectl, example: str) -> None:
    """One stream hears every pod; told to go at the restart, it comes back and misses nothing."""
    ids: list[str] = []
    voices: set[str] = set()
    homes: list[str] = []

    async def listen() -> None:
        async with httpx2.AsyncClient(base_url=f"http://{example}", trust_env=False) as http:
            while True:
                async for event, identifier, data in _stream(http, ids[-1] if ids else None):
                    if event == CONNECTED:
                        homes.append(json.loads(data)["pod"])
                    elif event == "tick":
                        ids.append(identifier)
                        voices.add(data.rpartition(" ")[2])
                await asyncio.sleep(1)

    listening = asyncio.create_task(listen())
    try:
        await until(lambda: len(voices) == PODS, within_s=60)
        await asyncio.to_thread(kubectl, "rollout", "restart", "deployment/ticker", WHERE)
        patience = "--timeout=150s"
        await asyncio.to_thread(kubectl, "rollout", "status", "deployment/ticker", WHERE, patience)
        await until(lambda: len(voices) >= 2 * PODS, within_s=60)
        await until(lambda: len(homes) >= 2, within_s=60)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    sequence = [int(identifier.rpartition("-")[2]) for identifier in ids]
    print(f"{len(ids)} ticks of {len(voices)} pods, heard on {len(homes)} streams")
    assert sequence == list(range(sequence[0], sequence[0] + len(sequence)))
    assert homes[0] != homes[-1]


async def _stream(
    http: httpx2.AsyncClient, cursor: str | None
) -> AsyncIterator[tuple[str, str, str]]:
    """The events of one stream up to its end: name, id, data."""
    headers = {} if cursor is None else {HEADER_LAST_EVENT_ID: cursor}
    fields: dict[str, str] = {}
    timeout = httpx2.Timeout(5, read=60)
    async with http.stream("GET", TICKS, headers=headers, timeout=timeout) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
                continue
            if "data" in fields:
                event = fields.get("event", "message")
                yield event, fields.get("id", ""), fields["data"]
                if event == SHUTDOWN:
                    return
            fields = {}

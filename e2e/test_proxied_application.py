"""An application that streams by itself rolls out behind the sidecar, unchanged.

Endless streams leave with a goodbye and come back elsewhere; answers are finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from kit.waiting import until

from e2e import streaming_app
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from tidegate.contract.kube import (
    API_GROUP,
    API_VERSION,
    CONTAINER_PORT_STREAMS,
    KEY_PREFIX,
    KIND_DRAIN_POLICY,
)
from tidegate.contract.names import LABEL_ADMIT
from tidegate.contract.stream_events import SHUTDOWN

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400)]

APP = Path(streaming_app.__file__)
PORT = 8000
NAMESPACE, NAME = "e2e-proxied", "llm"
WHERE = f"--namespace={NAMESPACE}"
PODS, STREAMS, ASKERS = 3, 90, 15
BUDGET_PER_S = 20.0
PROXIED = {"mode": "proxy", "upstream-port": str(PORT)}


@dataclass(slots=True)
class Seen:
    """What the clients have seen; `pods` has the pod of each endless stream that is open."""

    moves: int = 0
    cut: int = 0
    answers: int = 0
    broken: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    pods: dict[int, str] = field(default_factory=dict)


def documents(image: str, annotations: dict[str, str]) -> list[dict[str, Any]]:
    """The application's source, its Deployment, Service and policy."""
    labels = {"app": NAME}
    head: dict[str, Any] = {"metadata": {"name": NAME, "namespace": NAMESPACE}}
    probe = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1, "timeoutSeconds": 5}
    container = {
        "name": "app",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["python", f"/source/{APP.name}", str(PORT)],
        "readinessProbe": probe,
        "volumeMounts": [{"name": "source", "mountPath": "/source"}],
    }
    keys = {f"{KEY_PREFIX}{key}": value for key, value in annotations.items()}
    template = {
        "metadata": {
            "labels": {**labels, LABEL_ADMIT: "true"},
            "annotations": {f"{KEY_PREFIX}inject": "true", **keys},
        },
        "spec": {
            "terminationGracePeriodSeconds": 60,
            "containers": [container],
            "volumes": [{"name": "source", "configMap": {"name": NAME}}],
        },
    }
    spec = {
        "replicas": PODS,
        "minReadySeconds": 3,
        "selector": {"matchLabels": labels},
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": template,
    }
    service = {
        "selector": {**labels, LABEL_ADMIT: "true"},
        "ports": [{"port": 80, "targetPort": CONTAINER_PORT_STREAMS}],
    }
    policy = {"selector": {"matchLabels": labels}, "budgetPerSecond": BUDGET_PER_S}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", **head, "data": {APP.name: APP.read_text()}},
        {"apiVersion": "apps/v1", "kind": "Deployment", **head, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", **head, "spec": service},
        {
            "apiVersion": f"{API_GROUP}/{API_VERSION}",
            "kind": KIND_DRAIN_POLICY,
            **head,
            "spec": policy,
        },
    ]


@contextlib.contextmanager
def deployed(kubectl: Kubectl, image: str, annotations: dict[str, str]) -> Iterator[str]:
    """The address of the application's Service, its pods being ready."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true")
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    try:
        kubectl.apply(*documents(image, annotations))
        kubectl("rollout", "status", f"deployment/{NAME}", WHERE, "--timeout=100s")
        yield f"http://{kubectl.get('service', NAME, WHERE)['spec']['clusterIP']}"
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


async def test_endless_streams_move_with_a_goodbye_and_answers_are_finished(
    kubectl: Kubectl, installation: Installation
) -> None:
    """90 EventSources and 15 clients that ask again and again, through a rollout of 3 pods."""
    with deployed(kubectl, installation.images.sidecar.name, PROXIED) as url:
        seen = await _rolled_out(kubectl, url)
    even = Counter(seen.pods.values())
    print(f"{seen}\n{even}, {seen.moves / STREAMS:.2f} moves per client")
    assert (seen.cut, seen.broken) == (0, 0)
    assert set(seen.statuses) == {200}
    assert seen.failed.total() == 0
    assert seen.answers >= 2 * ASKERS
    assert seen.moves <= 1.1 * STREAMS
    assert len(even) == PODS
    assert max(even.values()) <= 1.25 * STREAMS / PODS


@pytest.mark.counterproof
async def test_without_the_proxy_streams_and_answers_are_cut(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The same application in hub mode: the Service leads past the sidecar."""
    plain = {"backplane": "memory"}
    with deployed(kubectl, installation.images.sidecar.name, plain) as _:
        ports = [{"port": 80, "targetPort": PORT}]
        kubectl(
            "patch",
            "service",
            NAME,
            WHERE,
            "--type=merge",
            f"-p={json.dumps({'spec': {'ports': ports}})}",
        )
        address = kubectl.get("service", NAME, WHERE)["spec"]["clusterIP"]
        seen = await _rolled_out(kubectl, f"http://{address}")
    print(seen)
    assert seen.cut > 0
    assert seen.broken > 0


async def _rolled_out(kubectl: Kubectl, url: str) -> Seen:
    seen = Seen()
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    timeout = httpx2.Timeout(30.0)
    async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=timeout) as http:
        listeners = [asyncio.create_task(_listen(http, n, seen)) for n in range(STREAMS)]
        going = asyncio.Event()
        askers = [asyncio.create_task(_ask(http, seen, going)) for _ in range(ASKERS)]
        try:
            await until(lambda: len(seen.pods) == STREAMS, within_s=60)
            old = set(seen.pods.values())
            await asyncio.to_thread(kubectl, "rollout", "restart", f"deployment/{NAME}", WHERE)
            status = ("rollout", "status", f"deployment/{NAME}", WHERE, "--timeout=200s")
            await asyncio.to_thread(kubectl, *status)
            await until(lambda: old.isdisjoint(seen.pods.values()), within_s=90)
            await asyncio.sleep(12)  # evening out
            going.set()
            await asyncio.wait_for(asyncio.gather(*askers), 60)
        finally:
            for task in (*listeners, *askers):
                task.cancel()
            await asyncio.gather(*listeners, *askers, return_exceptions=True)
    return seen


async def _listen(http: httpx2.AsyncClient, number: int, seen: Seen) -> None:
    """An EventSource: back after `retry:`, or after three seconds."""
    while True:
        retry_s, polite = 3.0, False
        try:
            async with http.stream("GET", "/events") as answer:
                seen.statuses[answer.status_code] += 1
                async for key, value in _fields(answer):
                    if key == "retry":
                        retry_s = int(value) / 1000
                    polite = polite or (key, value) == ("event", SHUTDOWN)
                    if key == "data" and not polite:
                        pod = value.partition(" ")[0]
                        seen.moves += seen.pods.get(number, pod) != pod
                        seen.pods[number] = pod
        except httpx2.ConnectError as error:
            seen.failed[type(error).__name__] += 1
        except httpx2.HTTPError:
            pass
        seen.cut += not polite
        await asyncio.sleep(retry_s)


async def _ask(http: httpx2.AsyncClient, seen: Seen, done: asyncio.Event) -> None:
    """Ask, and read the whole answer, until it is `done`."""
    expected = [*(str(n) for n in range(streaming_app.PARTS)), "[DONE]"]
    while not done.is_set():
        parts: list[str] = []
        try:
            async with http.stream("POST", "/answer", json={}) as answer:
                seen.statuses[answer.status_code] += 1
                async for key, value in _fields(answer):
                    if key == "data":
                        parts.append(value)
        except httpx2.HTTPError as error:
            seen.failed[type(error).__name__] += isinstance(error, httpx2.ConnectError)
        seen.answers += parts == expected
        seen.broken += parts != expected


async def _fields(answer: httpx2.Response) -> AsyncIterator[tuple[str, str]]:
    async for line in answer.aiter_lines():
        key, found, value = line.partition(":")
        if found and key:
            yield key, value.removeprefix(" ")

"""A real API server and its controllers, as the tests use them; the kubelet is played here.

Wanted: ``TIDEGATE_TEST_KUBECONFIG`` names a kubeconfig of a cluster that may be written to, that
has the DrainPolicy CRD and no operator at work. Pods are given to a scheduler that does not exist,
so that no node takes them, and made Ready by their status.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import ssl
import sys
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from kit.ports import free_ports
from kit.waiting import until
from operator_kube.kube_world import ADMIT, fixture, reported

from tidegate_kubernetes.api import Access, ApiError, KubeApi
from tidegate_operator.kube.events import micro_time

KUBECONFIG = os.environ.get("TIDEGATE_TEST_KUBECONFIG", "")
NOBODY = "nobody"
needs_apiserver = [
    pytest.mark.skipif(not KUBECONFIG, reason="TIDEGATE_TEST_KUBECONFIG names no kubeconfig"),
    pytest.mark.timeout(180),
]


@dataclass
class Namespace:
    api: KubeApi
    name: str

    def path(self, group: str, plural: str) -> str:
        return f"{group}/namespaces/{self.name}/{plural}"

    @property
    def pods_path(self) -> str:
        return self.path("/api/v1", "pods")

    async def pods(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.api.get(self.pods_path))["items"]
        return [p for p in found if "deletionTimestamp" not in p["metadata"]]

    async def deploy(self) -> None:
        """The recorded Deployment, Service and policy, in this namespace."""
        for name, group, plural in (
            ("deployment", "/apis/apps/v1", "deployments"),
            ("service", "/api/v1", "services"),
            ("drainpolicy", "/apis/tidegate.dev/v1alpha1", "drainpolicies"),
        ):
            raw = fixture(name)
            spec = raw["spec"]
            for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(field, None)
            if "template" in spec:
                spec["template"]["spec"]["schedulerName"] = NOBODY
                del spec["template"]["spec"]["nodeName"]
            meta = {"name": raw["metadata"]["name"], "namespace": self.name}
            body = {"apiVersion": raw["apiVersion"], "kind": raw["kind"], "metadata": meta}
            await self.api.post(self.path(group, plural), {**body, "spec": spec})

    async def become_ready(self) -> None:
        """Play the kubelet for every pod that is there."""
        now = micro_time(time.time())[:19] + "Z"
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        for pod in await self.pods():
            status = {"phase": "Running", "podIP": "10.1.1.1", "conditions": [condition]}
            path = f"{self.pods_path}/{pod['metadata']['name']}/status"
            with contextlib.suppress(ApiError):
                await self.api.merge(path, {"status": status})

    async def token(self, pod: dict[str, Any]) -> str:
        """A projected token as the kubelet would ask for."""
        ref = {"kind": "Pod", "apiVersion": "v1"} | {k: pod["metadata"][k] for k in ("name", "uid")}
        spec = {"audiences": ["tidegate.dev"], "boundObjectRef": ref}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = self.path("/api/v1", "serviceaccounts/default/token")
        made = await self.api.post(path, body)
        return str(made["status"]["token"])


@contextlib.asynccontextmanager
async def a_namespace() -> AsyncIterator[Namespace]:
    """A namespace of its own, taken away again with all that is in it."""
    client = await Access(KUBECONFIG).client()
    api = KubeApi(client)
    name = f"tidegate-test-{uuid.uuid4().hex[:8]}"
    await api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    made = Namespace(api, name)
    await until(lambda: exists(api, made.path("/api/v1", "serviceaccounts/default")))
    try:
        yield made
    finally:
        # The namespace first: in one that is going no controller makes pods anew. No kubelet is
        # there to end them, so they are ended by force.
        await api._call("DELETE", f"/api/v1/namespaces/{name}")
        for pod in (await api.get(made.pods_path))["items"]:
            path = f"{made.pods_path}/{pod['metadata']['name']}?gracePeriodSeconds=0"
            with contextlib.suppress(ApiError):
                await api._call("DELETE", path)
        await client.close()  # type: ignore[no-untyped-call]


async def exists(api: KubeApi, path: str) -> bool:
    with contextlib.suppress(ApiError):
        await api.get(path)
        return True
    return False


@dataclass
class Operator:
    process: asyncio.subprocess.Process
    report_port: int
    health_port: int
    lines: list[str]

    async def text(self, path: str) -> str:
        async with httpx2.AsyncClient(trust_env=False) as client:
            return (await client.get(f"http://127.0.0.1:{self.health_port}{path}")).text

    async def asked(self, path: str) -> int:
        async with httpx2.AsyncClient(trust_env=False) as client:
            try:
                answer = await client.get(f"http://127.0.0.1:{self.health_port}{path}")
            except httpx2.HTTPError:
                return 0
            return answer.status_code

    async def leads(self) -> bool:
        return await self.asked("/readyz") == 200

    async def end(self) -> int:
        if self.process.returncode is None:
            self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 20)


@contextlib.asynccontextmanager
async def operator(namespace: Namespace, **more: str) -> AsyncIterator[Operator]:
    report_port, health_port = free_ports(2)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_")}
    environ |= {
        "KUBECONFIG": KUBECONFIG,
        "TIDEGATE_HOST": "127.0.0.1",
        "TIDEGATE_REPORT_PORT": str(report_port),
        "TIDEGATE_HEALTH_PORT": str(health_port),
        "TIDEGATE_POD_NAMESPACE": namespace.name,
        "TIDEGATE_WATCH_NAMESPACES": namespace.name,
        "TIDEGATE_CERTIFICATE_NAMES": "localhost",
        "TIDEGATE_LEASE_DURATION_S": "10",
        **more,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tidegate_operator", env=environ, stderr=asyncio.subprocess.PIPE
    )
    lines: list[str] = []

    async def read() -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            lines.append(line.decode())

    reading = asyncio.create_task(read())
    try:
        yield Operator(process, report_port, health_port, lines)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


async def trusted(namespace: Namespace) -> ssl.SSLContext:
    """A client that trusts the operator's authority and nobody else."""
    secret = await namespace.api.get(namespace.path("/api/v1", "secrets/tidegate-tls"))
    pem = base64.b64decode(secret["data"]["ca.crt"]).decode()
    return ssl.create_default_context(cadata=pem)


async def post_report(
    namespace: Namespace, at: Operator, pod: dict[str, Any], token: str
) -> httpx2.Response:
    async with httpx2.AsyncClient(verify=await trusted(namespace), timeout=20) as client:
        return await client.post(
            f"https://localhost:{at.report_port}/v1/report",
            json=reported(pod["metadata"]["uid"], 10).to_json(),
            headers={"Authorization": f"Bearer {token}"},
        )


async def three(namespace: Namespace) -> bool:
    return len(await namespace.pods()) == 3


async def labels(namespace: Namespace) -> list[str | None]:
    return [p["metadata"]["labels"].get(ADMIT) for p in await namespace.pods()]


async def all_open(namespace: Namespace) -> bool:
    return await labels(namespace) == ["true"] * 3


class Sidecars:
    """What every pod's sidecar would say: a hundred streams on each pod that is not new."""

    def __init__(self, namespace: Namespace, at: Operator) -> None:
        self._namespace = namespace
        self._at = at
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.answers: dict[str, dict[str, Any]] = {}

    async def follow(self, streams: int) -> None:
        """Report `streams` for every pod that does not report yet."""
        for pod in await self._namespace.pods():
            uid = pod["metadata"]["uid"]
            if uid not in self._tasks:
                token = await self._namespace.token(pod)
                self._tasks[uid] = asyncio.create_task(self._report(uid, token, streams))

    async def _report(self, uid: str, token: str, streams: int) -> None:
        url = f"https://localhost:{self._at.report_port}/v1/report"
        async with httpx2.AsyncClient(verify=await trusted(self._namespace), timeout=20) as client:
            for seq in range(1, 1000):
                body = reported(uid, streams, seq=seq).to_json()
                sent = await client.post(
                    url, json=body, headers={"Authorization": f"Bearer {token}"}
                )
                if sent.status_code == 200:
                    self.answers[uid] = sent.json()
                await asyncio.sleep(0.2)

    async def hear_often(self) -> bool:
        """Whether every pod has been asked to report at the pace of a rollout."""
        return all(answer["report_every_s"] < 1 for answer in self.answers.values())

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


async def costs(namespace: Namespace, desired: list[str]) -> bool:
    key = "controller.kubernetes.io/pod-deletion-cost"
    found = [p["metadata"].get("annotations", {}).get(key) for p in await namespace.pods()]
    return found == desired


async def born(namespace: Namespace, count: int) -> bool:
    return len(await namespace.pods()) == count


async def closed_but_one(namespace: Namespace) -> bool:
    return sorted(str(v) for v in await labels(namespace)) == ["false"] * 3 + ["true"]

"""The whole operator against a real API server and its controllers, without nodes.

Wanted: ``TIDEGATE_TEST_KUBECONFIG`` names a kubeconfig of a cluster that may be written to and
that has the DrainPolicy CRD. The kubelet is played here: pods are made Ready by their status.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import ssl
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from operator_kube.kube_world import ADMIT, fixture, reported

from tidegate.contract.errors import TidegateError
from tidegate_operator.kube.api import Access, ApiError, KubeApi
from tidegate_operator.kube.events import micro_time
from tidegate_operator.kube.readmit import readmit_all

KUBECONFIG = os.environ.get("TIDEGATE_TEST_KUBECONFIG", "")
pytestmark = [
    pytest.mark.skipif(not KUBECONFIG, reason="TIDEGATE_TEST_KUBECONFIG names no kubeconfig"),
    pytest.mark.timeout(180),
]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


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


@pytest.fixture
async def namespace() -> AsyncIterator[Namespace]:
    client = await Access(KUBECONFIG).client()
    api = KubeApi(client)
    name = f"tidegate-test-{uuid.uuid4().hex[:8]}"
    await api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    made = Namespace(api, name)
    await eventually(lambda: exists(api, made.path("/api/v1", "serviceaccounts/default")))
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


async def eventually(
    condition: Callable[[], Awaitable[object]], within_s: float = 30.0, every_s: float = 0.1
) -> None:
    deadline_s = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < deadline_s, "it never became true"
        await asyncio.sleep(every_s)


@dataclass
class Operator:
    process: asyncio.subprocess.Process
    report_port: int
    health_port: int
    lines: list[str]

    async def asked(self, path: str) -> int:
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                answer = await client.get(f"http://127.0.0.1:{self.health_port}{path}")
            except httpx.HTTPError:
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
    ports = free_port(), free_port()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TIDEGATE_")}
    environ |= {
        "KUBECONFIG": KUBECONFIG,
        "TIDEGATE_HOST": "127.0.0.1",
        "TIDEGATE_REPORT_PORT": str(ports[0]),
        "TIDEGATE_HEALTH_PORT": str(ports[1]),
        "TIDEGATE_POD_NAMESPACE": namespace.name,
        "TIDEGATE_WATCH_NAMESPACES": namespace.name,
        "TIDEGATE_CERTIFICATE_NAMES": "localhost",
        "TIDEGATE_LEASE_DURATION_S": "4",
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
        yield Operator(process, *ports, lines)
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
) -> httpx.Response:
    async with httpx.AsyncClient(verify=await trusted(namespace), timeout=20) as client:
        return await client.post(
            f"https://localhost:{at.report_port}/v1/report",
            json=reported(pod["metadata"]["uid"], 10).to_json(),
            headers={"Authorization": f"Bearer {token}"},
        )


async def test_a_pod_reports_with_its_own_token_and_the_status_shows_its_streams(
    namespace: Namespace,
) -> None:
    await namespace.deploy()
    await eventually(lambda: three(namespace))
    await namespace.become_ready()
    async with operator(namespace) as one:
        await eventually(one.leads)
        mine, other = (await namespace.pods())[:2]
        token = await namespace.token(mine)
        assert (await post_report(namespace, one, mine, token)).status_code == 200
        assert (await post_report(namespace, one, other, token)).status_code == 403
        assert (await post_report(namespace, one, mine, "nobody")).status_code == 401

        async def shown() -> bool:
            path = namespace.path("/apis/tidegate.dev/v1alpha1", "drainpolicies/shop")
            status = (await namespace.api.get(path)).get("status") or {}
            conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
            return status.get("streams") == 10 and conditions == {
                "Ready": "True",
                "Steered": "True",
            }

        await eventually(shown)
        assert await one.end() == 0, one.lines


async def three(namespace: Namespace) -> bool:
    return len(await namespace.pods()) == 3


async def labels(namespace: Namespace) -> list[str | None]:
    return [p["metadata"]["labels"].get(ADMIT) for p in await namespace.pods()]


async def test_closed_pods_are_opened_by_the_next_leader(
    namespace: Namespace,
) -> None:
    await namespace.deploy()
    await eventually(lambda: three(namespace))
    for pod in await namespace.pods():
        path = f"{namespace.pods_path}/{pod['metadata']['name']}"
        await namespace.api.merge(path, {"metadata": {"labels": {ADMIT: "false"}}})
    await namespace.become_ready()
    async with operator(namespace) as one:
        await eventually(lambda: all_open(namespace))
        assert await one.end() == 0, one.lines


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
        async with httpx.AsyncClient(verify=await trusted(self._namespace), timeout=20) as client:
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


async def test_a_rollout_writes_costs_closes_the_old_pods_and_keeps_the_new_one_open(
    namespace: Namespace,
) -> None:
    await namespace.deploy()
    await eventually(lambda: three(namespace))
    await namespace.become_ready()
    async with operator(namespace) as one:
        await eventually(one.leads)
        sidecars = Sidecars(namespace, one)
        try:
            await sidecars.follow(100)
            await eventually(lambda: costs(namespace, ["100"] * 3))
            template = {"metadata": {"annotations": {"restarted": "now"}}}
            path = namespace.path("/apis/apps/v1", "deployments/shop")
            await namespace.api.merge(path, {"spec": {"template": template}})
            await eventually(lambda: born(namespace, 4))
            await namespace.become_ready()
            await sidecars.follow(0)
            await eventually(lambda: closed_but_one(namespace))
            await eventually(sidecars.hear_often)
        finally:
            await sidecars.stop()
        assert await one.end() == 0, one.lines


async def costs(namespace: Namespace, wished: list[str]) -> bool:
    key = "controller.kubernetes.io/pod-deletion-cost"
    found = [p["metadata"].get("annotations", {}).get(key) for p in await namespace.pods()]
    return found == wished


async def born(namespace: Namespace, count: int) -> bool:
    return len(await namespace.pods()) == count


async def closed_but_one(namespace: Namespace) -> bool:
    return sorted(str(v) for v in await labels(namespace)) == ["false"] * 3 + ["true"]


async def test_readmit_opens_every_pod_without_an_operator(namespace: Namespace) -> None:
    await namespace.deploy()
    await eventually(lambda: three(namespace))
    for pod in await namespace.pods():
        path = f"{namespace.pods_path}/{pod['metadata']['name']}"
        await namespace.api.merge(path, {"metadata": {"labels": {ADMIT: "false"}}})
    assert await readmit_all(namespace.api, (namespace.name,), pause_s=0.1) == 0
    assert await all_open(namespace)


async def test_a_refusal_becomes_an_event(namespace: Namespace) -> None:
    await namespace.deploy()
    await eventually(lambda: three(namespace))
    service = namespace.path("/api/v1", "services/shop-sse")
    await namespace.api.merge(service, {"spec": {"sessionAffinity": "ClientIP"}})
    async with operator(namespace) as one:

        async def told() -> bool:
            path = namespace.path("/apis/events.k8s.io/v1", "events")
            found = (await namespace.api.get(path))["items"]
            ours = [e for e in found if e["reason"] == "SteeringRefused"]
            return any("sessionAffinity" in e["note"] for e in ours)

        await eventually(told)
        assert await one.end() == 0, one.lines


async def test_the_standby_takes_over_at_once_when_the_leader_ends_and_soon_when_it_dies(
    namespace: Namespace,
) -> None:
    async with operator(namespace) as one:
        await eventually(one.leads)
        async with operator(namespace) as two:
            await eventually(lambda: synced(two))
            assert not await two.leads()
            assert await one.end() == 0, one.lines
            await eventually(two.leads, within_s=3)
            async with operator(namespace) as three_:
                await eventually(lambda: synced(three_))
                two.process.kill()
                began_s = time.monotonic()
                await eventually(three_.leads, within_s=10)
                assert time.monotonic() - began_s > 2, "a Lease is waited for"


async def synced(one: Operator) -> bool:
    return await one.asked("/syncedz") == 200


async def test_the_certificate_is_shared_and_survives_a_restart(namespace: Namespace) -> None:
    seen = []
    for _ in range(2):
        async with operator(namespace) as one:
            await eventually(one.leads)
            secret = await namespace.api.get(namespace.path("/api/v1", "secrets/tidegate-tls"))
            seen.append(json.dumps(secret["data"], sort_keys=True))
            assert await one.end() == 0, one.lines
    assert seen[0] == seen[1]


def test_a_kubeconfig_that_is_not_there_is_a_setting(tmp_path: Any) -> None:
    with pytest.raises(TidegateError, match="KUBECONFIG"):
        Access.from_environ({"KUBECONFIG": str(tmp_path / "none")})

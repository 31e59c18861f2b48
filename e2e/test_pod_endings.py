"""How a pod ends: hooks, the order of signals, a second call, the linger, and a router in front."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import httpx2
import pytest

from e2e.goals import ONE_BY_ONE, SMOOTH, missed, show
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from e2e.nginx import in_front, require
from e2e.prerequisites import required_or_skipped
from e2e.rollouts.events import busiest, until_all_ready
from e2e.rollouts.happening import happening
from e2e.rollouts.rollout import replaced
from e2e.rollouts.stage import Audience, staged
from e2e.rollouts.workload import Workload
from tidegate.contract.kube import CONTAINER_SIDECAR, KEY_PREFIX
from tidegate.contract.names import ADMIN_PORT, HEADER_POD_TOKEN, PATH_DRAIN_POD
from tidegate.score.scorecard import Run
from tidegate_lab.door import Endpoint
from tidegate_lab.processes import ProcessGroup

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

LINGER_S = 5.0
GRACE_S = 60


async def test_a_deleted_pod_drains_once_and_ends_in_order(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Every call of the hook joins one drain; the sidecar ends last, with status 0."""
    image = installation.images.sidecar.name
    workload = Workload(image=image, namespace="e2e-endings", pods=2, min_ready_s=0)
    async with happening(kubectl, workload, Audience(clients=100)) as seen:
        stage = seen.stage
        pod = busiest(stage)
        address = stage.pods.seen[pod].status["podIP"]
        headers = await asyncio.to_thread(_hook_headers, kubectl, workload, pod)
        url = f"http://{address}:{ADMIN_PORT}{PATH_DRAIN_POD}"
        seen.begin()
        where = f"--namespace={workload.namespace}"
        async with httpx2.AsyncClient(trust_env=False, timeout=GRACE_S) as http:
            assert (await http.get(url)).status_code in (401, 403)
            await asyncio.to_thread(kubectl, "delete", "pod", pod, where, "--wait=false")
            await asyncio.gather(*[_call(http, url, headers) for _ in range(2)])
        hooks_s = time.monotonic() - seen.began_s
        await stage.until("the pod is gone", lambda: stage.pods.seen[pod].gone_s is not None, 70)
        await until_all_ready(stage, workload.pods)
        failed = await asyncio.to_thread(kubectl, "get", "events", where)
    _assert_order(stage.pods.seen[pod].status)
    show("a pod deleted, its hook called three times", [seen.run])
    assert hooks_s >= LINGER_S
    assert "FailedPreStopHook" not in failed
    assert missed([seen.run], SMOOTH) == []


async def test_an_idle_pod_lingers_until_routers_have_forgotten_it(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Without a stream there is nothing to drain, yet it stays a while, and not much longer."""
    stayed_s = await _seconds_an_idle_pod_stays(kubectl, installation, {})
    print(f"an idle pod was gone after {stayed_s:.1f} s")
    assert LINGER_S <= stayed_s <= 2 * LINGER_S


@pytest.mark.counterproof
async def test_without_its_linger_an_idle_pod_is_gone_at_once(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Before every router can have heard that it goes."""
    linger = {f"{KEY_PREFIX}linger-s": "0"}
    stayed_s = await _seconds_an_idle_pod_stays(kubectl, installation, linger)
    print(f"(j) without linger an idle pod was gone after {stayed_s:.1f} s")
    assert stayed_s < LINGER_S


async def _seconds_an_idle_pod_stays(
    kubectl: Kubectl, installation: Installation, annotations: dict[str, str]
) -> float:
    """From its deletion until it is gone."""
    workload = Workload(
        image=installation.images.sidecar.name,
        namespace="e2e-linger",
        pods=1,
        min_ready_s=0,
        annotations=annotations,
    )
    async with staged(kubectl, workload, Audience(clients=0)) as stage:
        await until_all_ready(stage, 1)
        pod = stage.pods.alive()[0]
        where = f"--namespace={workload.namespace}"
        await asyncio.to_thread(kubectl, "delete", "pod", pod.name, where, "--wait=false")
        await stage.until("the pod is gone", lambda: pod.gone_s is not None, 60)
        assert pod.gone_s is not None
        assert pod.deleted_s is not None
        return pod.gone_s - pod.deleted_s


async def test_a_router_with_keep_alive_sees_no_error(
    kubectl: Kubectl, installation: Installation
) -> None:
    """It keeps connections to the Service; none of them leads to a pod that is gone."""
    run = await _behind_nginx(kubectl, installation, {})
    show("rolling update behind nginx with upstream keep-alive", [run])
    assert missed([run], SMOOTH) == []


@pytest.mark.counterproof
async def test_without_steering_slots_and_linger_clients_come_back_to_pods_that_leave(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Everybody is told at once to come back at once, and the pod is not closed before it goes.

    Still no 502: until its process ends, a pod answers 200 and sends people on.
    """
    at_once = {"drain": "fixed", "shutdown-retry-ms": "1", "linger-s": "0"}
    annotations = {f"{KEY_PREFIX}{key}": value for key, value in at_once.items()}
    run = await _behind_nginx(kubectl, installation, annotations, admit=False)
    show("(j) the same with neither steering, slots nor linger", [run])
    assert run.scorecard.bounced
    told = {str(miss) for miss in missed([run], ONE_BY_ONE)}
    assert any("moves_per_client" in miss for miss in told), told
    assert any("peak_over_budget" in miss for miss in told), told


async def _behind_nginx(
    kubectl: Kubectl,
    installation: Installation,
    annotations: dict[str, str],
    *,
    admit: bool = True,
) -> Run:
    """A rolling update with an nginx between the clients and the stream Service."""
    nginx = required_or_skipped(lambda: require(dict(os.environ)))

    async def router(process_group: ProcessGroup, endpoint: Endpoint) -> Endpoint:
        return await in_front(process_group, endpoint, nginx)

    workload = Workload(
        image=installation.images.sidecar.name,
        namespace="e2e-router",
        pods=3,
        min_ready_s=2,
        annotations=annotations,
        admit=admit,
    )
    async with happening(kubectl, workload, Audience(clients=300), router) as seen:
        await replaced(kubectl, seen.stage)
    return seen.run


def _hook_headers(kubectl: Kubectl, workload: Workload, pod: str) -> dict[str, str]:
    """What the kubelet will show to the sidecar."""
    spec = kubectl.get("pod", pod, f"--namespace={workload.namespace}")["spec"]
    sidecar = next(c for c in spec["initContainers"] if c["name"] == CONTAINER_SIDECAR)
    shown = sidecar["lifecycle"]["preStop"]["httpGet"]["httpHeaders"]
    headers = {header["name"]: str(header["value"]) for header in shown}
    assert HEADER_POD_TOKEN in headers
    return headers


async def _call(http: httpx2.AsyncClient, url: str, headers: dict[str, str]) -> None:
    answer = await http.get(url, headers=headers)
    assert answer.status_code == 200


def _assert_order(status: Any) -> None:
    """By the kubelet's own record (whole seconds)."""
    ended = {
        container["name"]: container["state"]["terminated"]
        for container in [*status["containerStatuses"], *status["initContainerStatuses"]]
    }
    sidecar, application = ended[CONTAINER_SIDECAR], ended["app"]
    assert sidecar["exitCode"] == 0
    assert application["finishedAt"] <= sidecar["finishedAt"]

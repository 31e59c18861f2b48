"""`helm uninstall` with everybody connected: streams stay, and no Service stays without pods.

Where events must go on, the applications have a NATS of their own: the chart's goes with it.
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus

import pytest

from e2e.goals import ROLLBACK, missed, show
from e2e.installation import Installation, install, uninstall
from e2e.kubectl import Kubectl
from e2e.rollouts.broker import WithOwnBroker, own_backplane
from e2e.rollouts.events import execute
from e2e.rollouts.happening import finalizers, happening
from e2e.rollouts.operations import pause, resume
from e2e.rollouts.rollout import restart, until_replaced
from e2e.rollouts.stage import Audience, Stage, staged
from e2e.rollouts.workload import Workload
from tidegate.contract.names import LABEL_ADMIT, PATH_PUBLISH, PUBLISH_PORT

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

WATCHED_S = 3.0
PUBLISHED_WITHIN_S = 60.0

_PUBLISH = f"""
import http.client, json
sidecar = http.client.HTTPConnection("127.0.0.1", {PUBLISH_PORT}, timeout=10)
sidecar.request("POST", "{PATH_PUBLISH}", json.dumps({{"to": "all", "data": "?"}}))
print(sidecar.getresponse().status)
"""
"""Run in the application's container."""


async def test_uninstalling_in_mid_rollout_is_not_felt(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Every closed pod is opened; installed again, the rollout ends as if nothing had been."""
    workload = _workload(installation, "e2e-uninstall", pods=5)
    try:
        async with happening(kubectl, workload, Audience(clients=500)) as seen:
            stage, old = seen.stage, seen.old
            await _pause_in_mid_rollout(kubectl, stage, old)
            await _uninstall(kubectl, stage)
            assert _closed(stage) == []
            await stage.settle()
            held = await asyncio.to_thread(finalizers, kubectl, workload.namespace)
            await asyncio.to_thread(install, kubectl, installation.images)
            await resume(kubectl, stage)
            await until_replaced(stage, old)
    finally:
        install(kubectl, installation.images)
    show("(k) uninstalled and installed again in mid-rollout", [seen.run])
    print(f"without an endpoint: {seen.empty_s:.2f} s")
    assert seen.empty_s == 0
    assert held == []
    assert missed([seen.run], ROLLBACK) == []


async def test_the_charts_own_broker_goes_with_the_release(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Streams stay and publishers are told; a new broker is taken up without a restart."""
    image = installation.images.sidecar.name
    workload = Workload(image=image, namespace="e2e-uninstall-broker", pods=2, min_ready_s=0)
    audience = Audience(clients=100)
    try:
        async with staged(kubectl, workload, audience) as stage:
            await stage.fill()
            await _uninstall(kubectl, stage)
            told = await _published(kubectl, stage)
            await stage.settle()
            connected, cuts = stage.load.progress.connected, stage.load.progress.cuts
            await asyncio.to_thread(install, kubectl, installation.images)
            again_s = time.monotonic()
            while await _published(kubectl, stage) != HTTPStatus.ACCEPTED:
                assert time.monotonic() < again_s + PUBLISHED_WITHIN_S
            again_s = time.monotonic() - again_s
    finally:
        install(kubectl, installation.images)
    print(f"(k) without the chart's broker {told}, {connected} streams; again {again_s:.1f} s")
    assert told == HTTPStatus.SERVICE_UNAVAILABLE
    assert (connected, cuts) == (audience.clients, 0)


@pytest.mark.counterproof
async def test_without_its_hooks_uninstalling_leaves_pods_closed(
    kubectl: Kubectl, installation: Installation
) -> None:
    """`--no-hooks`: once the open pod goes, the stream Service is empty."""
    workload = _workload(installation, "e2e-uninstall-no-hooks", pods=2)
    try:
        async with staged(kubectl, workload, Audience(clients=100)) as stage:
            await stage.fill()
            began_s = time.monotonic()
            old = {pod.name for pod in stage.pods.alive()}
            await _pause_in_mid_rollout(kubectl, stage, old)
            await _uninstall(kubectl, stage, "--no-hooks")
            closed = _closed(stage)
            await _delete_open_pods(kubectl, stage)
            watched_s = time.monotonic() + WATCHED_S
            await stage.until("a while", lambda: time.monotonic() >= watched_s, 2 * WATCHED_S)
            empty_s = stage.endpoints.seconds_without(began_s, time.monotonic())
    finally:
        install(kubectl, installation.images)
    print(f"(k) uninstalled without hooks: {len(closed)} pods closed, {empty_s:.2f} s empty")
    assert closed != []
    assert empty_s > 0


async def _published(kubectl: Kubectl, stage: Stage) -> int:
    """The status that the application of some pod gets for one event."""
    pod = stage.pods.alive()[0].name
    return int(await execute(kubectl, stage, pod, "app", "python", "-c", _PUBLISH))


def _workload(installation: Installation, namespace: str, pods: int) -> WithOwnBroker:
    return WithOwnBroker(
        image=installation.images.sidecar.name,
        broker_image=installation.images.nats.name,
        namespace=namespace,
        pods=pods,
        annotations=own_backplane(namespace),
    )


async def _pause_in_mid_rollout(kubectl: Kubectl, stage: Stage, old: set[str]) -> None:
    """Until a new pod is there and the operator has closed others; then the rollout stands."""
    await restart(kubectl, stage)

    def under_way() -> bool:
        new = [p for p in stage.pods.alive() if p.name not in old and p.ready]
        return bool(new) and _closed(stage) != []

    await stage.until("pods are closed", under_way, 60)
    await pause(kubectl, stage)
    assert _closed(stage) != []


async def _uninstall(kubectl: Kubectl, stage: Stage, *words: str) -> None:
    began_s = time.monotonic()
    await asyncio.to_thread(uninstall, kubectl, *words)
    took_s = time.monotonic() - began_s
    stage.progress.done(f"uninstalled in {took_s:.1f} s: {stage.standing()}")


def _closed(stage: Stage) -> list[str]:
    """Living pods that the stream Service leaves out."""
    alive = [pod for pod in stage.pods.alive() if pod.deleted_s is None]
    return [pod.name for pod in alive if pod.labels.get(LABEL_ADMIT) == "false"]


async def _delete_open_pods(kubectl: Kubectl, stage: Stage) -> None:
    alive = [pod for pod in stage.pods.alive() if pod.deleted_s is None]
    opened = [pod.name for pod in alive if pod.labels.get(LABEL_ADMIT) == "true"]
    where = f"--namespace={stage.workload.namespace}"
    await asyncio.to_thread(kubectl, "delete", "pods", *opened, where, "--wait=false")

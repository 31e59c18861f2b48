"""What a rollout makes the operator write, on a real API server and its controllers."""

from __future__ import annotations

from kit.waiting import until
from operator_kube.kube_world import ADMIT
from operator_kube.real_apiserver import (
    Namespace,
    Sidecars,
    all_open,
    born,
    closed_but_one,
    costs,
    needs_apiserver,
    operator,
    three,
)

from tidegate_operator.kube.readmit import readmit_all

pytestmark = needs_apiserver


async def test_closed_pods_are_opened_by_the_next_leader(
    namespace: Namespace,
) -> None:
    await namespace.deploy()
    await until(lambda: three(namespace))
    for pod in await namespace.pods():
        path = f"{namespace.pods_path}/{pod['metadata']['name']}"
        await namespace.api.merge(path, {"metadata": {"labels": {ADMIT: "false"}}})
    await namespace.become_ready()
    async with operator(namespace) as one:
        await until(lambda: all_open(namespace))
        assert await one.end() == 0, one.lines


async def test_a_rollout_writes_costs_closes_the_old_pods_and_keeps_the_new_one_open(
    namespace: Namespace,
) -> None:
    await namespace.deploy()
    await until(lambda: three(namespace))
    await namespace.become_ready()
    async with operator(namespace) as one:
        await until(one.leads)
        sidecars = Sidecars(namespace, one)
        try:
            await sidecars.follow(100)
            await until(lambda: costs(namespace, ["100"] * 3))
            template = {"metadata": {"annotations": {"restarted": "now"}}}
            path = namespace.path("/apis/apps/v1", "deployments/shop")
            await namespace.api.merge(path, {"spec": {"template": template}})
            await until(lambda: born(namespace, 4))
            await namespace.become_ready()
            await sidecars.follow(0)
            await until(lambda: closed_but_one(namespace))
            await until(sidecars.hear_often)
        finally:
            await sidecars.stop()
        assert await one.end() == 0, one.lines


async def test_readmit_opens_every_pod_without_an_operator(namespace: Namespace) -> None:
    await namespace.deploy()
    await until(lambda: three(namespace))
    for pod in await namespace.pods():
        path = f"{namespace.pods_path}/{pod['metadata']['name']}"
        await namespace.api.merge(path, {"metadata": {"labels": {ADMIT: "false"}}})
    assert await readmit_all(namespace.api, (namespace.name,), pause_s=0.1) == 0
    assert await all_open(namespace)


async def test_a_refusal_becomes_an_event(namespace: Namespace) -> None:
    await namespace.deploy()
    await until(lambda: three(namespace))
    service = namespace.path("/api/v1", "services/shop-sse")
    await namespace.api.merge(service, {"spec": {"sessionAffinity": "ClientIP"}})
    async with operator(namespace) as one:
        await until(lambda: told(namespace, "SteeringRefused", "sessionAffinity"))
        assert await one.end() == 0, one.lines


async def test_advice_becomes_an_event_and_a_condition(namespace: Namespace) -> None:
    await namespace.deploy()
    await until(lambda: three(namespace))
    deployment = namespace.path("/apis/apps/v1", "deployments/shop")
    rolling = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    await namespace.api.merge(deployment, {"spec": {"strategy": rolling}})
    async with operator(namespace) as one:
        await until(lambda: told(namespace, "NoSurge", "maxSurge to 1 or more"))
        await until(lambda: advised(namespace))
        assert await one.end() == 0, one.lines


async def advised(namespace: Namespace) -> bool:
    path = namespace.path("/apis/tidegate.dev/v1alpha1", "drainpolicies/shop")
    status = (await namespace.api.get(path)).get("status") or {}
    found = [c for c in status.get("conditions") or () if c["type"] == "WellConfigured"]
    shown = [w.get("advice") for w in status.get("workloads") or ()]
    return bool(found) and found[0]["status"] == "False" and any(shown)


async def told(namespace: Namespace, reason: str, words: str) -> bool:
    found = (await namespace.api.get(namespace.path("/apis/events.k8s.io/v1", "events")))["items"]
    return any(e["reason"] == reason and words in e["note"] for e in found)

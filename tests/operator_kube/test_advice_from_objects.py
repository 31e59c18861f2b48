"""Advice as the cluster's objects call for it: who lacks a sidecar, and one Event for each word."""

from __future__ import annotations

import time
from typing import Any

import pytest
from operator_kube.desk import Desk
from operator_kube.kube_world import World, fixture

from tidegate.contract.errors import ClusterError
from tidegate.contract.report import Report
from tidegate.rollout.snapshot import Policy
from tidegate_kubernetes.kinds import POLICIES
from tidegate_operator.kube.snapshots.build import build
from tidegate_operator.kube.status.writer import StatusWriter
from tidegate_operator.meters import Meters
from tidegate_operator.reports import ReportBook

BARE = "default/Deployment/bare"
INJECT = "tidegate.dev/inject"


def with_bare(**annotations: str) -> World:
    """Beside `shop` a Deployment that a policy selects, with pods that nobody injected."""
    world = World()
    world.policies = [fixture("drainpolicy")]
    world.policies[0]["spec"]["selector"] = {"matchLabels": {"team": "edge"}}
    bare = world.another(world.deployment, name="bare")
    bare["spec"]["template"]["metadata"] = {"labels": {"team": "edge"}, "annotations": annotations}
    bare["status"] = {"replicas": 2}
    world.deployments.append(bare)
    return world


def why(world: World, now_s: float | None = None) -> dict[str, str]:
    bare = build(world.store(), Policy(), now_s or world.now_s).bare
    return dict(bare.get("policy/default/shop", {}))


def test_pods_that_a_policy_selects_and_that_have_no_sidecar_are_named() -> None:
    assert 'put the annotation tidegate.dev/inject: "true"' in why(with_bare())[BARE]
    assert "kubectl rollout restart" in why(with_bare(**{INJECT: "true"}))[BARE]


@pytest.mark.parametrize("change", ["empty selector", "no pods", "young", "another label"])
def test_nobody_else_is_named(change: str) -> None:
    world = with_bare()
    now_s = world.now_s
    raw: Any = world.deployments[1]
    if change == "empty selector":
        world.policies[0]["spec"]["selector"] = {}
    elif change == "no pods":
        raw["status"]["replicas"] = 0
    elif change == "young":
        raw["metadata"]["creationTimestamp"] = time.strftime(
            "%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_s - 10)
        )
    else:
        raw["spec"]["template"]["metadata"]["labels"] = {"team": "other"}
    assert why(world, now_s) == {}


def test_what_the_objects_say_reaches_the_advice() -> None:
    world = World()
    world.deployment["spec"] |= {"minReadySeconds": 7}
    (scope,) = build(world.store(), Policy(), world.now_s).scopes
    (seen,) = scope.snapshot.workloads
    desired = world.pods[0]["spec"]["terminationGracePeriodSeconds"]
    assert (seen.min_ready_s, seen.grace_s, seen.can_surge) == (7.0, float(desired), True)


async def test_every_advice_becomes_one_event_and_a_failed_one_is_tried_again() -> None:
    world = with_bare()
    world.deployment["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    desk = Desk(world)
    failing = [True]
    said: list[tuple[str, str]] = []

    async def event(workload: str, reason: str, message: str, warning: bool) -> None:
        if failing and reason == "NoSurge":
            failing.pop()
            raise ClusterError("away")
        said.append((workload, reason))

    desk.kubernetes.event = event  # type: ignore[method-assign]
    writer = StatusWriter(
        desk.api, desk.kubernetes, ReportBook(time.monotonic), time.time, meters=Meters()
    )
    for _ in range(3):
        writer.observe()
        await writer.advise()
    assert sorted(said) == [(BARE, "SidecarMissing"), ("default/Deployment/shop", "NoSurge")]


async def test_what_the_planner_itself_refuses_or_holds_is_in_the_status() -> None:
    world = World()
    world.policies = [fixture("drainpolicy")]
    desk = Desk(world)
    path = f"{POLICIES.path('default')}/shop"
    desk.api.objects[path] = world.policies[0]
    writer = StatusWriter(
        desk.api,
        desk.kubernetes,
        ReportBook(time.monotonic),
        time.time,
        refusals=lambda: {"default/Deployment/shop": "routers are slow"},
        holds=lambda: {"default/Deployment/shop": "no pod is ready"},
        meters=Meters(),
    )
    writer.observe()
    await writer.write()
    status = desk.api.objects[f"{path}/status"]["status"]
    assert status["workloads"][0]["refusal"] == "routers are slow"
    assert status["workloads"][0]["held"] == "no pod is ready"
    assert {c["type"]: c["status"] for c in status["conditions"]}["Steered"] == "False"


async def test_what_a_rollout_would_ask_of_the_grace_period_is_a_metric_before_the_first_one() -> (
    None
):
    desk = Desk(World())
    book, meters = ReportBook(time.monotonic), Meters()
    uid = desk.world.pods[0]["metadata"]["uid"]
    book.close()
    await book.answer(Report(uid, 1, 700, 700, 0, "ready", 0, 1000.0, "test"))
    writer = StatusWriter(desk.api, desk.kubernetes, book, time.time, meters=meters)
    writer.observe()

    def gauge(name: str) -> float | None:
        labels = {"workload": "default/Deployment/shop"}
        return meters.registry.get_sample_value(f"tidegate_operator_{name}", labels)

    assert gauge("rollout_streams") == 700
    fitting = gauge("grace_streams")
    assert fitting is not None
    assert fitting > 0

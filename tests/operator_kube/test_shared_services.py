"""Workloads behind one stream Service: one fleet, or refused with the fix."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from operator_kube.kube_world import ADMIT, World, fixture

from tidegate.rollout.joining import joined
from tidegate.rollout.snapshot import Policy, Workload
from tidegate_operator.kube.snapshots.build import build
from tidegate_operator.kube.snapshots.service_peers import ServicePeer, with_refusals

CANARY_HASH = "canaryhash"


def with_canary() -> World:
    """The recorded rollout of `shop`, and one pod of `shop-canary` behind the same Service."""
    world = World()
    deployment = copy.deepcopy(world.deployment)
    deployment["metadata"] |= {
        "name": "shop-canary",
        "uid": "canary",
        "creationTimestamp": "2099-01-01T00:00:00Z",
    }
    deployment["spec"] |= {"replicas": 1}
    replica_set = world.another(world.replica_sets[0], name="shop-canary-x")
    pod = world.another(world.pods[0], name="shop-canary-x-1")
    for raw, owner in ((replica_set, deployment), (pod, replica_set)):
        meta = owner["metadata"]
        raw["metadata"]["ownerReferences"] = [
            {"kind": owner["kind"], "name": meta["name"], "uid": meta["uid"], "controller": True}
        ]
        raw["metadata"]["labels"] = {**raw["metadata"]["labels"], "pod-template-hash": CANARY_HASH}
    world.replica_sets.append(replica_set)
    world.pods.append(pod)
    world.deployments = [world.deployment, deployment]
    return world


def workloads(world: World) -> list[Workload]:
    scopes = build(world.store(), Policy(), world.now_s).scopes
    return [w for s in scopes for w in s.snapshot.workloads]


def test_a_canary_behind_the_same_service_is_planned_with_the_stable_one() -> None:
    found = workloads(with_canary())
    (seen,) = joined(found)
    assert seen.name == "default/Deployment/shop", "the largest lends its name: memory goes on"
    assert (seen.replicas, len(seen.pods), seen.steerable) == (4, 5, True)
    desired = [p for p in seen.pods if p.revision == seen.revision]
    assert len(desired) == 3, "two of shop's new revision, and the canary: nobody rolls over to it"


def test_pods_that_never_join_the_service_are_no_part_of_it() -> None:
    world = with_canary()
    labels = world.deployments[1]["spec"]["template"]["metadata"]["labels"]
    for carried in (labels, world.pods[-1]["metadata"]["labels"]):
        carried.pop(ADMIT)
    steerable = {w.name.rpartition("/")[2]: w.steerable for w in workloads(world)}
    assert steerable == {"shop": True, "shop-canary": False}


def test_a_canary_under_another_policy_is_refused_with_the_fix() -> None:
    world = with_canary()
    world.policies = [fixture("drainpolicy")]
    labels = world.deployments[1]["spec"]["template"]["metadata"]["labels"]
    labels["track"] = "canary"
    world.policies[0]["spec"]["selector"] = {"matchLabels": {"track": "canary"}}
    for seen in workloads(world):
        assert seen.refusal is not None
        assert "let one policy select them all" in seen.refusal
        assert "Deployment/shop, Deployment/shop-canary" in seen.refusal


def neighbour(name: str, *services: str, log: str | None = None, **more: Any) -> ServicePeer:
    workload = Workload(f"ns/Deployment/{name}", 2, f"r-{name}", **more)
    return ServicePeer(workload, f"default/{name}", "default", frozenset(services), log)


def unsteered(name: str, *services: str) -> ServicePeer:
    return replace(neighbour(name, *services), steered=False, policy="policy/ns/off")


@pytest.mark.parametrize(
    ("neighbours", "refused", "words"),
    [
        ([neighbour("a", "x"), neighbour("b", "y")], [], ""),
        ([neighbour("a"), neighbour("b")], [], ""),
        ([neighbour("a", "x"), neighbour("b", "x")], [], ""),
        ([neighbour("a", "x", "y"), neighbour("b", "y")], ["a", "b"], "let each Service select"),
        (
            [neighbour("a", "x"), neighbour("b", "x", "y"), neighbour("c", "y")],
            ["a", "b", "c"],
            "let each Service select the same",
        ),
        ([neighbour("a", "x", log="A"), neighbour("b", "x", log="B")], ["a"], "backplane-stream"),
        ([neighbour("a", "x", log="A"), neighbour("b", "x")], [], ""),
        ([neighbour("a", "x"), unsteered("b", "x")], ["a"], "different DrainPolicies"),
        ([unsteered("a", "x"), unsteered("b", "x")], [], ""),
    ],
    ids=[
        "apart",
        "no Service",
        "the same",
        "overlap",
        "chain",
        "another log",
        "an unknown log",
        "beside one that is not steered",
        "neither is steered",
    ],
)
def test_who_cannot_be_planned_with_the_others(
    neighbours: list[ServicePeer], refused: list[str], words: str
) -> None:
    found = {n.workload.name.rpartition("/")[2]: n.workload for n in with_refusals(neighbours)}
    assert [name for name, workload in found.items() if not workload.steerable] == refused
    for name in refused:
        assert words in (found[name].refusal or "")
